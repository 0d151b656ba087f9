"""HotpotQA (Yang et al. 2018): two-hop questions over Wikipedia, scored by exact match.

Dev question 0: "Were Scott Derrickson and Ed Wood of the same nationality?" → "yes".
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from fireact.download import fetch
from fireact.errors import ConfigError, DataError
from fireact.ranges import Text
from fireact.records import Document, Question
from fireact.tasks.questions import QuestionFile

_PAPER_SEED, _PAPER_QUESTIONS = 233, 500
_FILES = {"dev": "dev.json", "train": "hotpot_train_v1.1.json", "distractor300": "questions_300.jsonl"}


class HotpotQA(QuestionFile):
    """Questions of the dev or the training set.

    Args:
        questions: ``dev`` (all 7,405), ``train`` (90,447, a download of 540 MB) or ``distractor300`` (nearly the first
            300 of dev: one, dev question 239, is not in that set) with the paragraphs of their distractor setting as a
            corpus. The latter is cut from the distractor dev set and comes only with a local mirror. None: dev for the
            paper's order, else distractor300.
        path: a file of the official format to read dev or train from instead of downloading it.
        order: ``file``, ``shuffle``, or ``paper``: the 500 of dev that the paper's authors evaluate on, in their order.
        cache_dir: where downloads are kept.
        arrangement: see ``QuestionFile``.

    Raises:
        ConfigError: an argument is unknown, or two don't go together.
    """

    orders = ("file", "shuffle", "paper")

    def __init__(
        self,
        name: Text = "hotpotqa",
        questions: Literal["distractor300", "dev", "train"] | None = None,
        path: Text | None = None,
        order: Literal["file", "shuffle", "paper"] = "file",
        cache_dir: Text = ".cache/data",
        **arrangement: Any,
    ) -> None:
        self._is_papers = order == "paper"
        super().__init__(name, "file" if order == "paper" else order, **arrangement)
        questions = questions or ("dev" if order == "paper" else "distractor300")
        if questions not in _FILES:
            raise ConfigError(f"task.questions={questions} is unknown; choose {', '.join(_FILES)}")
        if order == "paper" and questions != "dev":
            raise ConfigError(f"task.order=paper draws from all of dev; leave out task.questions={questions}")
        if path is not None and questions == "distractor300":
            raise ConfigError("task.path is a file of the official format; say task.questions=train or dev with it")
        self._selection, self._path, self._cache_dir = questions, path, cache_dir

    def read(self) -> list[Question]:
        """See ``QuestionFile``."""
        if self._selection == "distractor300":
            return [self._question(f"distractor300-{row['id']}", row) for row in self._lines(_FILES["distractor300"])]
        return [self._question(f"{self._selection}-{i}", row) for i, row in enumerate(self._rows())]

    def arrange(self, questions: list[Question]) -> list[Question]:
        """See ``QuestionFile``."""
        if self._is_papers:
            return [questions[index] for index in paper_order(len(questions))]
        return super().arrange(questions)

    def documents(self) -> Iterable[Document]:
        """The 2,972 paragraphs behind the 300 questions.

        Raises:
            ConfigError: the task asks anything else, whose corpus is Wikipedia itself.
            DataError: the file can't be had.
        """
        if self._selection != "distractor300":
            return super().documents()
        return (Document(row["title"], row["text"]) for row in self._lines("paragraphs.jsonl"))

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        path: Path = fetch(f"hotpotqa/{name}", self._cache_dir)
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def _rows(self) -> list[dict[str, Any]]:
        """The rows of an official file; one of the user's own is checked first."""
        name = f"hotpotqa/{_FILES[self._selection]}"
        path = Path(self._path) if self._path else fetch(name, self._cache_dir)
        if not path.is_file():
            raise DataError(f"{path} does not exist; task.path needs HotpotQA's {path.name}")
        try:
            rows = json.loads(path.read_bytes())
        except ValueError as error:
            raise DataError(f"{path} is not JSON ({error}); task.path needs a file of HotpotQA's format") from None
        for number, row in enumerate(rows if isinstance(rows, list) else [None], start=1):
            if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("question", "answer")):
                raise DataError(f"{path}, row {number}: expected an object with a question and an answer")
        return list(rows)

    def _question(self, place: str, row: dict[str, Any]) -> Question:
        return Question(
            id=f"hotpotqa-{place}",
            text=row["question"].strip(),
            answer=row["answer"],
            task=self.name,
            split="train" if self._selection == "train" else "dev",
            kind=row.get("type", ""),
        )


def paper_order(total: int) -> list[int]:
    """The places in the dev file of the paper's 500 questions, in its order (released ``generation.py --random``)."""
    places = list(range(total))
    random.Random(_PAPER_SEED).shuffle(places)
    return places[:_PAPER_QUESTIONS]
