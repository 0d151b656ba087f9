"""A question with a gold answer, and a measure's verdict on an answer to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fireact.tasks.measures.base import Measure, Verdict
from fireact.trajectories.records import Question

Ask = Callable[..., Verdict]


@pytest.fixture
def verdict() -> Ask:
    """``verdict(measure, gold, answer, choices)``, after the measure has looked at the question."""

    def ask(measure: Measure, gold: str, answer: str, choices: tuple[str, ...] = ()) -> Verdict:
        question = Question("q-0", "Which?", gold, "mine", "test", choices)
        measure.check(question)
        return asyncio.run(measure.verdict(question, answer))

    return ask
