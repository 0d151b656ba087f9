"""The rows of a grid's table: its cells' answers, read once, those that differ in their seed taken together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from fireact.errors import DataError
from fireact.reporting.grid import PREDICTIONS, Cell, Grid
from fireact.reporting.measures import name_by
from fireact.trajectories.records import Ending, Question, Trajectory

SEED = "seed"
SILENT = -1  # rounds where the model said nothing at all


@dataclass(frozen=True, eq=False)
class Answers:
    """What one cell made of its questions: arrays of one length (questions), in the order of the sorted ids.

    Args:
        ids: a question's id, and a digest of what was asked: two worlds may call different questions the same.
        right: 1 or 0, by the task's own rule.
        rounds: actions taken, ``SILENT`` where there is nothing to count.
        measure: what the task calls the share of right ones.
    """

    ids: NDArray[np.str_]
    right: NDArray[np.float64]
    f1: NDArray[np.float64]
    finished: NDArray[np.float64]
    rounds: NDArray[np.int64]
    measure: str


@dataclass(frozen=True, eq=False)
class Row:
    """One configuration. ``scores`` are per question (``ids``), in 0…1, each the mean over the seeds that asked it.

    Args:
        axes: the cells', without the seed.
        seeds: the answers of each.
        usd, seconds: per question; None where nobody paid or waited for just this.
        trained_on: trajectories; None if it was not tuned, or elsewhere.
        mix: of each ``task/method`` among them; empty where that is not known.
        rates: ``trajectories_per_s`` and ``tokens_per_s`` of the tuning and ``adapter_mb`` on disk, as far as known.
        facts: the task and the search tool that it was scored with, in words.
    """

    axes: Mapping[str, str]
    seeds: Mapping[str, Answers]
    ids: NDArray[np.str_]
    scores: NDArray[np.float64]
    f1: float
    finished: float
    rounds: NDArray[np.int64]
    usd: float | None = None
    seconds: float | None = None
    trained_on: float | None = None
    mix: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    facts: frozenset[str] = frozenset()

    @property
    def measures(self) -> set[str]:
        """What its task calls its score; more than one only where cells say different things of it."""
        return {answers.measure for answers in self.seeds.values()}

    @property
    def seed_scores(self) -> NDArray[np.float64]:
        """The mean score of each seed (seeds)."""
        return np.array([answers.right.mean() for answers in self.seeds.values()])

    @property
    def tuned(self) -> bool:
        """Whether it was trained on anything; a choice among rows was not."""
        return self.trained_on is not None

    @property
    def prompted(self) -> bool:
        """Whether it was only prompted; a choice among rows was not."""
        return self.axes.get("adapter") == "none"


@dataclass(frozen=True)
class Failure:
    """A cell without results and why, in a sentence."""

    axes: Mapping[str, str]
    sentence: str
    run: Path


def read_rows(grid: Grid) -> tuple[list[Row], list[Failure]]:
    """Rows in the order of their first cells, and the cells that failed or whose files can't be read."""
    groups: dict[frozenset[tuple[str, str]], list[tuple[Cell, Answers]]] = {}
    failures = []
    for cell in grid.cells:
        try:
            if cell.failed:
                raise DataError(cell.failed)
            answers = answers_of(cell)
            _ = cell.metrics, cell.fit_metrics
        except DataError as error:
            failures.append(Failure(cell.axes, str(error), cell.run))
        else:
            groups.setdefault(frozenset(without_seed(cell.axes).items()), []).append((cell, answers))
    return [_row(group) for group in groups.values()], failures


def answers_of(cell: Cell) -> Answers:
    """The cell's predictions, without their text.

    Raises:
        DataError: they are missing, malformed or none.
    """
    by_id = {_identity(t.question): _outcome(t) for t in cell.trajectories()}
    if not by_id:
        raise DataError(f"{cell.run / PREDICTIONS} holds no trajectory; remove its folder and run the command again")
    ids = sorted(by_id)
    right, em, f1, finished, rounds = np.array([by_id[i] for i in ids], dtype=float).T
    measure = cell.metrics.get("measure") or name_by(bool((right == em).all()))
    return Answers(np.array(ids), right, f1, finished, rounds.astype(np.int64), str(measure))


def pooled(axes: Mapping[str, str], seeds: Mapping[str, Answers], **known: Any) -> Row:
    """A row of the answers of every seed; a question that several of them answered counts once, with its mean."""
    ids, inverse, counts = np.unique(
        np.concatenate([a.ids for a in seeds.values()]), return_inverse=True, return_counts=True
    )

    def mean(name: str) -> NDArray[np.float64]:
        values = np.concatenate([getattr(a, name) for a in seeds.values()])
        return np.bincount(inverse, weights=values) / counts

    rounds = np.concatenate([a.rounds for a in seeds.values()])
    f1, finished = float(mean("f1").mean()), float(mean("finished").mean())
    return Row(axes, seeds, ids, mean("right"), f1, finished, rounds[rounds != SILENT], **known)


def without_seed(axes: Mapping[str, str]) -> dict[str, str]:
    """All axes but the seed."""
    return {axis: value for axis, value in axes.items() if axis != SEED}


def _identity(question: Question) -> str:
    """A space sorts before all that ids go on with, so the order is that of the ids."""
    asked = "\0".join([question.prompt(), question.answer])
    return f"{question.id} {hashlib.sha256(asked.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _outcome(t: Trajectory) -> tuple[float, ...]:
    rounds = t.rounds if t.steps else SILENT
    return t.score.correct, t.score.em, t.score.f1, t.ending is Ending.FINISH, rounds


def _row(group: Sequence[tuple[Cell, Answers]]) -> Row:
    cells = [cell for cell, _ in group]
    seeds = {cell.axes.get(SEED, str(number)): answers for number, (cell, answers) in enumerate(group)}
    rates = [_rates(cell) for cell in cells if cell.tuned]
    return pooled(
        without_seed(cells[0].axes),
        seeds,
        usd=_mean([c.metrics["cost_usd"] / c.metrics["n"] for c in cells]),
        seconds=_mean([c.metrics["seconds"] / c.metrics["n"] for c in cells]),
        trained_on=_mean(sizes) if (sizes := [c.trained_on for c in cells if c.trained_on is not None]) else None,
        mix={name: _mean([c.mix.get(name, 0) for c in cells]) for name in _names(cells)},
        rates={key: _mean([rate[key] for rate in rates]) for key in (rates[0] if rates else ())
               if all(key in rate for rate in rates)},
        facts=frozenset(f"{c.metrics.get('task', '?')} with {c.metrics.get('retriever', '?')}" for c in cells),
    )


def _names(cells: Sequence[Cell]) -> list[str]:
    """Every ``task/method`` that a cell was tuned on, in the order in which they first appear."""
    return list(dict.fromkeys(name for cell in cells for name in cell.mix))


def _rates(cell: Cell) -> dict[str, float]:
    assert cell.fit is not None
    rates = {}
    if weights := list((cell.fit / "adapter").glob("*.safetensors")):
        rates["adapter_mb"] = sum(file.stat().st_size for file in weights) / 1e6
    if "tokens_per_s" in cell.fit_metrics:
        rates["tokens_per_s"] = float(cell.fit_metrics["tokens_per_s"])
    if (seen := _trajectories_seen(cell)) and cell.fit_metrics.get("seconds"):
        rates["trajectories_per_s"] = seen / cell.fit_metrics["seconds"]
    return rates


def _trajectories_seen(cell: Cell) -> float | None:
    """Trajectories passed forward and back, from the optimizer steps and the epoch's; None where that is not known."""
    if cell.fit is None or cell.trained_on is None:
        return None
    try:
        config = yaml.safe_load((cell.fit / "config.yaml").read_text(encoding="utf-8"))
        batch, held_out = config["optim"]["batch_size"], config["val_fraction"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None
    rows = (cell.trained_on - cell.fit_metrics["data"].get("too_long_dropped", 0)) * (1 - held_out)
    return float(rows * cell.fit_metrics["steps"] / math.ceil(rows / batch)) if rows else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
