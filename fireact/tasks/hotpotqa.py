"""HotpotQA (Yang et al. 2018): two-hop questions over Wikipedia, scored by exact match.

Dev question 0: "Were Scott Derrickson and Ed Wood of the same nationality?" → "yes".
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fireact.download import fetch
from fireact.errors import ConfigError
from fireact.metrics import exact_match, f1_score
from fireact.records import Document, Question, Score

_PAPER_SEED, _PAPER_QUESTIONS = 233, 500


class HotpotQA:
    """Questions of the dev set.

    Args:
        questions: ``dev`` (all 7,405) or ``distractor300`` (nearly the first 300 of them: one, dev question 239, is not
            in that set) with the paragraphs of their distractor setting as a corpus. The latter is cut from the
            distractor dev set and comes only with a local mirror.
        order: ``file``, or ``paper``: the 500 of dev that the paper's authors evaluate on, in their order.
        limit: keep only the first so many; all if None.
        cache_dir: where downloads are kept.

    Raises:
        ConfigError: an argument is unknown, or the paper's order is asked of anything but dev.
    """

    name = "hotpotqa"

    def __init__(
        self,
        questions: str = "distractor300",
        order: str = "file",
        limit: int | None = None,
        cache_dir: str = ".cache/data",
    ) -> None:
        if questions not in ("dev", "distractor300"):
            raise ConfigError(f"task.questions={questions} is unknown; choose dev or distractor300")
        if order not in ("file", "paper"):
            raise ConfigError(f"task.order={order} is unknown; choose file or paper")
        if order == "paper" and questions != "dev":
            raise ConfigError("task.order=paper draws from all 7,405 dev questions; add task.questions=dev")
        self._selection, self._order, self._limit, self._cache_dir = questions, order, limit, cache_dir

    def questions(self) -> list[Question]:
        """See ``Task``. The id holds the question's place in its file, whatever the order.

        Raises:
            DataError: the file can't be had.
        """
        if self._selection == "distractor300":
            questions = [_question(f"distractor300-{row['id']}", row) for row in self._lines("questions_300.jsonl")]
        else:
            rows = json.loads(fetch("hotpotqa/dev.json", self._cache_dir).read_text("utf-8"))
            questions = [_question(f"dev-{index}", row) for index, row in enumerate(rows)]
        if self._order == "paper":
            questions = [questions[index] for index in paper_order(len(questions))]
        return questions[: self._limit]

    def score(self, question: Question, answer: str) -> Score:
        """Exact match and token F1 of the normalised texts; right means exact."""
        em = exact_match(answer, question.answer)
        return Score(em, f1_score(answer, question.answer), em == 1.0)

    def documents(self) -> Iterable[Document]:
        """The 2,972 paragraphs behind the 300 questions.

        Raises:
            ConfigError: the task asks all of dev, whose corpus is Wikipedia itself.
            DataError: the file can't be had.
        """
        if self._selection != "distractor300":
            raise ConfigError("task.questions=dev has no local corpus; use distractor300 or another search tool")
        return (Document(row["title"], row["text"]) for row in self._lines("paragraphs.jsonl"))

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        path: Path = fetch(f"hotpotqa/{name}", self._cache_dir)
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def paper_order(total: int) -> list[int]:
    """The places in the dev file of the paper's 500 questions, in its order (released ``generation.py --random``)."""
    places = list(range(total))
    random.Random(_PAPER_SEED).shuffle(places)
    return places[:_PAPER_QUESTIONS]


def _question(place: str, row: dict[str, Any]) -> Question:
    return Question(
        id=f"hotpotqa-{place}",
        text=row["question"].strip(),
        answer=row["answer"],
        task=HotpotQA.name,
        split="dev",
        kind=row.get("type", ""),
    )
