"""A grid's table as CSV: raw names, unrounded numbers, a column each."""

from __future__ import annotations

import csv
import io
from typing import Any

from fireact.reporting import beside, paper
from fireact.reporting.comparisons import Compared
from fireact.reporting.measures import common_measure
from fireact.reporting.results import Results
from fireact.reporting.rows import Failure, without_seed

NUMBERS = (
    "measure", "score_percent", "ci95_low_percent", "ci95_high_percent", "compared", "difference_points", "p", "n",
    "seeds", "seeds_low_percent", "seeds_high_percent", "seeds_std_points",
    "f1_percent", "finished_percent", "rounds_mean", "rounds_std", "usd_per_question", "seconds_per_question",
    "trained_on", "trajectories", "trajectories_per_s", "tokens_per_s", "adapter_mb", "paper", "paper_gain",
    "paper_source",
)


def csv_of(results: Results) -> str:
    """The axes, ``NUMBERS``, the paper's other backbones that are shown, and why a cell failed; empty is unknown."""
    others = [f"paper_{backbone}{end}" for backbone in paper.shown_backbones() for end in ("", "_gain")]
    records = [*(_record(line, results) for line in results.lines), *(_failed(failure) for failure in results.failures)]
    last = [*NUMBERS, *others, "failed"]
    axes = dict.fromkeys(name for record in records for name in record if name not in last)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*axes, *last], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _record(line: Compared, results: Results) -> dict[str, Any]:
    row, (low, high), by_seed = line.row, line.interval, 100 * line.row.seed_scores
    several = len(by_seed) > 1
    return {
        **row.axes,
        "measure": common_measure(row.measures),
        "score_percent": 100 * line.score,
        "ci95_low_percent": 100 * low,
        "ci95_high_percent": 100 * high,
        "compared": _compared(line),
        "difference_points": None if line.difference is None else 100 * line.difference,
        "p": line.p,
        "n": len(row.ids),
        "seeds": " ".join(row.seeds),
        "seeds_low_percent": float(by_seed.min()) if several else None,
        "seeds_high_percent": float(by_seed.max()) if several else None,
        "seeds_std_points": float(by_seed.std(ddof=1)) if several else None,
        "f1_percent": 100 * row.f1,
        "finished_percent": 100 * row.finished,
        "rounds_mean": float(row.rounds.mean()) if len(row.rounds) else None,
        "rounds_std": float(row.rounds.std()) if len(row.rounds) else None,
        "usd_per_question": row.usd,
        "seconds_per_question": row.seconds,
        "trained_on": row.trained_on,
        "trajectories": " ".join(f"{name}={number:g}" for name, number in row.mix.items()),
        **row.rates,
        **_paper(line, results),
    }


def _compared(line: Compared) -> str:
    if line.reference is None:
        return "no reference"
    return "reference" if line.is_reference else "paired" if line.paired else "other questions"


def _paper(line: Compared, results: Results) -> dict[str, Any]:
    reference = results.layout.reference
    record: dict[str, Any] = {}
    for number in beside.exact(line.row, results.experiment)[:1]:
        gain = paper.gain(number, reference)
        record |= {"paper": number.value, "paper_gain": gain, "paper_source": number.source}
    for number in beside.shown(beside.like(line.row, results.experiment)):
        name = f"paper_{number.axes['backbone']}"
        record |= {name: number.value, f"{name}_gain": paper.gain(number, reference)}
    return record


def _failed(failure: Failure) -> dict[str, Any]:
    return {**without_seed(failure.axes), "seeds": failure.axes.get("seed"), "failed": failure.sentence}
