from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.records import Ending, Question, Score, Step, Trajectory, Usage

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
        ({**ROW, "ending": "gave_up"}, "ending is 'gave_up'; expected one of finish, step_limit, parse_failure"),
    ],
)
def test_a_malformed_row_is_named(row: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        Trajectory.from_json(row)
    assert str(error.value).startswith(message)
