"""A grid as a table, with the paper's figures: in words for people, and as CSV with unrounded numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from fireact.reporting.experiments import MISSING, axis_label, value_label
from fireact.reporting.facts import FACTS, fact_text
from fireact.reporting.grid import Cell
from fireact.reporting.markdown import Table
from fireact.reporting.notes import notes_of
from fireact.reporting.paper import exact_text, others_text, shown_backbones, signed
from fireact.reporting.results import Results
from fireact.reporting.rows import SEED, Row, without_seed
from fireact.reporting.statistics import common_measure
from fireact.trajectories.records import F1_NAME
from fireact.trajectories.storage.reading import printable

Column = tuple[str, Callable[[Row], str]]
_RATES = {"trajectories_per_s": "tuned, trajectories/s", "tokens_per_s": "tuned, tokens/s", "adapter_mb": "weights, MB"}
_WHERE_KNOWN = {"trajectories", "over seeds, %", "paper", "paper, other backbones"}  # not shown without an entry
_WHERE_KNOWN |= {heading for heading, _, _ in FACTS.values()}
_TEXTS = {"measure", "compared", "seeds", "trajectories", "paper_source", "failed"}
_NUMBERS = (
    "measure", "score_percent", "ci95_low_percent", "ci95_high_percent", "compared", "difference_points", "p", "n",
    "seeds", "seeds_low_percent", "seeds_high_percent", "seeds_std_points",
    "f1_percent", "finished_percent", "rounds_mean", "rounds_std", "usd_per_question", "seconds_per_question",
    "trained_on", "trajectories", "trajectories_per_s", "tokens_per_s", "adapter_mb", "paper", "paper_gain",
    "paper_source",
)


def table_of(results: Results) -> Table:
    """One row a configuration; with no results at all, the notes say why."""
    columns = [(name, [text(row) for row in results.rows]) for name, text in _columns(results)]
    shown = [(name, cells) for name, cells in columns if name not in _WHERE_KNOWN or {*cells} - {MISSING}]
    rows = list(zip(*(cells for _, cells in shown), strict=True))
    return Table(results.experiment.title, [name for name, _ in shown], rows, notes_of(results), csv_of(results))


def _columns(results: Results) -> list[Column]:
    return [
        *((axis_label(axis), partial(_axis, axis)) for axis in results.axes),
        ("trajectories", _trajectories),
        (f"{results.measured}, %", _score),
        ("difference", _difference),
        ("p", lambda row: MISSING if row.p is None else "< 0.001" if row.p < 0.001 else f"{row.p:.3f}"),
        ("n", lambda row: str(len(row.questions))),
        ("seeds", lambda row: str(len(row.seeds))),
        ("over seeds, %", _over_seeds),
        *([] if results.measured == F1_NAME else [("F1, %", lambda row: f"{100 * row.mean('f1'):.1f}")]),
        *((heading, lambda row, key=key: fact_text(key, row.facts)) for key, (heading, _, _) in FACTS.items()),
        ("finished", lambda row: f"{100 * row.mean('finished'):.0f} %"),
        ("rounds", lambda row: f"{row.rounds.mean():.1f} ± {row.rounds.std():.1f}" if len(row.rounds) else MISSING),
        ("USD/question", lambda row: _number(row.usd, ".4f")),
        ("s/question", lambda row: _number(row.seconds, ".2f")),
        *((_RATES[name], partial(_rate, name)) for name in results.experiment.columns),
        ("paper", lambda row: exact_text(row.paper) or MISSING),
        ("paper, other backbones", lambda row: others_text(row.paper_others) or MISSING),
    ]


def _axis(axis: str, row: Row) -> str:
    return value_label(axis, row.axes.get(axis))


def _rate(name: str, row: Row) -> str:
    return _number(row.rates.get(name), ",.1f")


def _trajectories(row: Row) -> str:
    """``hotpotqa: 500 ReAct + 187 CoT; mmlu: 456 ReAct``; the number alone where no more is known."""
    by_task: dict[str, list[str]] = {}
    for name, number in row.mix.items():
        task, _, method = name.rpartition("/")
        by_task.setdefault(task, []).append(f"{number:.0f} {value_label('method', method)}")
    mix = "; ".join(f"{task}: {' + '.join(parts)}" for task, parts in by_task.items())
    return mix or _number(row.trained_on, ".0f")


def _score(row: Row) -> str:
    low, high = row.interval
    return f"{100 * row.score:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _difference(row: Row) -> str:
    if row.differences is not None:
        return signed(100 * row.differences.mean())
    return row.compared if row.reference or row.is_reference else MISSING


def _over_seeds(row: Row) -> str:
    """The lowest and the highest mean score of a seed."""
    scores = [100 * score for score in row.seeds.values()]
    return f"{min(scores):.1f} … {max(scores):.1f}" if len(scores) > 1 else MISSING


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else "0" if value == 0 else format(value, form)


def csv_of(results: Results) -> str:
    """Raw names and unrounded numbers, a column each; empty is unknown.

    The axes, what was measured, the paper's numbers for just this and for other backbones, and why a cell failed. A
    text that a spreadsheet would compute (``=cmd()``) begins with an apostrophe there.
    """
    facts = [key for key in FACTS if any(key in row.facts for row in results.rows)]
    last = [*_NUMBERS, *facts, *(f"paper_{name}{end}" for name in shown_backbones() for end in ("", "_gain")), "failed"]
    records = [*map(_record, results.rows), *map(_failed, results.grid.failed)]
    axes = dict.fromkeys(name for record in records for name in record if name not in last)
    numbers = {name: pl.Int64 if name == "n" else pl.Float64 for name in last if name not in _TEXTS}
    schema = {name: numbers.get(name, pl.String) for name in [*axes, *last]}
    return pl.DataFrame([{name: _inert(value) for name, value in r.items()} for r in records], schema).write_csv()


def _record(row: Row) -> dict[str, Any]:
    (low, high), by_seed = row.interval, 100 * np.array([*row.seeds.values()])
    several = len(by_seed) > 1
    return {
        **row.axes,
        "measure": common_measure(row.measures),
        "score_percent": 100 * row.score,
        "ci95_low_percent": 100 * low,
        "ci95_high_percent": 100 * high,
        "compared": row.compared,
        "difference_points": None if row.differences is None else 100 * row.differences.mean(),
        "p": row.p,
        "n": len(row.questions),
        "seeds": " ".join(row.seeds),
        "seeds_low_percent": by_seed.min() if several else None,
        "seeds_high_percent": by_seed.max() if several else None,
        "seeds_std_points": by_seed.std(ddof=1) if several else None,
        "f1_percent": 100 * row.mean("f1"),
        "finished_percent": 100 * row.mean("finished"),
        "rounds_mean": row.rounds.mean() if len(row.rounds) else None,
        "rounds_std": row.rounds.std() if len(row.rounds) else None,
        "usd_per_question": row.usd,
        "seconds_per_question": row.seconds,
        "trained_on": row.trained_on,
        "trajectories": " ".join(f"{name}={number:g}" for name, number in row.mix.items()) or None,
        **row.rates,
        **row.facts,
        **_papers(row),
    }


def _papers(row: Row) -> dict[str, Any]:
    """The paper's EM for just this and its source, and those of other backbones that are shown."""
    record: dict[str, Any] = {}
    for number in [n for n in row.paper if n.measure == "em"][:1]:
        record |= {"paper": number.value, "paper_gain": number.gain, "paper_source": number.source}
    for number in row.paper_others:
        if number.measure == "em" and number.backbone in shown_backbones():
            record |= {f"paper_{number.backbone}": number.value, f"paper_{number.backbone}_gain": number.gain}
    return record


def _failed(cell: Cell) -> dict[str, Any]:
    return {**without_seed(cell.axes), "seeds": cell.axes.get(SEED), "failed": cell.failed}


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would compute begins with an apostrophe; a number in words, as in an axis, does not.
    What would steer a terminal is escaped."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    return text
