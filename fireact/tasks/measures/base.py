"""The seam for measures: what makes an answer right, and what of it must hold before a model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fireact.trajectories.records import Question

UNSCORED = "unscored"  # of a verdict's facts: why an answer counts as wrong without having been compared


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is ``right``; ``value``, in 0…1, is what counts instead where there is more than right and
    wrong. ``facts`` go into the trajectory's provenance."""

    right: bool
    value: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class Measure(Protocol):
    """``name`` is what its score is called in metrics and tables, ``about`` says in a sentence when an answer is right.

    A measure whose rule is more than its configuration also has a ``sha256`` of it. One that asks a model has the
    arguments ``lm``, None where nothing is asked yet, and ``aclose``.
    """

    name: str
    about: str

    def check(self, question: Question) -> None:
        """Refuse a question whose answers could not be scored; called for each before any model is asked.

        Raises:
            DataError: what is wrong with the question, without its place, which the caller adds.
        """
        ...

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """The verdict on one predicted answer ("" if the episode gave none).

        Raises:
            ModelError, BudgetError: a model that it asks could not answer; the question is then acted out again later.
            ConfigError: the measure itself is broken; the run stops, and goes on when it is repaired.
        """
        ...
