"""Rows of native tool calls: exact records, or the exact sentence; nothing that is learnt is passed over."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories import learnable
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Step, Trajectory

LOOKUP = {"type": "function", "function": {"name": "lookup", "description": "Looks a term up.", "parameters": {
    "type": "object", "properties": {"term": {"type": "string"}}, "required": ["term"]}, "strict": True}}  # fmt: skip
USER = {"role": "user", "content": "What is 19 times the price of tea?"}
ANSWER = {"role": "assistant", "content": "It is 171."}


def call(name: str, arguments: Any, id: str | None = None) -> dict[str, Any]:
    return {**({"id": id} if id else {}), "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*called: dict[str, Any], content: str | None = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(called), **more}


def result(content: Any, id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **({"tool_call_id": id} if id else {}), **more}


PRICE = calls(call("lookup", '{"term": "tea"}', "c1"), content="The price.")
SUM = calls(call("sum", '{"a": 9, "b": [1, 2]}', "c2"))


def read_row(folder: Path, **row: Any) -> tuple[Trajectory, Counter[str]]:
    (folder / "a.jsonl").write_text(json.dumps(row) + "\n")
    counts = Counter[str]()
    (trajectory,) = read(folder / "a.jsonl", counts)
    learnable.check(trajectory, "row", Counter())
    return trajectory, counts


def test_calls_results_and_the_answer_are_steps(tmp_path: Path) -> None:
    system = [{"role": "system", "content": "Be exact."}, {"role": "developer", "content": "Use tools."}]
    messages = [*system, USER, PRICE, result("9 dollars\nper pound", "c1"), SUM, result("12", "c2"), ANSWER]
    trajectory, counts = read_row(tmp_path, messages=messages, tools=[LOOKUP], parallel_tool_calls=True)
    assert trajectory.steps == (
        Step("The price.", "lookup", "tea", "9 dollars\nper pound"),
        Step("", "sum", '{"a": 9, "b": [1, 2]}', "12"),
        Step("", "finish", "It is 171."),
    )
    question = trajectory.question
    assert (question.text, question.system, question.task) == (USER["content"], "Be exact.\n\nUse tools.", "own")
    assert (trajectory.ending, trajectory.answer, trajectory.score.correct) == (Ending.FINISH, "It is 171.", True)
    assert [tool.to_json() for tool in trajectory.tools] == [
        {key: LOOKUP["function"][key] for key in ("name", "description", "parameters")},
        {"name": "sum", "description": "",
         "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array"}}}},
    ]  # fmt: skip
    assert counts == {
        "rows": 1, "demonstrations": 1, "undescribed_tool sum": 1,
        "ignored_field strict": 1, "ignored_field parallel_tool_calls": 1,
    }  # fmt: skip
    assert Trajectory.from_json(json.loads(json.dumps(trajectory.to_json()))) == trajectory


def test_several_calls_of_a_turn_are_answered_by_their_ids_in_any_order(tmp_path: Path) -> None:
    two = calls(call("lookup", {"term": "tea"}, "a"), call("lookup", {"term": "salt"}, "b"), weight=0)
    answers = [result("2", "b", name="lookup"), result([{"type": "text", "text": "9"}], "a")]
    trajectory, _ = read_row(tmp_path, messages=[USER, two, *answers, ANSWER], tools=[LOOKUP])
    assert trajectory.steps[:2] == (
        Step("", "lookup", "tea", "9", learnt=False), Step("", "lookup", "salt", "2", continues=True, learnt=False)
    )  # fmt: skip


def test_older_function_calls_are_the_same(tmp_path: Path) -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "lookup", "arguments": '{"term": "tea"}'}}
    messages = [USER, old, {"role": "function", "name": "lookup", "content": "9"}, ANSWER]
    trajectory, _ = read_row(tmp_path, messages=messages, functions=[LOOKUP["function"]])
    assert trajectory.steps[0] == Step("", "lookup", "tea", "9")


def test_sharegpt_s_rows_are_the_same(tmp_path: Path) -> None:
    turns = [("human", USER["content"]), ("function_call", '{"name": "lookup", "arguments": {"term": "tea"}}'),
             ("observation", "9"), ("gpt", "It is 171.")]  # fmt: skip
    row = {"conversations": [{"from": who, "value": value} for who, value in turns], "system": "Be exact."}
    trajectory, counts = read_row(tmp_path, **row, tools=json.dumps([LOOKUP["function"]]))
    assert trajectory.steps == (Step("", "lookup", "tea", "9"), Step("", "finish", "It is 171."))
    assert trajectory.question.system == "Be exact."
    undescribed, counts = read_row(tmp_path, **row, tools="[]")
    assert (undescribed.steps, counts["undescribed_tool lookup"]) == (trajectory.steps, 1)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([USER, PRICE, ANSWER], "message 3 is the assistant's, where it can't stand"),
        ([USER, PRICE, result("9", "c9"), ANSWER], "message 3 answers the call 'c9', which is none that waits"),
        ([USER, PRICE, result("9", "c1"), result("9", "c1"), ANSWER], "message 4 is the tool's, where it can't stand"),
        ([USER, PRICE, result("9", "c1", name="sum"), ANSWER], "message 3 is of the tool 'sum', but answers a call of"),
        ([USER, PRICE, result("9", "c1")], "the row ends before the assistant's answer"),
        ([USER, PRICE, result("9", "c1"), ANSWER, USER], "message 5 follows the answer; make a row of each question"),
        ([USER, USER, PRICE], "message 2 is the user's, where it can't stand"),
        ([PRICE, result("9", "c1"), ANSWER], "message 1 is the assistant's, where it can't stand"),
        ([{**USER, "content": " "}, PRICE], "the question is empty"),
        ([USER, calls(call("lookup", "{", "c1"))], "message 2: its arguments is no JSON"),
        ([USER, calls(call("lookup", "[]", "c1"))], "message 2 has arguments that are no JSON object"),
        ([USER, calls(call("lookup", {"term": 3}))], "message 2 calls lookup with other arguments than its one text"),
        ([USER, calls(call("lookup", {"x": "a"}))], "message 2 calls lookup with other arguments than its one text"),
        ([USER, calls(call("lookup", {}, "a"), call("lookup", {}, "a"))], "other arguments"),
        ([USER, calls(call("finish", {"a": "b"}))], "message 2 calls finish, as the answer is called here"),
        ([USER, PRICE, result([{"type": "image_url"}], "c1"), ANSWER], "message 3 has a part that is no text"),
        ([USER, PRICE, result("9", "c1"), {**ANSWER, "weight": 2}], "message 4 has the weight 2; only 0 and 1"),
        ([USER, {**PRICE, "weight": 0}, result("9", "c1"), {**ANSWER, "weight": 0}], "so nothing is learnt"),
        ([USER, PRICE, result("9", "c1"), {**ANSWER, "refusal": "No."}], "message 4 has the field 'refusal'"),
        ([USER, PRICE, result("9", "c1"), {**ANSWER, "train": False}], "message 4 has the unknown field 'train'"),
        ([USER, PRICE, result("9", "c1"), {"role": "assistant", "content": ""}], "message 4 says nothing"),
        ([USER, {**PRICE, "role": "critic"}], "message 2 is the critic's, where it can't stand"),
    ],
)
def test_what_would_be_lost_is_named(tmp_path: Path, messages: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=f"a.jsonl, line 1: .*{sentence}"):
        read_row(tmp_path, messages=messages, tools=[LOOKUP])


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([{"type": "function"}], "tool 1 has the unknown field 'type'"),
        ([LOOKUP, LOOKUP], "two tools have one name"),
        ([{"name": "finish"}], "or one is called finish"),
        ([{"name": "a", "parameters": []}], "the parameters of tool 1 are no JSON schema"),
        ([3], "tool 1 is no object"),
        (0.5, "expected tools as a list"),
    ],
)
def test_what_is_no_tool_is_named(tmp_path: Path, tools: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_row(tmp_path, messages=[USER, PRICE, result("9", "c1"), ANSWER], tools=tools)


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        ([("human", "Q?"), ("function_call", "{"), ("gpt", "A")], "turn 2 is no JSON"),
        ([("human", "Q?"), ("function_call", "3"), ("gpt", "A")], "turn 2 holds no call"),
        ([("human", "Q?"), ("bing", "A")], "turn 2 is from 'bing'; expected human, gpt,"),
        ([("human", "Q?"), ("gpt", "A"), ("human", "And?")], "message 3 follows the answer"),
    ],
)
def test_what_is_wrong_in_sharegpt_s_rows_is_named(tmp_path: Path, turns: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_row(tmp_path, conversations=[{"from": who, "value": value} for who, value in turns])
