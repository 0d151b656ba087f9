from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage

QUESTION = Question("q1", "Who wrote X?", "Y", "miniwiki", "dev", kind="bridge", evidence=("X", "Y"))
TRAJECTORY = Trajectory(
    question=QUESTION,
    method="react",
    steps=(Step("Find X.", "search", "X", "X is by Y."), Step("no action here", "", ""), Step("", "finish", "Y")),
    ending=Ending.FINISH,
    answer="Y",
    score=Score(1.0, 1.0, True),
    usage=Usage(lm_calls=3, search_calls=1, seconds=0.5),
    provenance={"lm": "oracle"},
)


def test_a_trajectory_survives_a_line_of_json() -> None:
    assert Trajectory.from_json(json.loads(json.dumps(TRAJECTORY.to_json()))) == TRAJECTORY


def test_what_has_a_default_may_be_absent() -> None:
    row = json.loads(json.dumps(TRAJECTORY.to_json()))
    del row["usage"], row["provenance"], row["question"]["choices"], row["steps"][2]["observation"]
    assert Trajectory.from_json(row) == replace(TRAJECTORY, usage=Usage(), provenance={})


def test_rounds_count_actions_with_finish_but_not_turns_without_one() -> None:
    assert TRAJECTORY.rounds == 2


def test_choices_are_lettered_below_the_question() -> None:
    assert QUESTION.prompt() == "Who wrote X?"
    assert replace(QUESTION, choices=("Ann", "Bob")).prompt() == "Who wrote X?\nA. Ann\nB. Bob"


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TRAJECTORY.answer = "Z"  # type: ignore[misc]


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}


def _with(part: str, **changes: Any) -> dict[str, Any]:
    """``ROW`` with other values in one of its parts."""
    return {**ROW, part: {**ROW[part], **changes}}


ROW = json.loads(json.dumps(TRAJECTORY.to_json()))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "trajectory is list; expected an object"),
        (_without(ROW, "answer"), "trajectory lacks the field 'answer'"),
        ({**ROW, "extra": 1}, "trajectory has the unknown field 'extra'; known are question, method, steps, ending"),
        ({**ROW, "answer": 3}, "trajectory.answer is int; expected str"),
        ({**ROW, "steps": "none"}, "steps is str; expected a list"),
        ({**ROW, "steps": [{"thought": "t", "action": "search"}]}, "step 1 lacks the field 'argument'"),
        ({**ROW, "question": _without(ROW["question"], "text")}, "question lacks the field 'text'"),
        ({**ROW, "score": {"em": "1", "f1": 1.0, "correct": True}}, "score.em is str; expected float"),
        (_with("question", choices="Milton"), "question.choices is str; expected a list"),
        (_with("question", choices=["a", 1]), "question.choices holds int; expected texts"),
        (_with("question", choices=["a"] * 27), "question.choices has 27 choices; there are letters for 26"),
        (_with("question", evidence=[None]), "question.evidence holds null; expected texts"),
        ({**ROW, "steps": [None]}, "step 1 is null; expected an object"),
        ({**ROW, "steps": [*ROW["steps"], {**ROW["steps"][0], "thought": 7}]}, "step 4.thought is int; expected str"),
        (_with("score", em=float("nan")), "score.em is nan; expected a number from 0"),
        (_with("score", em=True), "score.em is bool; expected float"),
        (_with("score", f1=1.5), "score.f1 is 1.5; expected a number in 0…1"),
        (_with("score", f1=-0.5), "score.f1 is -0.5; expected a number from 0"),
        (_with("score", correct=1), "score.correct is int; expected bool"),
        (_with("usage", tokens_in=-1), "usage.tokens_in is -1; expected a number from 0"),
        (_with("usage", tokens_in=True), "usage.tokens_in is bool; expected int"),
        (_with("usage", tokens_in=10**400), "usage.tokens_in is 1000"),
        (_with("usage", cost_usd=10**400), "usage.cost_usd is 1000"),
        (_with("usage", seconds=float("inf")), "usage.seconds is inf; expected a number from 0"),
        ({**ROW, "usage": None}, "usage is null; expected an object"),
        ({**ROW, "provenance": {"lm": 1}}, "trajectory.provenance['lm'] is int; expected str"),
        ({**ROW, "provenance": []}, "trajectory.provenance is list; expected an object of texts"),
        ({**ROW, "ending": []}, "ending is []; expected one of finish"),
        ({**ROW, "ending": "gave_up"}, "ending is 'gave_up'; expected one of finish, step_limit, parse_failure"),
    ],
)
def test_a_malformed_row_is_named(row: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        Trajectory.from_json(row)
    assert str(error.value).startswith(message)
