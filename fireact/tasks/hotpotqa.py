"""HotpotQA (Yang et al. 2018): two-hop questions over Wikipedia, scored by exact match.

Dev question 0: "Were Scott Derrickson and Ed Wood of the same nationality?" → "yes".
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from fireact.errors import ConfigError, DataError
from fireact.ranges import NoEffect, Text
from fireact.tasks.hotpotqa_files import read_paragraphs, read_rows
from fireact.tasks.questions import QuestionFile
from fireact.trajectories.records import Document, Question
from fireact.trajectories.storage import reading
from fireact.trajectories.storage.digests import digest
from fireact.trajectories.storage.download import Need, fetch, need, together

_PAPER_SEED, _PAPER_QUESTIONS = 233, 500
_SETS = ("paper", "dev", "train", "distractor300")
_DEV = "hotpotqa/dev.json"
_300 = ("hotpotqa/questions_300.jsonl", "hotpotqa/paragraphs.jsonl")
_DISTRACTOR = {
    "dev": ("hotpotqa/distractor/validation-00000-of-00001.parquet",),
    "train": tuple(f"hotpotqa/distractor/train-0000{part}-of-00002.parquet" for part in range(2)),
}
_UNMATCHED = 0.01  # above this share of questions without their paragraphs, it is another set


class HotpotQA(QuestionFile):
    """Questions of the dev or the training set; the corpus holds the paragraphs of their whole set.

    Args:
        questions: ``paper`` (the 500 of dev that the paper's authors evaluate on, in their order; also what None says),
            ``dev`` (all 7,405) or ``train`` (90,447). Or ``distractor300``, which comes only with a local mirror:
            nearly the first 300 of dev (one, dev question 239, is not in that set), with their own 2,972 paragraphs.
        path: a file of the distractor setting, the official JSON or the hub's parquet, used instead of a download: for
            the paragraphs of ``paper``, for questions and paragraphs of ``dev`` or ``train``.
        order: ``file``, ``shuffle``, or ``paper``, which makes ``paper`` of ``dev``.
        cache_dir: where downloads are kept.
        arrangement: see ``QuestionFile``.

    Raises:
        ConfigError: an argument is unknown, or two don't go together.
    """

    orders = ("file", "shuffle", "paper")

    def __init__(
        self,
        name: Text = "hotpotqa",
        questions: Literal["paper", "dev", "train", "distractor300"] | None = None,
        path: Text | None = None,
        order: Literal["file", "shuffle", "paper"] = "file",
        cache_dir: NoEffect[Text] = ".cache/data",
        **arrangement: Any,
    ) -> None:
        super().__init__(name, order, **arrangement)
        questions = questions or "paper"
        if questions not in _SETS:
            raise ConfigError(f"task.questions={questions} is unknown; choose {', '.join(_SETS)}")
        if order == "paper" and questions in ("train", "distractor300"):
            raise ConfigError(f"task.order=paper draws from all of dev; leave out task.questions={questions}")
        if path is not None and questions == "distractor300":
            raise ConfigError("task.path is a file of the official format; say task.questions=train or dev with it")
        self._selection = "paper" if order == "paper" else questions
        self._split = "train" if questions == "train" else "dev"
        self._path, self._cache_dir = path, cache_dir

    @property
    def corpus_name(self) -> str:
        """What the corpus is called in the name of a search tool: another set is another corpus."""
        if self._selection == "distractor300":
            return self.name
        return Path(self._path).stem if self._path else f"{self.name}_{self._split}"

    def corpus_digest(self) -> str | None:
        """What the paragraphs depend on; None for the few of ``distractor300``.

        Raises:
            DataError: a file can't be had, or holds the paragraphs of another set.
        """
        if self._selection == "distractor300":
            return None
        return " ".join(digest(path, self._cache_dir) for path in self._paragraph_paths)

    def files(self) -> list[Need]:
        """The public files that ``questions`` reads."""
        return [need(name, self._cache_dir) for name in self._question_files()]

    def corpus_files(self) -> list[Need]:
        """The public files that ``documents`` reads."""
        return [need(name, self._cache_dir) for name in self._paragraph_files()]

    def read(self) -> list[Question]:
        """See ``QuestionFile``."""
        if self._selection == "distractor300":
            rows = self._lines(_300[0])
            return [self._question(f"distractor300-{row['id']}", row) for row in rows]
        paths = self._fetched(self._question_files()) or [Path(str(self._path))]
        return [self._question(f"{self._split}-{i}", row) for i, row in enumerate(read_rows(paths))]

    def arrange(self, questions: list[Question]) -> list[Question]:
        """See ``QuestionFile``."""
        chosen = questions
        if self._selection == "paper":
            chosen = [questions[index] for index in paper_order(len(questions))]
        return super().arrange(chosen)

    def documents(self) -> Iterable[Document]:
        """One paragraph a title, of all questions of the set; says how many were left out.

        Raises:
            DataError: a file can't be had, is malformed, or holds the paragraphs of another set.
        """
        if self._selection == "distractor300":
            return [Document(row["title"], row["text"]) for row in self._lines(_300[1])]
        found = read_paragraphs(self._paragraph_paths)
        print(f"{self.corpus_name}: {len(found.documents):,} paragraphs; left out are {found.repeated:,} repeated ones "
              f"and {found.differing:,} whose title has another text already", flush=True)
        return found.documents

    def _question_files(self) -> Sequence[str]:
        if self._selection == "distractor300":
            return _300[:1]
        if self._selection == "paper" or self._split == "dev" and self._path is None:
            return (_DEV,)
        return () if self._path else _DISTRACTOR["train"]

    def _paragraph_files(self) -> Sequence[str]:
        if self._selection == "distractor300":
            return _300[1:]
        return () if self._path else _DISTRACTOR[self._split]

    @cached_property
    def _paragraph_paths(self) -> list[Path]:
        paths = self._fetched(self._paragraph_files()) or [Path(str(self._path))]
        self._check_set(paths)
        return paths

    def _fetched(self, names: Sequence[str]) -> list[Path]:
        return together(partial(fetch, name, self._cache_dir) for name in names)

    def _check_set(self, paths: Sequence[Path]) -> None:
        """Questions and paragraphs of dev come from two files, matched by the questions' texts."""
        if self._split == "train":
            return
        there, asked = {_key(row["question"]) for row in read_rows(paths)}, self.questions()
        missing = [question for question in asked if _key(question.text) not in there]
        if not missing:
            return
        text = f"{len(missing)} of the {len(asked)} questions asked are not in {paths[0]}, as “{missing[0].text}”"
        if len(missing) > _UNMATCHED * len(asked):
            raise DataError(f"{text}; name a file of their own set by task.path (hotpot_dev_distractor_v1.json)")
        print(f"{text}: their paragraphs may not be in the corpus", flush=True)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return [reading.loads(line, f"{name}, line {n}") for n, line in reading.lines(fetch(name, self._cache_dir))]

    def _question(self, place: str, row: dict[str, Any]) -> Question:
        return Question(
            id=f"hotpotqa-{place}",
            text=row["question"].strip(),
            answer=row["answer"],
            task=self.name,
            split=self._split,
            kind=row.get("type") or "",
        )


def paper_order(total: int) -> list[int]:
    """The places in the dev file of the paper's 500 questions, in its order (released ``generation.py --random``)."""
    places = list(range(total))
    random.Random(_PAPER_SEED).shuffle(places)
    return places[:_PAPER_QUESTIONS]


def _key(text: str) -> str:
    """A question without what differs between editions of a file: case, blanks, quotation marks."""
    return "".join(filter(str.isalnum, text.casefold()))
