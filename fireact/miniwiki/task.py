"""The miniwiki tasks: seeded question streams over the invented world, and their scoring."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import cycle, islice
from random import Random
from typing import Annotated, Literal

from annotated_types import MinLen

from fireact.errors import ConfigError
from fireact.miniwiki.difficulty import difficulty_named
from fireact.miniwiki.families import Draft, Family
from fireact.miniwiki.plans import Plan
from fireact.miniwiki.sampling import Sampler
from fireact.miniwiki.world import SPLITS, World, build
from fireact.ranges import Count, Seed, Text
from fireact.trajectories.metrics import exact_match, f1_score
from fireact.trajectories.records import ACCURACY, EM, Document, Question, Score

MAXIMUM = 10_000
_ANSWERED_BY_START = {"yesno", "choice"}  # the families whose gold answers are always yes, no or a letter
_TRIES = 100  # repeats in a row after which a family has little new to ask


class MiniWiki:
    """Questions about an invented world, drawn from ``families`` in turn (one listed twice is drawn twice as often).

    ``seed`` and ``difficulty`` (easy, medium or hard) make the world. ``limit`` is how many questions there are, at
    most and by default 10,000; those of a smaller limit are the first of those of a larger one. The splits share no
    question and no thing that a question is about. ``prompts`` is the folder of few-shot prompts, if not ``name``.

    Raises:
        ConfigError: the split, difficulty or limit is impossible, or a family has no questions for the split.
    """

    def __init__(
        self,
        name: Text,
        families: Annotated[Sequence[Family], MinLen(1)],
        seed: Seed = 0,
        difficulty: Literal["easy", "medium", "hard"] = "medium",
        split: Literal["train", "dev", "test"] = "dev",
        limit: Count | None = None,
        prompts: Text | None = None,
    ) -> None:
        if split not in SPLITS:
            raise ConfigError(f"task.split={split} is unknown; choose {', '.join(SPLITS)}")
        for family in families:
            if split not in family.splits:
                raise ConfigError(f"{name} is for evaluation only; choose task.split={' or '.join(family.splits)}")
        if limit is not None and limit < 1:
            raise ConfigError(f"task.limit={limit} asks nothing; choose 1 or more, or null for all")
        self.name, self.split, self.families, self.prompts = name, split, tuple(families), prompts or name
        self.measure = ACCURACY if {family.kind for family in families} <= _ANSWERED_BY_START else EM
        self._seed, self._difficulty, self._limit = seed, difficulty, limit
        self._knobs = difficulty_named(difficulty)

    def questions(self) -> list[Question]:
        """See ``Task``."""
        return [question for question, _ in self._planned]

    def score(self, question: Question, answer: str) -> Score:
        """EM and F1, EM being what is correct; where the gold answer is yes, no or a letter, whether it starts so.

        A letter is not normalised as other answers are, since that would drop A as an article.
        """
        if question.choices or question.answer in ("yes", "no"):
            starts = re.match(rf"\W*{question.answer}\b", answer, re.IGNORECASE) is not None
            return Score(float(starts), float(starts), starts)
        em = exact_match(answer, question.answer)
        return Score(em, f1_score(answer, question.answer), em == 1.0)

    def documents(self) -> Iterable[Document]:
        """The articles; the same for all tasks, splits and limits of a seed and difficulty."""
        return self._world.documents

    def plan(self, question: str) -> Plan | None:
        """For the oracle teacher: how to answer the question with this text, without any facts; None if not ours."""
        return self._plans.get(question)

    @property
    def _world(self) -> World:
        return build(self._seed, self._difficulty)

    @cached_property
    def _planned(self) -> list[tuple[Question, Plan]]:
        return list(islice(self._stream(), min(self._limit or MAXIMUM, MAXIMUM)))

    @cached_property
    def _plans(self) -> dict[str, Plan]:
        return {question.prompt(): plan for question, plan in self._planned}

    def _stream(self) -> Iterator[tuple[Question, Plan]]:
        """Families in turn, each with random numbers of its own; no text twice; ends when a family is exhausted."""
        samplers = {family.kind: self._sampler(family) for family in self.families}
        seen: set[str] = set()
        for i, family in enumerate(cycle(self.families)):
            sampler, name = samplers[family.kind], f"{self.name}-{self.split}-{i}"
            drafts = (self._finished(family, sampler, name) for _ in range(_TRIES))
            fresh = next((planned for planned in drafts if planned[0].prompt() not in seen), None)
            if fresh is None:
                return
            seen.add(fresh[0].prompt())
            yield fresh

    def _sampler(self, family: Family) -> Sampler:
        rng = Random(f"{self._seed}/{self._difficulty}/{self.split}/{family.kind}")
        return Sampler(self._world, self.split, self._knobs, rng)

    def _finished(self, family: Family, sampler: Sampler, id: str) -> tuple[Question, Plan]:
        draft = family.draw(sampler)
        given = family.self_contained and _hops(draft) <= 2 and sampler.rng.random() < self._knobs.self_contained
        question = Question(
            id=id,
            text=f"{sampler.preface(draft.paths)} {draft.text}" if given else draft.text,
            answer=draft.conclusion.answer([path.value for path in draft.paths]),
            task=self.name,
            split=self.split,
            choices=draft.choices,
            kind=f"{family.kind}_given" if given else family.kind,
            evidence=tuple(dict.fromkeys(title for path in draft.paths for title in path.evidence)),
        )
        return question, Plan(tuple(path.lookup(draft.text) for path in draft.paths), draft.conclusion)


def _hops(draft: Draft) -> int:
    return sum(len(path.relations) for path in draft.paths)
