"""Runs side by side: ``python -m fireact.reporting.compare "prompted=RUN" "tuned=RUN" [--out FILE.md]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fireact.errors import DataError, FireActError, StorageError
from fireact.reporting.measures import common_measure, explained, measure_of
from fireact.reporting.statistics import restated

_HEADER = ("F1, %", "finished", "rounds", "s/question", "n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the named runs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fireact.reporting.compare", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="a row's name and a finished run folder")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    options = parser.parse_args(arguments)
    try:
        rows = [(name, read_metrics(Path(folder))) for name, _, folder in (run.partition("=") for run in options.runs)]
        table = markdown(rows)
        print(table)
        if options.out:
            _write(options.out, table + "\n")
    except FireActError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def read_metrics(folder: Path) -> dict[str, Any]:
    """A finished run's ``metrics.json``.

    Raises:
        DataError: the run is missing or unfinished.
    """
    try:
        metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} holds no metrics.json; run evaluate.py to its end first") from None
    return metrics


def markdown(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """A Markdown table, one row a run: scores in per cent with 95 % intervals over questions."""
    measures = {metrics["task"]: measure_of(metrics) for _, metrics in rows}
    measure = common_measure(measures.values())
    cells = [("", f"{measure}, %", *_HEADER), *(_row(name, restated(metrics)) for name, metrics in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    facts = dict.fromkeys(f"{m['task']}, {m['retriever']}, seed {m['seed']}" for _, m in rows)
    note = f"95 % intervals: Wilson's for {measure}, by bootstrap over questions for F1; {'; '.join(facts)}."
    return "\n".join([lines[0], rule, *lines[1:], "", note, *explained(measures)])


def _write(path: Path, text: str) -> None:
    """Write a new file or one that is such a table already.

    Raises:
        StorageError: it holds something else, is a link, or can't be written.
    """
    try:
        if path.is_symlink() or path.exists() and not _is_table(path.read_text(encoding="utf-8", errors="replace")):
            raise StorageError(f"{path} exists and holds no table of this command, so it was left as it is; "
                               "name another file for --out")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} can't be written ({error.strerror}); name another file for --out") from None


def _is_table(text: str) -> bool:
    first, _, _ = text.partition("\n")
    return not text or first.startswith("|") and {*_HEADER[1:4]} <= {cell.strip() for cell in first.split("|")}


def _row(name: str, metrics: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        _percent(metrics["accuracy"], metrics["accuracy_ci95"]),
        _percent(metrics["f1"], metrics["f1_ci95"]),
        f"{metrics['finished'] / metrics['n']:.0%}",
        f"{metrics['rounds_mean']:.1f} ± {metrics['rounds_std']:.1f}",
        f"{metrics['seconds'] / metrics['n']:.2f}",
        str(metrics["n"]),
    )


def _percent(value: float, interval: Sequence[float]) -> str:
    return f"{100 * value:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


if __name__ == "__main__":
    sys.exit(main())
