"""The seam for tasks: where questions come from and how an answer is scored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from fireact.trajectories.records import Document, Question, Score


class Task(Protocol):
    """Questions and their scoring. ``name`` is in every trajectory and table.

    ``measure`` is what the share of answers that are ``Score.correct`` is called there: ``EM`` where that is the exact
    match, else ``accuracy`` or a name of the task's own.
    """

    name: str
    measure: str

    def questions(self) -> list[Question]:
        """The questions of the configured split, in the configured order, cut to the configured limit."""
        ...

    def score(self, question: Question, answer: str) -> Score:
        """Score one predicted answer ("" if the episode gave none)."""
        ...

    def documents(self) -> Iterable[Document]:
        """The corpus a local search tool may index.

        Raises:
            ConfigError: the task comes without a corpus.
        """
        ...
