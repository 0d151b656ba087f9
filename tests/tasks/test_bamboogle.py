"""Bamboogle from the real file."""

from __future__ import annotations

import pytest

from fireact.errors import ConfigError
from fireact.tasks.bamboogle import Bamboogle
from fireact.trajectories.records import Question


def test_all_there_is(mirror: None) -> None:
    task = Bamboogle()
    questions = task.questions()
    assert len(questions) == 125
    text = "Who was president of the United States in the year that Citibank was founded?"
    assert questions[0] == Question("bamboogle-test-0", text, "james madison", "bamboogle", "test")
    assert all(question.text and question.answer for question in questions)
    assert task.score(questions[0], "James Madison").correct
    assert not task.score(questions[0], "James Madison, the fourth president").correct


def test_it_has_no_corpus() -> None:
    with pytest.raises(ConfigError, match="bamboogle has no corpus of its own; add search.corpus=FILE"):
        Bamboogle().documents()
