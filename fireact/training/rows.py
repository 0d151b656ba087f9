"""Trajectories → token ids with a mask of what the model must say."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from fireact.errors import ConfigError, DataError
from fireact.formats.base import Example, TextFormat
from fireact.trajectories.dialogue import Dialogue, dialogue_of, split_reasoning
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
    """What did not fit in ``max_length`` tokens, by question id; ``lost`` counts the dropped by ``task/method``.

    ``by_turn`` counts the rows of trajectories that make several, one a turn or so; ``reasoning`` the turns whose
    reasoning is not learnt, since ``backbone.thinking`` is none; ``thoughts`` those whose thought the format
    has no place for, such as one before an answer that is a message of its own.
    """

    dropped: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    by_turn: int = 0
    reasoning: int = 0
    thoughts: int = 0


@dataclass(frozen=True, slots=True)
class RowMaker:
    """How trajectories become rows: one each, or, where ``text_format`` changes what was said before, one a turn.

    ``loss_on`` is ``targets`` (thoughts, actions and the end token) or ``all`` (every token: question, observations and
    closing line too, as the paper's released code does). A turn that is not ``learnt`` is context under both.

    ``too_long`` says what happens to a trajectory of more than ``max_length`` tokens: ``drop`` it, stop with an
    ``error``, or ``split`` it at a step. A split one keeps its question and the first steps that fit, without an end
    token: just what an acting model has seen by then. Its later steps are left out, since without the earlier ones they
    would follow a prompt that no acting model ever sees. Where each turn is a row, those that fit are kept.

    Raises:
        ConfigError: ``loss_on`` or ``too_long`` is unknown.
    """

    text_format: TextFormat
    loss_on: str = "targets"
    max_length: int | None = None
    too_long: str = "drop"

    def __post_init__(self) -> None:
        if self.loss_on not in ("targets", "all"):
            raise ConfigError(f"loss_on={self.loss_on} is unknown; choose targets or all")
        if self.too_long not in ("drop", "split", "error"):
            raise ConfigError(f"too_long={self.too_long} is unknown; choose drop, split or error")

    def rows(self, trajectories: Iterable[Trajectory]) -> tuple[list[Row], Fit]:
        """The rows of the trajectories that fit, in order, and the names of those that do not.

        Raises:
            DataError: a trajectory is too long under ``too_long=error``, has no turn to learn, or none fits.
        """
        rows, fit = [], Fit()
        for trajectory in trajectories:
            question = trajectory.question.id
            examples = self.examples(trajectory)
            lengths = self._fitting(question, [example.targets for example in examples], fit)
            for example, length in zip(examples, lengths, strict=False):
                learnt = example.targets if self.loss_on == "targets" else _all_but(example.barred, len(example.ids))
                rows.append(
                    Row(
                        question,
                        torch.tensor(example.ids[:length], dtype=torch.int32),
                        torch.tensor(learnt[:length], dtype=torch.bool),
                    )
                )
            if lengths:
                fit.reasoning += self._unlearnt(trajectory)
                fit.thoughts += sum(map(self.text_format.unsaid, trajectory.steps))
                fit.by_turn += len(lengths) if len(examples) > 1 else 0
            else:
                fit.lost[f"{trajectory.question.task}/{trajectory.method}"] += 1
        if not rows:
            raise DataError(f"each of {len(fit.dropped)} trajectories exceeds max_length={self.max_length}; raise it")
        return rows, fit

    def examples(self, trajectory: Trajectory) -> list[Example]:
        """What is learnt of ``trajectory``. Unless all is, what a last turn was answered with is left out: it teaches
        nothing, and a closing line would stand between the answer and the end token, where no acting model meets it.
        """
        finished, everything = trajectory.ending == Ending.FINISH, self.loss_on == "all"
        examples = _examples(self.text_format, dialogue_of(trajectory), finished, everything)
        if not examples:
            raise DataError(f"no turn of the trajectory of {trajectory.question.id} is to be learnt; leave it out, or "
                            "mark the turns that are")
        return examples

    def _unlearnt(self, trajectory: Trajectory) -> int:
        """How many turns hold reasoning that the format leaves out."""
        reasoning = [split_reasoning(step.thought)[0] for step in trajectory.steps]
        return sum(1 for text in reasoning if text and not self.text_format.kept(text))

    def _fitting(self, question: str, rows: Sequence[Sequence[bool]], fit: Fit) -> list[int]:
        """How many of the tokens of each row to keep, up to the first row that is cut; nothing drops all of them.

        Args:
            rows: for each row, whether its tokens are targets.
        """
        lengths = [len(targets) for targets in rows]
        longest = max(lengths)
        if self.max_length is None or longest <= self.max_length:
            return lengths
        if self.too_long == "error":
            raise DataError(
                f"the trajectory of {question} has {longest} tokens, more than max_length={self.max_length}; "
                "raise it or choose too_long=drop or split"
            )
        kept = []
        if self.too_long == "split":
            cut = next(at for at, length in enumerate(lengths) if length > self.max_length)
            kept = lengths[:cut]
            kept += [length] if (length := last_turn_end(rows[cut], self.max_length)) else []
        (fit.split if kept else fit.dropped).append(question)
        return kept


def _all_but(barred: Sequence[bool], length: int) -> list[bool]:
    return [not bar for bar in barred] or [True] * length


@functools.lru_cache(maxsize=2048)
def _examples(form: TextFormat, dialogue: Dialogue, finished: bool, everything: bool) -> list[Example]:
    """``TextFormat.examples``, once for all cells of a sweep."""
    return form.examples(dialogue, finished, everything)


def last_turn_end(targets: Sequence[bool], length: int) -> int:
    """Where the last turn that ends within ``length`` tokens ends; 0 if there is none."""
    ends = (at for at in range(length, 0, -1) if targets[at - 1] and not targets[at])
    return next(ends, 0)
