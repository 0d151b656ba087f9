"""A grid as a table, its figures beside the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fireact.reporting import beside
from fireact.reporting.comparisons import Compared
from fireact.reporting.layouts import MISSING, axis_label, value_label
from fireact.reporting.notes import notes_of
from fireact.reporting.raw import csv_of
from fireact.reporting.results import Results, label

Column = tuple[str, Callable[[Compared], str]]
_RATES = {"trajectories_per_s": "tuned, trajectories/s", "tokens_per_s": "tuned, tokens/s", "adapter_mb": "weights, MB"}


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: plain, unescaped text. ``csv`` is the same with unrounded numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    csv: str = ""

    def markdown(self) -> str:
        """A heading, the aligned table and its notes; nothing in them acts as Markdown or HTML."""
        cells = [[_escaped(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in cells]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        notes = [f"- {_escaped(note)}" for note in self.notes]
        return "\n".join([f"## {_escaped(self.title)}", "", lines[0], rule, *lines[1:], "", *notes]) + "\n"


def table_of(results: Results) -> Table:
    """One row a configuration; with no results at all, the notes say why."""
    columns = _columns(results)
    return Table(
        results.layout.title,
        tuple(name for name, _ in columns),
        tuple(tuple(text(line) for _, text in columns) for line in results.lines),
        tuple(notes_of(results)),
        csv_of(results),
    )


def _columns(results: Results) -> list[Column]:
    return [
        *(_axis(axis) for axis in results.axes),
        *([("trajectories", _trajectories)] if any(row.tuned for row in results.rows) else []),
        (f"{results.measured}, %", _score),
        ("difference", _difference),
        ("p", lambda line: _p(line.p)),
        ("n", lambda line: str(len(line.row.ids))),
        ("seeds", lambda line: str(len(line.row.seeds))),
        *([("over seeds, %", _over_seeds)] if any(len(row.seeds) > 1 for row in results.rows) else []),
        ("F1, %", lambda line: f"{100 * line.row.f1:.1f}"),
        ("finished", lambda line: f"{100 * line.row.finished:.0f} %"),
        ("rounds", _rounds),
        ("USD/question", lambda line: _number(line.row.usd, ".4f")),
        ("s/question", lambda line: _number(line.row.seconds, ".2f")),
        *(_rate(name) for name in results.layout.columns),
        *_paper(results),
    ]


def _trajectories(line: Compared) -> str:
    """``hotpotqa: 500 ReAct + 187 CoT; mmlu: 456 ReAct``; the number alone where no more is known."""
    by_task: dict[str, list[str]] = {}
    for name, number in line.row.mix.items():
        task, _, method = name.rpartition("/")
        by_task.setdefault(task, []).append(f"{number:.0f} {value_label('method', method)}")
    mix = "; ".join(f"{task}: {' + '.join(parts)}" for task, parts in by_task.items())
    return mix or _number(line.row.trained_on, ".0f")


def _axis(axis: str) -> Column:
    return axis_label(axis), lambda line: label(axis, line.row.axes.get(axis))


def _rate(name: str) -> Column:
    return _RATES[name], lambda line: _number(line.row.rates.get(name), ",.1f")


def _paper(results: Results) -> list[Column]:
    """The paper's own figure and those of its other backbones, where there are any."""
    experiment, layout = results.experiment, results.layout
    columns: list[Column] = [
        ("paper", lambda line: beside.exact_text(line.row, experiment, layout) or MISSING),
        ("paper, other backbones", lambda line: beside.trend_text(line.row, experiment, layout) or MISSING),
    ]
    return [(name, text) for name, text in columns if any(text(line) != MISSING for line in results.lines)]


def _score(line: Compared) -> str:
    low, high = line.interval
    return f"{100 * line.score:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _difference(line: Compared) -> str:
    if line.is_reference:
        return "reference"
    if line.reference is None:
        return MISSING
    return "other questions" if line.difference is None else beside.signed(100 * line.difference)


def _p(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _over_seeds(line: Compared) -> str:
    """The lowest and the highest mean score of a seed."""
    scores = 100 * line.row.seed_scores
    return f"{scores.min():.1f} … {scores.max():.1f}" if len(scores) > 1 else MISSING


def _rounds(line: Compared) -> str:
    rounds = line.row.rounds
    return f"{rounds.mean():.1f} ± {rounds.std():.1f}" if len(rounds) else MISSING


def _number(value: float | None, form: str) -> str:
    if value is None:
        return MISSING
    return "0" if value == 0 else format(value, form)


def _escaped(text: str) -> str:
    """A sign before a space opens no tag, so "< 0.001" stays readable."""
    return re.sub(r"<(?=\S)", "&lt;", re.sub(r"([\\`*$|])", r"\\\1", text).replace("&", "&amp;").replace("\n", " "))
