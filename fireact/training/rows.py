"""Trajectories → token ids with a mask of what the model must say."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from fireact.errors import ConfigError, DataError
from fireact.formats.base import Segment, TextFormat, Tokenizer, encode
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.records import Ending, Trajectory


@dataclass(frozen=True, slots=True)
class Row:
    """One training example: ``ids`` (T,) int32 and ``targets`` (T,) bool; ``question`` is the question's id."""

    question: str
    ids: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Fit:
    """What did not fit in ``max_length`` tokens, by question id; ``lost`` counts the dropped by ``task/method``."""

    dropped: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class RowMaker:
    """How trajectories become rows.

    ``loss_on`` is ``targets`` (thoughts, actions and the end token) or ``all`` (every token: question, observations and
    closing line too, as the paper's released code does).

    ``too_long`` says what happens to a trajectory of more than ``max_length`` tokens: ``drop`` it, stop with an
    ``error``, or ``split`` it at a step. A split one keeps its question and the first steps that fit, without an end
    token: just what an acting model has seen by then. Its later steps are left out, since without the earlier ones they
    would follow a prompt that no acting model ever sees.

    Raises:
        ConfigError: ``loss_on`` or ``too_long`` is unknown.
    """

    text_format: TextFormat
    tokenizer: Tokenizer
    loss_on: str = "targets"
    max_length: int | None = None
    too_long: str = "drop"

    def __post_init__(self) -> None:
        if self.loss_on not in ("targets", "all"):
            raise ConfigError(f"loss_on={self.loss_on} is unknown; choose targets or all")
        if self.too_long not in ("drop", "split", "error"):
            raise ConfigError(f"too_long={self.too_long} is unknown; choose drop, split or error")

    def rows(self, trajectories: Iterable[Trajectory]) -> tuple[list[Row], Fit]:
        """One row per trajectory that fits, in order, and the names of those that do not.

        Raises:
            DataError: a trajectory is too long under ``too_long=error``, or none fits.
        """
        rows, fit = [], Fit()
        for trajectory in trajectories:
            ids, targets = _encoded(tuple(self.segments(trajectory)), self.tokenizer)
            if length := self._fitting(trajectory.question.id, targets, fit):
                learnt = targets if self.loss_on == "targets" else [True] * len(ids)
                rows.append(
                    Row(
                        trajectory.question.id,
                        torch.tensor(ids[:length], dtype=torch.int32),
                        torch.tensor(learnt[:length], dtype=torch.bool),
                    )
                )
            else:
                fit.lost[f"{trajectory.question.task}/{trajectory.method}"] += 1
        if not rows:
            raise DataError(f"each of {len(fit.dropped)} trajectories exceeds max_length={self.max_length}; raise it")
        return rows, fit

    def segments(self, trajectory: Trajectory) -> list[Segment]:
        """What is tokenised. Context that nothing follows teaches nothing and is left out, unless all is learnt."""
        finished = trajectory.ending == Ending.FINISH
        if finished and self.loss_on == "targets":
            # the closing line would stand between the answer and the end token, where no acting model meets it
            *steps, last = trajectory.steps
            trajectory = replace(trajectory, steps=(*steps, replace(last, observation=None)))
        segments = self.text_format.segments(dialogue_of(trajectory)) + (self.text_format.end() if finished else [])
        while self.loss_on == "targets" and not segments[-1].target:
            segments.pop()
        return segments

    def _fitting(self, question: str, targets: list[bool], fit: Fit) -> int:
        """How many of the tokens to keep; 0 drops the trajectory."""
        if self.max_length is None or len(targets) <= self.max_length:
            return len(targets)
        if self.too_long == "error":
            raise DataError(
                f"the trajectory of {question} has {len(targets)} tokens, more than max_length={self.max_length}; "
                "raise it or choose too_long=drop or split"
            )
        length = last_turn_end(targets, self.max_length) if self.too_long == "split" else 0
        (fit.split if length else fit.dropped).append(question)
        return length


@functools.lru_cache(maxsize=2048)
def _encoded(segments: tuple[Segment, ...], tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """``encode``, once for all cells of a sweep."""
    return encode(segments, tokenizer)


def last_turn_end(targets: Sequence[bool], length: int) -> int:
    """Where the last turn that ends within ``length`` tokens ends; 0 if there is none."""
    ends = (at for at in range(length, 0, -1) if targets[at - 1] and not targets[at])
    return next(ends, 0)
