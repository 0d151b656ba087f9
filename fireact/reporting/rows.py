"""The rows of a grid's table: its cells' answers, read once, those that differ in their seed taken together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from fireact.errors import DataError
from fireact.reporting.facts import facts_of
from fireact.reporting.grid import PREDICTIONS, Cell, Grid
from fireact.reporting.judging import said
from fireact.reporting.paper import Published
from fireact.reporting.statistics import mean_ci95, measure_of, paired_p_value
from fireact.trajectories.records import Ending, Question

SEED = "seed"
_ANSWERS = {
    "question": pl.String, "own": pl.Float64, "right": pl.Boolean, "f1": pl.Float64, "finished": pl.Boolean,
    "rounds": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    """One configuration; scores and differences are fractions.

    Args:
        axes: the cells', without the seed.
        answers: one line a question and seed, with ``seed, question, own, right, f1, finished, rounds``; ``own`` is
            the task's own score, which may be more than right or wrong; a question is its id and a digest of what was
            asked, as two worlds may call different questions the same; ``rounds`` counts actions, null where the model
            said nothing at all.
        measures: what its task calls its score; more than one only where cells say different things of it.
        usd, seconds: per question; None where nobody paid or waited for just this.
        trained_on: trajectories; None if it was not tuned, or elsewhere.
        mix: of each ``task/method`` among them; empty where that is not known.
        rates: ``trajectories_per_s`` and ``tokens_per_s`` of the tuning and ``adapter_mb`` on disk, as far as known.
        scored_on: the task and the search tool that it was scored with, in words.
        said: sentences on its scores, such as when an answer is right.
        facts: further figures, as far as they are known, by the names that ``tables`` has for them.
        reference: the row that it is compared with; None for a reference, or where no row is alike.
        is_reference: whether others are compared with it.
        paper: what the paper found for just this.
        paper_others: where it found nothing for just this, what it found for the like of it with other backbones.
    """

    axes: Mapping[str, str]
    answers: pl.DataFrame
    measures: frozenset[str]
    usd: float | None = None
    seconds: float | None = None
    trained_on: float | None = None
    mix: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    scored_on: frozenset[str] = frozenset()
    said: Sequence[str] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    reference: Row | None = None
    is_reference: bool = False
    paper: Sequence[Published] = ()
    paper_others: Sequence[Published] = ()

    @property
    def tuned(self) -> bool:
        """Whether it was trained on anything; a choice among rows was not."""
        return self.trained_on is not None

    @property
    def prompted(self) -> bool:
        """Whether it was only prompted; a choice among rows was not."""
        return self.axes.get("adapter") == "none"

    @cached_property
    def questions(self) -> pl.DataFrame:
        """One line a question, sorted, with the means of ``own, right, f1, finished`` over the seeds that answered
        it."""
        return self.answers.group_by("question").agg(pl.col("own", "right", "f1", "finished").mean()).sort("question")

    @cached_property
    def seeds(self) -> dict[str, float]:
        """The mean score of each seed."""
        return dict(self.answers.group_by(SEED, maintain_order=True).agg(pl.col("own").mean()).iter_rows())

    @cached_property
    def rounds(self) -> NDArray[np.int64]:
        """Of every answer in which the model said anything at all."""
        return self.answers["rounds"].drop_nulls().to_numpy()

    @property
    def score(self) -> float:
        """The mean over questions."""
        return self.mean("own")

    def mean(self, name: str) -> float:
        """Of ``own``, ``right``, ``f1`` or ``finished`` over questions."""
        return float(self.questions[name].to_numpy().mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 %, of the mean score over questions: see ``mean_ci95``."""
        return mean_ci95(self.questions["own"].to_numpy())

    @cached_property
    def differences(self) -> NDArray[np.float64] | None:
        """From the reference, one a question; None without one, or where it did not answer the same questions."""
        if self.reference is None:
            return None
        ours, theirs = self.questions, self.reference.questions
        alike = ours["question"].equals(theirs["question"])
        return (ours["own"] - theirs["own"]).to_numpy() if alike else None

    @property
    def compared(self) -> str:
        """``reference, paired, other questions`` (than its reference answered) or ``no reference``."""
        if self.reference is None:
            return "reference" if self.is_reference else "no reference"
        return "other questions" if self.differences is None else "paired"

    @cached_property
    def p(self) -> float | None:
        """Of the paired test; None where there is no difference to test."""
        return None if self.differences is None else paired_p_value(self.differences)


def read_rows(grid: Grid) -> tuple[Grid, list[Row]]:
    """The grid with the cells whose files can't be read among its failed ones, and the rows of the others.

    Rows are in the order of their first cells.
    """
    cells: list[Cell] = []
    groups: dict[frozenset[tuple[str, str]], list[tuple[Cell, pl.DataFrame]]] = {}
    for cell in grid.cells:
        if not cell.failed:
            try:
                answers = read_answers(cell)
                groups.setdefault(frozenset(without_seed(cell.axes).items()), []).append((cell, answers))
            except DataError as error:
                cell = replace(cell, failed=str(error))
        cells.append(cell)
    return replace(grid, cells=tuple(cells)), [_row(group) for group in groups.values()]


def without_seed(axes: Mapping[str, str]) -> dict[str, str]:
    """All axes but the seed."""
    return {axis: value for axis, value in axes.items() if axis != SEED}


def read_answers(cell: Cell) -> pl.DataFrame:
    """The cell's answers, without their text; of two to one question the later.

    Raises:
        DataError: its files are missing or malformed, or hold no trajectory.
    """
    _ = cell.metrics, cell.fit_metrics
    outcomes = [
        (_identity(t.question), t.score.own, t.score.correct, t.score.f1, t.ending is Ending.FINISH,
         t.rounds if t.steps else None)
        for t in cell.trajectories()
    ]
    if not outcomes:
        raise DataError(f"{cell.run / PREDICTIONS} holds no trajectory; remove its folder and run the command again")
    answers = pl.DataFrame(outcomes, _ANSWERS, orient="row").unique("question", keep="last")
    return answers.sort("question")


def _identity(question: Question) -> str:
    """A space sorts before all that ids go on with, so the order is that of the ids."""
    asked = "\0".join([question.prompt(), question.answer])
    digest = hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{question.id} {digest}".encode(errors="backslashreplace").decode()


def _row(group: Sequence[tuple[Cell, pl.DataFrame]]) -> Row:
    cells = [cell for cell, _ in group]
    seeds = [answers.with_columns(pl.lit(cell.axes.get(SEED, str(number))).alias(SEED))
             for number, (cell, answers) in enumerate(group)]
    rates = [_rates(cell) for cell in cells if cell.tuned]
    return Row(
        without_seed(cells[0].axes),
        pl.concat(seeds),
        frozenset(measure_of(cell.metrics) for cell in cells),
        usd=_mean([cell.metrics["cost_usd"] / cell.metrics["n"] for cell in cells]),
        seconds=_mean([cell.metrics["seconds"] / cell.metrics["n"] for cell in cells]),
        trained_on=_mean(sizes) if (sizes := [c.trained_on for c in cells if c.trained_on is not None]) else None,
        mix={name: _mean([other.mix.get(name, 0) for other in cells]) for cell in cells for name in cell.mix},
        rates={key: _mean([rate[key] for rate in rates]) for key in (rates[0] if rates else ())
               if all(key in rate for rate in rates)},
        said=list(dict.fromkeys(sentence for cell in cells for sentence in said(cell.metrics))),
        facts=_facts(cells),
        scored_on=frozenset(f"{c.metrics.get('task', '?')} with {c.metrics.get('retriever', '?')}" for c in cells),
    )


def _facts(cells: Sequence[Cell]) -> dict[str, float]:
    """The means over cells of what all of them know."""
    known = [facts_of(cell.metrics) for cell in cells]
    return {key: _mean([each[key] for each in known]) for key in known[0] if all(key in each for each in known)}


def _rates(cell: Cell) -> dict[str, float]:
    """Of a tuning, as far as they are known; trajectories are counted as they pass forward and back."""
    metrics, rates = cell.fit_metrics, {}
    assert cell.fit is not None
    if weights := list((cell.fit / "adapter").glob("*.safetensors")):
        rates["adapter_mb"] = sum(file.stat().st_size for file in weights) / 1e6
    if "tokens_per_s" in metrics:
        rates["tokens_per_s"] = float(metrics["tokens_per_s"])
    try:
        config = yaml.safe_load((cell.fit / "config.yaml").read_text(encoding="utf-8"))
        kept = metrics["data"]["kept"] - metrics["data"].get("too_long_dropped", 0)
        rows = kept * (1 - config["val_fraction"])  # of an epoch, which has so many steps that all rows are in one
        seen = rows * metrics["steps"] / math.ceil(rows / config["optim"]["batch_size"])
        rates["trajectories_per_s"] = seen / metrics["seconds"]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ZeroDivisionError):
        pass  # an adapter from elsewhere, or of a version that recorded less
    return rates


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
