"""What tasks that read files share: order, limit and rules."""

from __future__ import annotations

import pytest

from fireact.errors import ConfigError
from fireact.tasks.questions import QuestionFile, matches, starts
from fireact.trajectories.records import Question, Score

TEN = [Question(f"ten-{i}", f"{i}?", str(i), "ten", "test") for i in range(10)]


class Ten(QuestionFile):
    def read(self) -> list[Question]:
        return list(TEN)


def test_a_smaller_limit_asks_the_first_of_a_larger_one() -> None:
    shuffled = Ten("ten", order="shuffle", seed=3).questions()
    assert Ten("ten").questions() == TEN != shuffled
    assert sorted(shuffled, key=lambda question: question.id) == TEN
    for limit in range(1, 13):  # the last two ask for more than there are
        assert Ten("ten", order="shuffle", seed=3, limit=limit).questions() == shuffled[:limit]
    assert Ten("ten", order="shuffle", seed=4).questions() != shuffled


def test_impossible_arrangements() -> None:
    with pytest.raises(ConfigError, match="task.order=paper is unknown; choose file, shuffle"):
        Ten("ten", order="paper")
    with pytest.raises(ConfigError, match="task.limit=0 asks nothing"):
        Ten("ten", limit=0)
    with pytest.raises(ConfigError, match="ten has no corpus of its own; add search.corpus=FILE"):
        Ten("ten").documents()


def test_rules() -> None:
    assert matches("The Beatles!", "beatles") and not matches("Beatles band", "beatles")
    assert starts("B. the pancreas", "B") and starts(" b", "B") and not starts("the letter B", "B")
    assert starts("Yes, it is", "yes") and not starts("no", "yes") and not starts("", "no")
    assert Ten("ten", right=starts).score(TEN[4], "4 it is") == Score(0.0, 0.5, True)
    assert Ten("ten").score(TEN[4], "4 it is") == Score(0.0, 0.5, False)
