"""The question on whose behalf models and tools are being called: what the arguments of a call do not tell.

``Rollout`` begins one set of calls per question, in the question's own asyncio task, so everything that runs for that
question sees it and nothing else does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field

from fireact.trajectories.records import Question


@dataclass(frozen=True, slots=True)
class Call:
    """A finished call: the ``answer`` as text, or the message of the ``error`` so named.

    ``finished`` is the Unix time of its end and ``seconds`` how long it took when it was really made.
    """

    answer: str
    error: str
    finished: float
    seconds: float


@dataclass(slots=True)
class Calls:
    """What was called so far for one question; ``made`` holds the journaled calls in order."""

    question: Question
    made: list[Call] = field(default_factory=list)
    _seen: Counter[Hashable] = field(default_factory=Counter)

    def occurrence(self, what: Hashable) -> int:
        """How often this question has asked for ``what`` before."""
        self._seen[what] += 1
        return self._seen[what] - 1

    @property
    def seconds(self) -> float:
        """The time spent waiting for answers."""
        return sum(call.seconds for call in self.made)

    @property
    def finished(self) -> float:
        """The Unix time of the last answer."""
        return max(call.finished for call in self.made)


_current: ContextVar[Calls] = ContextVar("calls")


def begin(question: Question) -> Calls:
    """Make ``question`` the one that the current asyncio task calls for."""
    calls = Calls(question)
    _current.set(calls)
    return calls


def current() -> Calls:
    """The calls of the question at hand; those of a nameless one outside a rollout."""
    try:
        return _current.get()
    except LookupError:
        return begin(Question("", "", "", "", ""))
