"""StrategyQA from the real files."""

from __future__ import annotations

import pytest

from fireact.errors import ConfigError
from fireact.tasks.strategyqa import StrategyQA
from fireact.trajectories.records import Document, Question, Score


def test_dev(mirror: None) -> None:
    questions = StrategyQA().questions()
    assert len(questions) == len({question.id for question in questions}) == 229
    text = "Will the Albany in Georgia reach a hundred thousand occupants before the one in New York?"
    albany = Question("strategyqa-dev-0", text, "no", "strategyqa", "dev", evidence=("Albany, Georgia",))
    assert questions[0] == albany
    assert {question.answer for question in questions} == {"yes", "no"}


def test_the_facts_of_dev_are_a_corpus(mirror: None) -> None:
    documents = list(StrategyQA().documents())
    facts = "Albany, GA has around 75,000 people. Albany, NY has almost 100,000 people."
    assert documents[0] == Document("Albany, Georgia", f"City in Georgia, United States. {facts}")
    assert len(documents) == 229


def test_train(mirror: None) -> None:
    task = StrategyQA(split="train", limit=2)
    swastika, year = task.questions()
    text = "Did the Hopi Indians use a symbol that was similar to the swastika?"
    assert swastika == Question("strategyqa-train-0", text, "yes", "strategyqa", "train")
    assert year.id == "strategyqa-train-1"
    assert len(StrategyQA(split="train").questions()) == 2821
    with pytest.raises(ConfigError, match="strategyqa has no corpus of its own"):
        task.documents()


def test_right_if_the_answer_starts_so() -> None:
    question = Question("q", "?", "yes", "strategyqa", "dev")
    score = StrategyQA().score
    assert score(question, "Yes") == Score(1.0, 1.0, True)
    assert score(question, "yes, they did") == Score(0.0, 0.0, True)
    assert not score(question, "no").correct and not score(question, "").correct


def test_a_wrong_split() -> None:
    with pytest.raises(ConfigError, match="task.split=test is unknown; choose dev or train"):
        StrategyQA(split="test")
