"""Bamboogle (Press et al. 2022): 125 two-hop questions that Google's first result does not answer; exact match.

Question 0: "Who was president of the United States in the year that Citibank was founded?" → "james madison".
"""

from __future__ import annotations

import csv
from typing import Any

from fireact.ranges import NoEffect, Text
from fireact.tasks.questions import QuestionFile
from fireact.trajectories.records import Question
from fireact.trajectories.storage.download import Need, fetch, need

_FILE = "bamboogle/test.csv"


class Bamboogle(QuestionFile):
    """All there is is a test split, for evaluation only. See ``QuestionFile``."""

    def __init__(self, name: Text = "bamboogle", cache_dir: NoEffect[Text] = ".cache/data", **arrangement: Any) -> None:
        super().__init__(name, **arrangement)
        self._cache_dir = cache_dir

    def files(self) -> list[Need]:
        """See ``QuestionFile``."""
        return [need(_FILE, self._cache_dir)]

    def read(self) -> list[Question]:
        """See ``QuestionFile``."""
        with fetch(_FILE, self._cache_dir).open(encoding="utf-8", newline="") as lines:
            return [
                Question(f"bamboogle-test-{i}", row["Question"].strip(), row["Answer"].strip(), self.name, "test")
                for i, row in enumerate(csv.DictReader(lines))
            ]
