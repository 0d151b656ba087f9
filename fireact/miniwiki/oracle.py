"""The oracle teacher: it knows how each question of an invented world is to be answered, but none of the facts.

Every fact it uses comes out of the observations it was given, so its success shows that the questions can be answered
with the search tool alone; and its trajectories are what a student is to imitate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Literal, Protocol

from fireact.errors import ConfigError, ModelError
from fireact.lms.base import Completion
from fireact.ranges import Count, NoEffect, Seed
from fireact.trajectories.dialogue import Dialogue, parse_step, step_text
from fireact.trajectories.records import FINISH, SEARCH, Step

UNKNOWN = "unknown"
_WANDERERS = 0.3  # the share of questions that style=reflexion begins with vague queries
_REFLECTION = "reflect"
_SENTENCE_END = re.compile(r"(?<=\.)\s")

_START = ("I need {outline}.", "First, find {outline}.", "The question is about {outline}.")
_NEXT = ("So {last} is {value}. Next, {goal}.", "{last} is {value}; now I need {goal}.")
_AGAIN = ("That does not tell me {goal}; search again.", "Not what I need. Try another query for {goal}.",
          "That is something else. I still need {goal}.")
_VAGUE = ("Maybe something about this turns up.", "Let me try a broad search.", "Perhaps a list helps.",
          "I will look around first.", "A general query may do.")
_REFLECT = ("My queries named nothing. I should search for {entity} itself to find {goal}.",
            "I was too vague. Searching {entity} by name should give {goal}.")
_FINISH = ("So {last} is {value}{so}.", "{last} is {value}{so}.")
_GIVEN = ("The question says it: {facts}{so}.", "No search is needed: {facts}{so}.", "As stated, {facts}{so}.")
_IGNORANT = ("I cannot know {goal} without a search.", "I do not remember {goal}.")


class Want(Protocol):
    """One thing to look up: the ``goal`` in words, queries for it, and how to ``read`` an observation for its value."""

    @property
    def entity(self) -> str: ...

    @property
    def goal(self) -> str: ...

    @property
    def queries(self) -> Sequence[str]: ...

    @property
    def vague_queries(self) -> Sequence[str]: ...

    def read(self, observation: str) -> str | None: ...


class Plan(Protocol):
    """How to answer one question: what to look up after having ``found`` so much, and what to conclude at the end.

    ``outline`` says all of it in words, before anything is found.
    """

    @property
    def outline(self) -> str: ...

    def next(self, found: Sequence[str]) -> Want | None: ...

    def answer(self, found: Sequence[str]) -> str: ...

    def reason(self, found: Sequence[str]) -> str: ...


class Taught(Protocol):
    """A task that comes with plans: ``plan`` maps the text of a question to its plan, or to None."""

    def plan(self, question: str) -> Plan | None: ...


Style = Literal["react", "reflexion", "cot", "io"]


class Oracle:
    """Teaches ``task`` in one ``style``.

    react looks up one thing after another; reflexion does so too, but begins some questions with vague queries until
    it is made to reflect; cot and io answer at once, with and without a thought, and admit it when they cannot know.
    Token counts are words.

    Raises:
        ConfigError: there is no such style, or nobody knows the task's answers.
    """

    def __init__(self, task: Taught, style: Style = "react", seed: Seed = 0, concurrency: NoEffect[Count] = 64) -> None:
        styles = {"react": self._look_up, "reflexion": self._wander, "cot": self._recall, "io": self._recall}
        if style not in styles:
            raise ConfigError(f"lm.style={style} is unknown; choose {', '.join(styles)}")
        if not callable(getattr(task, "plan", None)):
            raise ConfigError("lm=oracle teaches the miniwiki tasks only; choose another model, as lm=openai")
        self.name, self.concurrency = "oracle", concurrency
        self._task, self._style, self._seed, self._turn = task, style, seed, styles[style]

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; after a prefill, the text goes on from there."""
        plan = self._task.plan(dialogue.question)
        if plan is None:
            raise ModelError("the oracle teaches only the questions of lm.task; set lm.task to the task that is asked")
        step = self._turn(dialogue, plan, Random(f"{self._seed}/{dialogue.question}/{len(dialogue.turns)}"))
        text = step_text(step)
        if dialogue.prefill:
            text = text.replace("Thought:", "", 1)
        said = [dialogue.question, *(f"{turn.text} {turn.observation or ''}" for turn in dialogue.turns)]
        return Completion(text, tokens_in=len(" ".join(said).split()), tokens_out=len(text.split()))

    async def aclose(self) -> None:
        """Nothing to release."""

    def _look_up(self, dialogue: Dialogue, plan: Plan, rng: Random) -> Step:
        """The next query that follows from what the observations say, or the answer."""
        found, last, misses = _follow(plan, dialogue)
        want, value = plan.next(found), found[-1] if found else ""
        if want is None:
            so = f"; {reason}" if (reason := plan.reason(found)) else ""
            return _step(rng.choice(_FINISH).format(last=last, value=value, so=so), FINISH, plan.answer(found))
        if misses >= len(want.queries):
            return _step(rng.choice(_IGNORANT).format(goal=want.goal), FINISH, UNKNOWN)
        wordings = _REFLECT if dialogue.prefill else _AGAIN if misses else _NEXT if found else _START
        words = {"outline": plan.outline, "goal": want.goal, "entity": want.entity, "value": value, "last": last}
        thought = rng.choice(wordings).format(**words)
        return _step(thought, SEARCH, want.queries[misses])

    def _wander(self, dialogue: Dialogue, plan: Plan, rng: Random) -> Step:
        """For some questions vague queries, until one happens to help or a reflection is forced; else like react."""
        whim = Random(f"{self._seed}/{dialogue.question}")
        reflected = dialogue.prefill or any(_REFLECTION in turn.text for turn in dialogue.turns)
        found, *_ = _follow(plan, dialogue)
        want = plan.next(found)
        if whim.random() >= _WANDERERS or reflected or found or want is None:
            return self._look_up(dialogue, plan, rng)
        queries = whim.sample(want.vague_queries, len(want.vague_queries))
        return _step(rng.choice(_VAGUE), SEARCH, queries[len(dialogue.turns) % len(queries)])

    def _recall(self, dialogue: Dialogue, plan: Plan, rng: Random) -> Step:
        """The answer from the question alone, if that states all that is needed."""
        found: list[str] = []
        facts: list[str] = []
        while want := plan.next(found):
            value = next(filter(None, map(want.read, _SENTENCE_END.split(dialogue.question))), None)
            if value is None:
                return self._said(rng.choice(_IGNORANT).format(goal=want.goal), UNKNOWN)
            found.append(value)
            facts.append(f"{want.goal} is {value}")
        so = f"; {reason}" if (reason := plan.reason(found)) else ""
        return self._said(rng.choice(_GIVEN).format(facts="; ".join(facts), so=so), plan.answer(found))

    def _said(self, thought: str, answer: str) -> Step:
        return _step("" if self._style == "io" else thought, FINISH, answer)


def _follow(plan: Plan, dialogue: Dialogue) -> tuple[list[str], str, int]:
    """What the observations have told so far, the goal last reached, and how many queries for the next one failed."""
    found: list[str] = []
    last, misses = "", 0
    for turn in dialogue.turns:
        want = plan.next(found)
        if want is None:
            break
        value = want.read(turn.observation or "")
        if value is not None:
            found.append(value)
            last, misses = want.goal, 0
        elif parse_step(turn.text).argument in want.queries:
            misses += 1
    return found, last, misses


def _step(thought: str, action: str, argument: str) -> Step:
    return Step(thought[:1].upper() + thought[1:], action, argument)
