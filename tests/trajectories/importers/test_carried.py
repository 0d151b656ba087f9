"""What metadata carries is read, or refused where it has another form or contradicts the messages."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.files import convert
from fireact.trajectories.records import Question, Score, Step, Trajectory
from fireact.trajectories.tool_schema import SEARCH_TOOL

CALL = {"id": "a", "type": "function", "function": {"name": "search", "arguments": '{"query": "X"}'}}
ROW = {
    "messages": [
        {"role": "user", "content": "Which?\nA. Ann\nB. Bob"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "Bob."},
        {"role": "assistant", "content": "B"},
    ],
    "tools": [{"type": "function", "function": SEARCH_TOOL.to_json()}],
}


def read(said: Any, **more: Any) -> tuple[Trajectory, Counter[str]]:
    counts: Counter[str] = Counter()
    text = said if isinstance(said, str | int) else json.dumps(said)
    return convert({**ROW, "metadata": {"fireact": text, **more}}, counts), counts


def test_what_is_carried_completes_the_row() -> None:
    trajectory, counts = read({
        "question": {"id": "q", "choices": ["Ann", "Bob"]}, "score": {"em": 0.0, "f1": 0.5, "correct": False},
        "tools": [], "steps": {"1": {"thought": "Look."}, "2": {"thought": "So.", "observation": "!"}},
    }, source="web")  # fmt: skip
    assert trajectory.question == Question("q", "Which?", "B", "own", "train", ("Ann", "Bob"))
    assert trajectory.steps == (Step("Look.", "search", "X", "Bob."), Step("So.", "finish", "B", "!"))
    assert (trajectory.score, trajectory.tools) == (Score(0.0, 0.5, False), ())
    assert counts == {"ignored_field metadata": 1, "ignored_field source": 1}, "what is said is not concluded"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (3, "metadata.fireact is no text; leave it as it was exported, or remove it"),
        ("{", "metadata.fireact is not JSON"),
        ([], "metadata.fireact is no object"),
        ({"ending": "finish"}, "metadata.fireact has the unknown field 'ending'; known are question, method, answer"),
        ({"question": []}, "metadata.fireact.question is no object"),
        ({"question": {"text": "Other?"}}, "metadata.fireact.question has the unknown field 'text'"),
        ({"question": {"choices": ["Ann"]}}, "the question does not end with the choices in metadata.fireact"),
        ({"question": {"choices": "Ann"}}, "question.choices is str; expected a list"),
        ({"score": {"em": 2.0}}, "score.em is 2.0; expected a number in 0…1"),
        ({"tools": [SEARCH_TOOL.to_json()]}, "metadata.fireact.tools may only be an empty list beside the search tool"),
        ({"steps": []}, "metadata.fireact.steps is no object"),
        ({"steps": {"3": {}}}, "metadata.fireact.steps has the unknown field '3'; known are 1, 2"),
        ({"steps": {"1": {"action": "finish"}}}, "metadata.fireact.steps.1 has the unknown field 'action'"),
        ({"steps": {"1": {"thought": 3}}}, "step 1.thought is int; expected str"),
        ({"steps": {"1": {"argument": "Y"}}}, "metadata.fireact contradicts the messages: the argument of step 1 is"),
        ({"steps": {"1": {"observation": "Ann."}}}, "metadata.fireact contradicts the messages: the observation of"),
        ({"steps": {"2": {"argument": "A"}}}, "metadata.fireact contradicts the messages: the argument of step 2 is"),
    ],
)  # fmt: skip
def test_what_contradicts_or_has_another_form_is_named(said: Any, sentence: str) -> None:
    with pytest.raises(DataError) as error:
        read(said)
    assert str(error.value).startswith(sentence)


def test_a_thought_that_is_said_is_not_replaced() -> None:
    row = json.loads(json.dumps(ROW).replace('"content": "", "tool_calls"', '"content": "Look.", "tool_calls"'))
    with pytest.raises(DataError, match="contradicts the messages: the thought of step 1 is 'Other' and there 'Look.'"):
        convert({**row, "metadata": {"fireact": '{"steps": {"1": {"thought": "Other"}}}'}}, Counter())
