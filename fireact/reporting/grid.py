"""A grid on disk: ``grid.json`` names its cells, each with the run folders that hold what came out of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.files import read
from fireact.trajectories.records import Trajectory

GRID = "grid.json"
PREDICTIONS, METRICS = "predictions.jsonl", "metrics.json"
UNFINISHED = "it is not finished; run the same command again"


@dataclass(frozen=True)
class Cell:
    """One evaluated point of a grid: a model, tuned or only prompted, on one task with one search tool.

    Args:
        axes: what tells it from the other cells, by name. Always ``backbone, adapter, acting, task, search, seed``,
            where ``acting`` is the method it acts by (``fireact`` without a few-shot prompt). A tuned one also has
            ``method`` (whose trajectories it learnt), ``data``, ``size`` (``n150``, ``all``) and every other
            override of its tuning, such as ``optim.epochs`` or ``loss_on``; a prompted one has ``adapter == "none"``.
        run: the folder that ``evaluate.py`` made.
        fit: the folder that ``train.py`` made; None for a prompted cell.
        failed: why it has no results, in a sentence; empty if it has.
    """

    axes: Mapping[str, str]
    run: Path
    fit: Path | None = None
    failed: str = ""

    @property
    def tuned(self) -> bool:
        """Whether the backbone was fine-tuned, not only prompted."""
        return self.fit is not None

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The run's ``metrics.json``.

        Raises:
            DataError: it is missing or unreadable.
        """
        return read_json(self.run / METRICS, "n", "em", "accuracy", "cost_usd", "seconds")

    @cached_property
    def fit_metrics(self) -> dict[str, Any]:
        """The tuning's ``metrics.json``; empty for a prompted cell and for an adapter that was tuned elsewhere."""
        return read_json(self.fit / METRICS) if self.fit and (self.fit / METRICS).exists() else {}

    @property
    def trained_on(self) -> int | None:
        """How many trajectories it was tuned on; None if it was not, or elsewhere."""
        kept = self.fit_metrics.get("data", {}).get("kept")
        return None if kept is None else int(kept)

    @property
    def mix(self) -> dict[str, int]:
        """How many trajectories of each method and task it was tuned on, as in ``{"hotpotqa/react": 500}``."""
        data = self.fit_metrics.get("data", {})
        return {name: int(number) for name, number in data.items() if "/" in name}

    def trajectories(self) -> Iterator[Trajectory]:
        """What it did, one trajectory at a time, in the order in which the questions were finished."""
        return read(_no_link(self.run / PREDICTIONS), Counter(), as_said=True)


@dataclass(frozen=True)
class Grid:
    """The cells of one command. ``experiment`` is the file under ``conf/experiment``, or a name for a plain sweep;
    ``left_out`` says which of its cells can't be had, and why."""

    experiment: str
    command: str
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...] = ()

    @property
    def done(self) -> list[Cell]:
        """The cells that have results."""
        return [cell for cell in self.cells if not cell.failed]

    @property
    def failed(self) -> list[Cell]:
        """The cells that have none."""
        return [cell for cell in self.cells if cell.failed]

    def varying(self) -> list[str]:
        """The axes that tell its cells apart, in the order in which they first appear."""
        names = dict.fromkeys(name for cell in self.cells for name in cell.axes)
        return [name for name in names if len({cell.axes.get(name) for cell in self.cells}) > 1]

    def to_json(self, folder: Path) -> dict[str, Any]:
        """What ``read_grid`` reads back equal; paths count from ``folder``: all of ``runs_dir`` may be moved."""
        cells = [
            {"axes": dict(c.axes), "run": os.path.relpath(c.run, folder),
             "fit": os.path.relpath(c.fit, folder) if c.fit else None, "failed": c.failed}
            for c in self.cells
        ]
        known = {"experiment": self.experiment, "command": self.command, "cells": cells}
        return {**known, "left_out": list(self.left_out)} if self.left_out else known


def read_grid(folder: Path) -> Grid:
    """The grid whose ``grid.json`` lies in ``folder``; a cell that was unfinished then may have its results by now.

    Raises:
        DataError: there is none, or it is malformed.
    """
    row, cells = read_json(folder / GRID), []
    try:
        for cell in row["cells"]:
            run, fit = (Path(os.path.normpath(folder / (cell[key] or ""))) for key in ("run", "fit"))
            by_now = cell["failed"] == UNFINISHED and (run / METRICS).exists()
            cells.append(Cell(cell["axes"], run, fit if cell["fit"] else None, "" if by_now else cell["failed"]))
        return Grid(row["experiment"], row["command"], tuple(cells), tuple(row.get("left_out", ())))
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / GRID} is malformed ({error}); run the sweep again") from error


def name_of(axes: Mapping[str, str], among: Sequence[str]) -> str:
    """A short name from the axes ``among`` which cells differ: ``method=react_cot, seed=1``."""
    return ", ".join(f"{axis}={axes[axis]}" for axis in among if axis in axes)


def read_json(path: Path, *needed: str) -> dict[str, Any]:
    """The JSON object in a file of ours.

    Raises:
        DataError: it is missing, unreadable or no object with all ``needed`` keys.
    """
    try:
        value: dict[str, Any] = json.loads(_no_link(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the command that makes it to its end first") from None
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); make it readable") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); remove its folder and run the command again") from error
    if missing := [key for key in needed if not isinstance(value, dict) or key not in value]:
        raise DataError(f"{path} lacks {', '.join(missing)}; a run that evaluate.py has finished is needed here")
    return value


def _no_link(path: Path) -> Path:
    """``path``, unless it leads elsewhere: a run folder may be a stranger's, and what it shows is to be its own.

    Raises:
        DataError: it is a link.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link, which is not followed; put the file in its place")
    return path
