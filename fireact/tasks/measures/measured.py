"""A task whose answers are scored by a measure of one's choice instead of the task's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fireact.errors import DataError
from fireact.tasks.base import Task
from fireact.tasks.measures.base import Measure
from fireact.trajectories.metrics import exact_match, f1_score
from fireact.trajectories.records import Document, Question, Score


class Measured:
    """The questions and documents of ``task``, scored by ``measure``; see ``Task``, but for ``score``."""

    def __init__(self, task: Task, measure: Measure) -> None:
        self.name, self.measure, self.about = task.name, measure.name, measure.about
        self._task, self._measure = task, measure
        self.provenance = {"measure": measure.name}
        if sha256 := getattr(measure, "sha256", ""):
            self.provenance["measure_sha256"] = sha256

    def questions(self) -> list[Question]:
        """See ``Task``.

        Raises:
            DataError: one could not be scored; names its place, or its id where its task does not know that.
        """
        questions = self._task.questions()
        where: Callable[[Question], str] = getattr(self._task, "where", lambda question: f"question {question.id}")
        for question in questions:
            try:
                self._measure.check(question)
            except DataError as error:
                raise DataError(f"{where(question)}: {error}") from None
        return questions

    async def score(self, question: Question, answer: str) -> tuple[Score, Mapping[str, str]]:
        """The score of one predicted answer ("" if the episode gave none), and what provenance is to say of it. Exact
        match and F1 are there as always.

        Raises:
            ModelError, BudgetError, ConfigError: see ``Measure.verdict``.
        """
        verdict = await self._measure.verdict(question, answer)
        em, f1 = exact_match(answer, question.answer), f1_score(answer, question.answer)
        return Score(em, f1, verdict.right, verdict.value), verdict.facts

    def documents(self) -> Iterable[Document]:
        """See ``Task``."""
        return self._task.documents()

    async def aclose(self) -> None:
        """Release what the measure holds."""
        if close := getattr(self._measure, "aclose", None):
            await close()
