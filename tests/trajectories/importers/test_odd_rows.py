"""Rows in odd shapes: each is read exactly or refused in a sentence, and none ends in a trace."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories import learnable
from fireact.trajectories.files import attempted
from fireact.trajectories.records import Step, Trajectory

Message = dict[str, Any]
USER, ANSWER = {"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}
FINISHED = Step("", "finish", "A.")


def call(name: str = "f", arguments: Any = '{"x": "1"}', id: Any = "i", **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calls(*made: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": None, "tool_calls": list(made), **more}


def result(content: Any = "r", id: Any = "i", **more: Any) -> Message:
    return {"role": "tool", "tool_call_id": id, "content": content, **more}


def says(*parts: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": list(parts), **more}


def part(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def found_in(folder: Path, row: Any, name: str = "a.jsonl") -> tuple[Trajectory | DataError, Counter[str]]:
    (folder / name).write_text(json.dumps(row) + "\n")
    counts = Counter[str]()
    found = list(attempted(folder / name, counts))[0].found
    if isinstance(found, Trajectory):
        learnable.check(found, "row", Counter())
    return found, counts


CALLED = Step("", "f", "1", "r")
USE = part("tool_use", id="t", name="f", input={"x": "1"})
SEEN = [part("text", text="r")]
GIVEN = part("tool_result", tool_use_id="t", content=SEEN, is_error=True, cache_control={"type": "e"})


@pytest.mark.parametrize(
    ("messages", "steps", "counted"),
    [
        ([USER, says(part("text", text="A"), part("text", text=".", cache_control={"type": "ephemeral"}))], [FINISHED],
         {"ignored_field cache_control": 1}),
        ([USER, {**ANSWER, "function_call": None, "tool_calls": None, "refusal": None, "audio": None, "name": None,
                 "annotations": [], "reasoning_content": None}], [FINISHED], {}),
        ([USER, calls(call("f", id=None), call("g", id=None)), result("2", None, name="g"), result("1", None, name="f"),
          ANSWER], [Step("", "f", "1", "1"), Step("", "g", "1", "2", continues=True), FINISHED], {}),
        ([USER, calls(call(id=7, index=0)), result(id=7), ANSWER], [CALLED, FINISHED], {"ignored_field index": 1}),
        ([USER, calls(call(), weight=0), result(weight=0), {**ANSWER, "weight": None}],
         [Step("", "f", "1", "r", learnt=False), FINISHED], {"ignored_field weight": 1}),
        ([USER, calls(call(arguments={"x": {"y": [1, {"z": "{}"}]}})), result(None), ANSWER],
         [Step("", "f", '{"x": {"y": [1, {"z": "{}"}]}}', ""), FINISHED], {}),
        ([USER, calls(call(arguments='{"x": "\\ud83d"}')), result(), ANSWER], [Step("", "f", "\ufffd", "r"), FINISHED],
         {"replaced_surrogates": 1}),
        ([USER, calls(call(), reasoning_content="why"), result(), {**ANSWER, "reasoning": "so", "thinking": "so"}],
         [Step("<think>\nwhy\n</think>", "f", "1", "r"), Step("<think>\nso\n</think>", "finish", "A.")], {}),
        ([USER, {**ANSWER, "content": "<think>\nso\n</think>\n\nA."}],
         [Step("<think>\nso\n</think>", "finish", "A.")], {}),
        ([USER, calls(call(), content="Thought: look"), result(), ANSWER],
         [Step("Thought: look", "f", "1", "r"), FINISHED], {}),
        ([USER, says(part("thinking", thinking="why", signature="s"), part("text", text="hm"), USE),
          {"role": "user", "content": [GIVEN]}, ANSWER],
         [Step("<think>\nwhy\n</think>\n\nhm", "f", "1", "r"), FINISHED],
         {"ignored_field signature": 1, "ignored_field cache_control": 1, "tool_error f": 1}),
        ([USER, {**ANSWER, "content": "Action movies, in an act: good."}],
         [Step("", "finish", "Action movies, in an act: good.")], {}),
        ([{**USER, "content": "Observation of birds: who does it?"}, ANSWER], [FINISHED], {}),
    ],
)  # fmt: skip
def test_odd_messages_are_read(tmp_path: Path, messages: Any, steps: list[Step], counted: dict[str, int]) -> None:
    found, counts = found_in(tmp_path, {"messages": messages})
    assert isinstance(found, Trajectory), found
    assert list(found.steps) == steps
    always = ("rows", "demonstrations", "undescribed_tool f", "undescribed_tool g")
    assert {name: number for name, number in counts.items() if name not in always} == counted


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([{**USER, "content": ["Q?"]}, ANSWER], "message 1 has a part that is no text; only text is learnt"),
        ([USER, says(part("text", text=None))], "message 2 has a part that is no text"),
        ([USER, says(part("text", text="A", weight=0))], "a part of message 2 has the field 'weight', which"),
        ([USER, says(part("redacted_thinking", data="x"), part("text", text="A"))], "message 2 has a part that is"),
        ([USER, says(part("reasoning", reasoning="", redacted=True))], "message 2 holds reasoning that is encrypted"),
        ([USER, {**ANSWER, "reasoning_content": "a", "reasoning": "b"}], "message 2 holds its reasoning in two places"),
        ([USER, {**ANSWER, "content": None}], "message 2 says nothing and calls nothing; leave it out"),
        ([USER, {**ANSWER, "content": 3}], "message 2: expected the field 'content' to be text"),
        ([USER, {**ANSWER, "audio": {"id": "x"}}], "message 2 has the field 'audio', which is not read: only text"),
        ([USER, {**ANSWER, "name": "bot"}], "message 2 has the field 'name', which is not read: write who speaks"),
        ([{**USER, "tool_calls": [call()]}, result(), ANSWER], "message 1 has tool_calls and is not the assistant's"),
        ([USER, calls(call(), function_call={"name": "g"})], "message 2 has function_call and tool_calls; leave one"),
        ([USER, result(), calls(call()), ANSWER], "message 2 is the tool's, where it can't stand"),
        ([USER, calls(call(id="a"), call(id="b")), result(id="a"), ANSWER], "message 4 is the assistant's, where"),
        ([USER, calls(call(id=["a"])), result(id=["a"]), ANSWER], "message 2 has a call whose id is no text"),
        ([USER, calls(call()), result(id={"a": 1}), ANSWER], "message 3 answers the call {'a': 1}, which is none that"),
        ([USER, calls(call("get price")), result(), ANSWER], "the tool 'get price' can't be said as an action"),
        ([USER, calls(call(arguments='"{}"')), result(), ANSWER], "message 2 has arguments that are no JSON object"),
        ([USER, calls(call(arguments='{"x": NaN}')), result(), ANSWER], "its arguments holds 'NaN' in the field 'x'"),
        ([USER, calls(call(arguments='{"x": 1, "x": 2}')), result(), ANSWER], "holds the key 'x' twice"),
        ([USER, calls(call(reward=0)), result(), ANSWER], "message 2 has the unknown field 'reward', which may"),
        ([USER, {**ANSWER, "content": '<tool_call>\n{"name": "f"}\n</tool_call>'}], "message 2 spells '<tool_call>'"),
        ([USER, calls(call(), content="Action: f[1]"), result(), ANSWER], "message 2 spells 'Action:' in its text"),
        ([USER, calls(call(), weight=0), result(), {**ANSWER, "weight": 0}], "has weight 0, so nothing is learnt"),
        ([USER, says(USE), {"role": "user", "content": [GIVEN, part("text", text="Go on.")]}, ANSWER],
         "message 3 holds results and 'text' besides; make a message of each"),
        ([{"role": "user", "content": [USE]}, ANSWER], "message 1 holds calls or results of another's"),
        ([USER, {"role": "developer", "content": "D"}, ANSWER], "message 2 is the developer's, where it can't stand"),
    ],
)  # fmt: skip
def test_odd_messages_are_refused(tmp_path: Path, messages: Any, sentence: str) -> None:
    found, counts = found_in(tmp_path, {"messages": messages})
    assert isinstance(found, DataError) and sentence in str(found), found
    assert str(found).startswith(f"{tmp_path}/a.jsonl, line 1: ") and not counts, "nothing of a refused row is counted"


def test_conversations_of_messages_are_messages(tmp_path: Path) -> None:
    found, _ = found_in(tmp_path, {"conversations": [USER, calls(call()), result(), ANSWER], "system": "S"})
    assert isinstance(found, Trajectory) and (found.steps, found.question.system) == ((CALLED, FINISHED), "S")
    found, _ = found_in(tmp_path, {"conversations": [{**USER, "from": "human"}, ANSWER]})
    assert isinstance(found, DataError) and "turn 1 has the unknown field 'role'" in str(found)


def test_reasoning_beside_react_text_says_where_to_write_it(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "Thought: t\nAction: finish[y]", "reasoning_content": "why"}
    found, _ = found_in(tmp_path, {"messages": [USER, said]})
    assert isinstance(found, DataError) and "write it at the head of 'content', between" in str(found)
    written = {"role": "assistant", "content": f"<think>\nwhy\n</think>\n\n{said['content']}"}
    found, _ = found_in(tmp_path, {"messages": [USER, written]})
    assert isinstance(found, Trajectory) and found.steps[0].thought == "<think>\nwhy\n</think>\n\nt"


def test_tools_in_odd_shapes(tmp_path: Path) -> None:
    plain = {"name": "f", "description": None, "parameters": None}
    shapes = ([plain], [{"type": "function", "function": plain}], json.dumps([plain]),
              [{"name": "f", "input_schema": {}, "cache_control": {"type": "e"}}])  # fmt: skip
    for tools in shapes:
        found, _ = found_in(tmp_path, {"messages": [USER, ANSWER], "tools": tools})
        assert isinstance(found, Trajectory) and [tool.name for tool in found.tools] == ["f"]
    for tools, sentence in {"f": "the row's tools is no JSON: 'f'", '{"f": 1}': "expected tools as a list"}.items():
        found, _ = found_in(tmp_path, {"messages": [USER, ANSWER], "tools": tools})
        assert isinstance(found, DataError) and sentence in str(found)


ODD = [None, True, 0, 1.5, "x", "[]", [[]], [None], {"x": {"y": []}}]
SEEDS: list[tuple[str, Any]] = [
    ("a.jsonl", {"prompt": [USER, calls(call()), result()], "completion": [ANSWER], "tools": [{"name": "f"}]}),
    ("a.jsonl", {"messages": [USER, says(part("thinking", thinking="t"), USE), {"role": "user", "content": [GIVEN]},
                              ANSWER]}),
    ("a.jsonl", {"messages": [USER, {"role": "assistant", "function_call": call()["function"]},
                              {"role": "function", "name": "f", "content": "r"}, ANSWER],
                 "functions": [{"name": "f"}]}),
    ("a.jsonl", {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "tools": "[]"}),
    ("a.json", [{"task": "Q"},
                {"model_output": "hm", "tool_calls": [call()], "observations": "r", "error": {"type": "e"}},
                {"model_output": "so", "tool_calls": [call("final_answer")], "is_final_answer": True}]),
    ("a.json", {"eval": {}, "status": "success", "samples": [{
        "messages": [USER, ANSWER], "target": ["A"], "scores": {"s": {"value": "C"}}, "attachments": {"a": "b"},
        "events": [{"event": "model", "tools": [{"name": "f"}]}]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row"), SEEDS)
def test_no_value_anywhere_ends_in_a_trace(tmp_path: Path, name: str, row: Any) -> None:
    for path in _paths(row):
        for value in ODD:
            (tmp_path / name).write_text(json.dumps(_put(row, path, value)))
            for attempt in attempted(tmp_path / name, Counter()):
                found = attempt.found
                assert isinstance(found, DataError) or Trajectory.from_json(found.to_json()) == found


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in members:
        yield from _paths(below, (*path, key))


def _put(row: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(row)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed
