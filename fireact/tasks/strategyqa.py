"""StrategyQA (Geva et al. 2021): yes/no questions whose steps are implicit; right if the answer starts so.

Dev question 0: "Will the Albany in Georgia reach a hundred thousand occupants before the one in New York?" → "no".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from fireact.errors import ConfigError
from fireact.ranges import NoEffect, Text
from fireact.tasks.questions import QuestionFile, starts
from fireact.trajectories.records import Document, Question
from fireact.trajectories.storage.download import Need, fetch, need

_FILES = {"dev": "strategyqa_dev.json", "train": "strategyqa_train_filtered.json"}


class StrategyQA(QuestionFile):
    """``split`` is dev (229) or train (the 2,821 of the filtered training set, which have no facts).

    Other arguments: see ``QuestionFile``.

    Raises:
        ConfigError: the split does not exist.
    """

    def __init__(
        self, name: Text = "strategyqa", split: Literal["dev", "train"] = "dev",
        cache_dir: NoEffect[Text] = ".cache/data", **arrangement: Any,
    ) -> None:
        super().__init__(name, right=starts, **arrangement)
        if split not in _FILES:
            raise ConfigError(f"task.split={split} is unknown; choose {' or '.join(_FILES)}")
        self._split, self._cache_dir, self._file = split, cache_dir, f"strategyqa/{_FILES[split]}"

    def files(self) -> list[Need]:
        """See ``QuestionFile``."""
        return [need(self._file, self._cache_dir)]

    def corpus_files(self) -> list[Need]:
        """See ``QuestionFile``; none of train, which has no corpus."""
        return self.files() if self._split == "dev" else []

    def read(self) -> list[Question]:
        """See ``QuestionFile``."""
        return [
            Question(
                id=f"strategyqa-{self._split}-{i}",
                text=row["question"].strip(),
                answer="yes" if row["answer"] else "no",
                task=self.name,
                split=self._split,
                evidence=(row["term"],) if "facts" in row else (),
            )
            for i, row in enumerate(self._rows())
        ]

    def documents(self) -> Iterable[Document]:
        """One article per dev question: what its term is, and the facts that its annotator wrote down.

        They are written for the questions, so this corpus is far easier than Wikipedia.

        Raises:
            ConfigError: the split has no facts.
            DataError: the file can't be had.
        """
        return super().documents() if self._split == "train" else map(_article, self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(fetch(self._file, self._cache_dir).read_text("utf-8"))
        return rows


def _article(row: dict[str, Any]) -> Document:
    sentences = [row["description"], *row["facts"]]
    return Document(row["term"], " ".join(f"{sentence.strip().rstrip('.')}." for sentence in sentences))
