"""What the tasks that read files share: an order, a limit, and a rule that says which answers are right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from random import Random
from typing import ClassVar, Literal

from fireact.errors import ConfigError
from fireact.ranges import Count, Seed, Text
from fireact.trajectories.metrics import exact_match, f1_score
from fireact.trajectories.records import ACCURACY, EM, Document, Question, Score
from fireact.trajectories.storage.download import Need

Rule = Callable[[str, str], bool]  # (predicted, gold) → right


def matches(answer: str, gold: str) -> bool:
    """Exact match of the normalised texts (HotpotQA, Bamboogle)."""
    return exact_match(answer, gold) == 1.0


def starts(answer: str, gold: str) -> bool:
    """The answer starts with the gold one, yes, no or a letter, in either case (the paper's StrategyQA and MMLU)."""
    return answer.strip().lower().startswith(gold.lower())


class QuestionFile(ABC):
    """A task whose questions are in files; a subclass says how to ``read`` them.

    Args:
        name: what the task is called in trajectories and tables.
        order: one of ``orders``; ``shuffle`` is by ``seed``, so that the limit does not change which come first.
        limit: how many at most, from the first on; all if None.
        prompts: the folder of its few-shot prompts if that is not ``name``; the configuration reads it.
        right: the task's own rule, which a subclass sets.

    Raises:
        ConfigError: the order or the limit is impossible.
    """

    orders: ClassVar[tuple[str, ...]] = ("file", "shuffle")

    def __init__(
        self,
        name: Text,
        order: Literal["file", "shuffle", "paper"] = "file",
        seed: Seed = 0,
        limit: Count | None = None,
        prompts: Text | None = None,
        right: Rule = matches,
    ) -> None:
        if order not in self.orders:
            raise ConfigError(f"task.order={order} is unknown; choose {', '.join(self.orders)}")
        if limit is not None and limit < 1:
            raise ConfigError(f"task.limit={limit} asks nothing; choose 1 or more, or null for all")
        self.name = name
        self.measure = EM if right is matches else ACCURACY
        self._order, self._seed, self._limit, self._right = order, seed, limit, right

    def questions(self) -> list[Question]:
        """See ``Task``. Ids hold a question's place in its file, in any order.

        Raises:
            DataError: a file can't be had or is malformed.
        """
        return self.arrange(self.read())[: self._limit]

    def files(self) -> list[Need]:
        """The public files that ``questions`` reads; a task of such files says them, so that they are checked early."""
        return []

    def corpus_files(self) -> list[Need]:
        """The public files that ``documents`` reads."""
        return []

    @abstractmethod
    def read(self) -> list[Question]:
        """All questions, in the order of their files."""

    def arrange(self, questions: list[Question]) -> list[Question]:
        """The questions in the configured order."""
        return Random(self._seed).sample(questions, len(questions)) if self._order == "shuffle" else questions

    def score(self, question: Question, answer: str) -> Score:
        """Exact match and token F1 of the normalised texts; right by the task's own rule."""
        em, f1 = exact_match(answer, question.answer), f1_score(answer, question.answer)
        return Score(em, f1, self._right(answer, question.answer))

    def documents(self) -> Iterable[Document]:
        """See ``Task``; here always ConfigError."""
        raise ConfigError(f"{self.name} has no corpus of its own; add search.corpus=FILE (JSONL of title and text) or "
                          "choose another search tool")
