"""MMLU from the real files."""

from __future__ import annotations

import pytest

from fireact.errors import ConfigError
from fireact.tasks.mmlu import MMLU, subjects_of
from fireact.trajectories.records import Question


def test_a_subject(mirror: None) -> None:
    task = MMLU(subjects=["anatomy"])
    questions = task.questions()
    assert len(questions) == 135
    assert questions[0] == Question(
        id="mmlu-test-anatomy-0",
        text="A lesion causing compression of the facial nerve at the stylomastoid foramen will cause ipsilateral",
        answer="A",
        task="mmlu",
        split="test",
        choices=(
            "paralysis of the facial muscles.",
            "paralysis of the facial muscles and loss of taste.",
            "paralysis of the facial muscles, loss of taste and lacrimation.",
            "paralysis of the facial muscles, loss of taste, lacrimation and decreased salivation.",
        ),
        kind="anatomy",
    )
    assert "\nB. paralysis of the facial muscles and loss of taste.\n" in questions[0].prompt()
    assert task.score(questions[0], "a. paralysis").correct and not task.score(questions[0], "B").correct


@pytest.mark.parametrize(("split", "total"), [("dev", 285), ("val", 1531), ("test", 14042)])
def test_all_subjects(mirror: None, split: str, total: int) -> None:
    questions = MMLU(split=split).questions()
    assert len(questions) == len({question.id for question in questions}) == total
    assert all(question.answer in "ABCD" and len(question.choices) == 4 for question in questions)
    assert [*dict.fromkeys(question.kind for question in questions)] == subjects_of(split)


def test_a_sample_is_of_all_subjects_and_nested(mirror: None) -> None:
    sample = MMLU(order="shuffle", limit=300).questions()
    assert MMLU(order="shuffle", limit=20).questions() == sample[:20]
    assert len({question.kind for question in sample}) > 40


def test_words_that_look_like_nothing_are_kept(mirror: None) -> None:
    """A table reader that guesses would take the choice "None" for a missing one."""
    assert any("None" in question.choices for question in MMLU().questions())


def test_wrong_arguments() -> None:
    assert len(subjects_of("dev")) == 57
    with pytest.raises(ConfigError, match="task.split=train is unknown; choose dev, val, test"):
        MMLU(split="train")
    with pytest.raises(ConfigError, match="task.subjects names anatomi, which is none of MMLU's 57; try anatomy"):
        MMLU(subjects=["astronomy", "anatomi"])
