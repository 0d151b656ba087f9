"""MMLU (Hendrycks et al. 2021): four-way choice from 57 subjects; right if the answer starts with the letter.

Test question 0 of anatomy: "A lesion causing compression of the facial nerve at the stylomastoid foramen will cause
ipsilateral" and four choices → "A".
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator
from typing import Any, Literal

from fireact.errors import ConfigError
from fireact.ranges import NoEffect, Text, Texts
from fireact.tasks.questions import QuestionFile, starts
from fireact.trajectories.records import Question
from fireact.trajectories.storage.download import Need, fetch, names, need

SPLITS = ("dev", "val", "test")


class MMLU(QuestionFile):
    """Questions of ``split`` (dev: 5 a subject, val: 1,531, test: 14,042).

    ``subjects`` is a list of their file names (``high_school_physics``) or ``all``; a question's kind is its subject.
    Other arguments: see ``QuestionFile``.

    Raises:
        ConfigError: a subject or the split does not exist.
    """

    def __init__(
        self,
        name: Text = "mmlu",
        subjects: Text | Texts = "all",
        split: Literal["dev", "val", "test"] = "test",
        cache_dir: NoEffect[Text] = ".cache/data",
        **arrangement: Any,
    ) -> None:
        super().__init__(name, right=starts, **arrangement)
        if split not in SPLITS:
            raise ConfigError(f"task.split={split} is unknown; choose {', '.join(SPLITS)}")
        known = subjects_of(split)
        self._subjects = known if subjects == "all" else [subjects] if isinstance(subjects, str) else list(subjects)
        for subject in self._subjects:
            if subject not in known:
                close = difflib.get_close_matches(subject, known, n=3) or known[:3]
                raise ConfigError(f"task.subjects names {subject}, which is none of MMLU's 57; try {', '.join(close)}")
        self._split, self._cache_dir = split, cache_dir

    def files(self) -> list[Need]:
        """See ``QuestionFile``."""
        needs = (need(self._file(subject), self._cache_dir) for subject in self._subjects)
        return list(dict.fromkeys(needs))  # what is not there yet comes in one archive

    def read(self) -> list[Question]:
        """See ``QuestionFile``; subject by subject."""
        return [
            Question(
                id=f"mmlu-{self._split}-{subject}-{i}",
                text=row[0].strip(),
                answer=row[-1].strip(),
                task=self.name,
                split=self._split,
                choices=tuple(choice.strip() for choice in row[1:-1]),
                kind=subject,
            )
            for subject in self._subjects
            for i, row in enumerate(self._rows(subject))
        ]

    def _rows(self, subject: str) -> Iterator[list[str]]:
        with fetch(self._file(subject), self._cache_dir).open(encoding="utf-8", newline="") as lines:
            yield from csv.reader(lines)

    def _file(self, subject: str) -> str:
        return f"mmlu/{self._split}/{subject}_{self._split}.csv"


def subjects_of(split: str) -> list[str]:
    """The 57 subjects, by name."""
    return sorted(name.split("/")[-1].removesuffix(f"_{split}.csv") for name in names(f"mmlu/{split}/"))
