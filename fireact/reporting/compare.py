"""Runs side by side: ``python -m fireact.reporting.compare "prompted=RUN" "tuned=RUN" [--out FILE.md]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fireact.commands import end_with
from fireact.errors import ConfigError, FireActError, StorageError
from fireact.reporting.facts import FACTS, fact_text, facts_of
from fireact.reporting.grid import METRICS, read_json
from fireact.reporting.judging import said
from fireact.reporting.markdown import aligned
from fireact.reporting.statistics import common_measure, explained, is_graded, measure_of, restated
from fireact.reporting.tool_calls import NOTE
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import writing

_HEADER = ("F1, %", "finished", "rounds", "s/question", "n")
_NEEDED = ("task", "retriever", "seed", "n", "em", "f1", "accuracy", "em_ci95", "f1_ci95", "finished", "rounds_mean",
           "rounds_std", "seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the named runs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fireact.reporting.compare", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="a row's name and a finished run folder")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    options = parser.parse_args(arguments)
    try:
        rows = []
        for run in options.runs:
            name, given, folder = run.partition("=")
            if not given:
                raise ConfigError(f"{run} is no NAME=RUN; write the row's name, an equals sign and the run folder")
            rows.append((name, read_json(Path(folder) / METRICS, *_NEEDED)))
        table = markdown(rows)
        print(printable(table))
        if options.out:
            _write(options.out, table + "\n")
    except FireActError as error:
        print(printable(str(error)), file=sys.stderr)
        return 1
    return 0


def markdown(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """A Markdown table, one row a run (its name and ``metrics.json``): scores in per cent with 95 % intervals."""
    measures = {metrics["task"]: measure_of(metrics) for _, metrics in rows}
    measure = common_measure(measures.values())
    header = ["", f"{measure}, %", *_HEADER]
    cells = [_row(name, restated(metrics)) for name, metrics in rows]
    known = [facts_of(metrics) for _, metrics in rows]
    for key, (heading, _, _) in FACTS.items():
        if any(key in of_one for of_one in known):
            header.append(heading)
            cells = [(*row, fact_text(key, of_one)) for row, of_one in zip(cells, known, strict=True)]
    table = aligned(header, cells)
    facts = dict.fromkeys(f"{m['task']}, {m['retriever']}, seed {m['seed']}" for _, m in rows)
    graded = any(is_graded(metrics) for _, metrics in rows)
    by = "by bootstrap over questions" if graded else f"Wilson's for {measure}, by bootstrap over questions for F1"
    note = f"95 % intervals: {by}; {'; '.join(facts)}."
    notes = [f"{name}: {sentence}" for name, metrics in rows for sentence in said(metrics)]
    return "\n".join([*table, "", note, *explained(measures), *notes,
                      *([NOTE] if any("exact_calls" in of_one for of_one in known) else [])])


def _row(name: str, metrics: dict[str, Any]) -> tuple[str, ...]:
    scores = (100 * x for key in ("accuracy", "f1") for x in (metrics[key], *metrics[f"{key}_ci95"]))
    score, low, high, f1, f1_low, f1_high = scores
    return (
        name,
        f"{score:.1f} [{low:.1f}, {high:.1f}]",
        f"{f1:.1f} [{f1_low:.1f}, {f1_high:.1f}]",
        f"{metrics['finished'] / metrics['n']:.0%}",
        f"{metrics['rounds_mean']:.1f} ± {metrics['rounds_std']:.1f}",
        f"{metrics['seconds'] / metrics['n']:.2f}",
        str(metrics["n"]),
    )


def _write(path: Path, text: str) -> None:
    """Write a new file or one that is such a table already.

    Raises:
        StorageError: it holds something else, is a link, or can't be written.
    """
    with writing(path):
        if path.is_symlink() or path.exists() and not _is_table(path.read_text(encoding="utf-8", errors="replace")):
            raise StorageError(f"{path} exists and holds no table of this command, so it was left as it is; "
                               "name another file for --out")
        path.write_text(text, encoding="utf-8")


def _is_table(text: str) -> bool:
    first, _, _ = text.partition("\n")
    return not text or first.startswith("|") and {*_HEADER[1:4]} <= {cell.strip() for cell in first.split("|")}


if __name__ == "__main__":
    end_with(main)
