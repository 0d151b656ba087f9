"""Runs of smolagents 1.26 and logs of inspect_ai 0.3, in the shapes that these libraries wrote, cut to what is read."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories import learnable
from fireact.trajectories.files import read
from fireact.trajectories.records import Step, Trajectory

ASKED = {"task": "What are 3 teas?", "task_images": None}


def call(name: str, arguments: Any, id: str = "c0") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def step(number: int, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("error", "model_output", "code_action", "observations", "observations_images",
                           "action_output", "token_usage"))  # fmt: skip
    logged = {"step_number": number, "timing": {"start_time": 1.5, "end_time": 2.5}, "model_input_messages": [{"a": 1}]}
    said = {"tool_calls": [], "model_output_message": {"role": "assistant"}, "is_final_answer": False}
    return {**empty, **logged, **said, **more}


FAILED = step(
    1, model_output="I look.", error={"type": "AgentToolExecutionError", "message": "no gold"},
    model_output_message={"role": "assistant", "content": "I look.", "tool_calls": [call("price", {"item": "gold"})]},
)  # fmt: skip
TWO = step(2, model_output="I look.", observations="9\n8",
           tool_calls=[call("price", {"item": "tea"}), call("price", {"item": "salt"}, "c1")])  # fmt: skip
FINAL = step(3, tool_calls=[call("final_answer", {"answer": 27})], observations="27", is_final_answer=True)
CODE = step(1, model_output="Thought: I look.\n<code>\np = price('tea')\nprint(p)\n</code>", observations="Logs:\n9",
            code_action="p = price('tea')\nprint(p)", tool_calls=[call("python_interpreter", "p = …")])  # fmt: skip
SAID = step(2, model_output="Thought: done\n```py\nfinal_answer('27')\n```", code_action="final_answer('27')",
            action_output="27", is_final_answer=True)  # fmt: skip


def read_value(folder: Path, value: Any, name: str = "a.json") -> tuple[list[Trajectory], Counter[str]]:
    (folder / name).write_text(json.dumps(value))
    counts = Counter[str]()
    found = list(read(folder / name, counts))
    for trajectory in found:
        learnable.check(trajectory, "row", Counter())
    return found, counts


def test_a_run_of_smolagents_is_its_calls_and_its_answer(tmp_path: Path) -> None:
    steps = [ASKED, FAILED, TWO, FINAL]
    result = {"output": "27", "state": "success", "steps": steps, "token_usage": None, "timing": {"start_time": 1}}
    for value, name in ((steps, "a.json"), (steps, "a.jsonl"), (result, "a.json"), (result, "a.jsonl")):
        (trajectory,), counts = read_value(tmp_path, value, name)
        assert trajectory.steps == (
            Step("I look.", "price", "gold", "no gold"), Step("I look.", "price", "tea", "9"),
            Step("", "price", "salt", "8", continues=True), Step("", "finish", "27"),
        )  # fmt: skip
        assert (trajectory.question.text, trajectory.question.task) == ("What are 3 teas?", "own")
        assert counts["tool_error price"] == counts["demonstrations"] == counts["undescribed_tool price"] == 1
        assert counts["ignored_field model_input_messages"] == 3 and counts["rows"] == 1


def test_a_code_agent_calls_python_and_says_its_answer(tmp_path: Path) -> None:
    (trajectory,), counts = read_value(tmp_path, [{"system_prompt": "You are."}, ASKED, CODE, SAID])
    program = Step("I look.", "python_interpreter", "p = price('tea')\nprint(p)", "Logs:\n9")
    assert trajectory.steps == (program, Step("done", "finish", "27"))
    assert counts["ignored_field system_prompt"] == 1 and counts["answers_behind_code"] == 0
    more = {**SAID, "code_action": "x = 3 * 9\nfinal_answer(str(x))", "observations": "Logs:"}
    (trajectory,), counts = read_value(tmp_path, [ASKED, CODE, more])
    assert trajectory.steps == (
        program, Step("done", "python_interpreter", "x = 3 * 9\nfinal_answer(str(x))", "Logs:"),
        Step("", "finish", "27"),
    )  # fmt: skip
    assert counts["answers_behind_code"] == 1


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([ASKED, TWO], "the row ends before the assistant's answer"),
        ([ASKED, ASKED, FINAL], "message 2 is the user's, where it can't stand"),
        ([ASKED, {"plan": "First …", "timing": {}}, FINAL], "step 2 is a plan, which is no turn here; leave"),
        ([ASKED, step(1, error={"type": "AgentParsingError", "message": "no code"}), FINAL],
         "step 2 makes no call that could be read ('no code'); leave"),
        ([ASKED, {**TWO, "observations": "9\n8\n7"}, FINAL], "step 2 makes 2 calls whose results are one text"),
        ([ASKED, {**FINAL, "tool_calls": [*TWO["tool_calls"], *FINAL["tool_calls"]]}], "calls other tools beside"),
        ([{**ASKED, "task_images": ["x"]}, FINAL], "step 1 shows images, and only text is learnt"),
        ([ASKED, {**FINAL, "reward": 0}], "step 2 has the unknown field 'reward', which may change"),
        ([ASKED, 3, FINAL], "expected step 2 as an object"),
        ([ASKED, {**TWO, "tool_calls": [call("get price", {"a": 1})]}, FINAL], "the tool 'get price' can't be said as"),
    ],
)  # fmt: skip
def test_what_a_run_can_t_say_is_named(tmp_path: Path, steps: list[Any], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        read_value(tmp_path, steps)
    assert str(error.value).startswith(f"{tmp_path}/a.json, its run: ") and sentence in str(error.value)


def test_runs_that_ended_otherwise_and_lone_steps_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the run ended as 'max_steps_error', not with an answer; leave it out"):
        read_value(tmp_path, {"output": "x", "state": "max_steps_error", "steps": [ASKED, FINAL]})
    with pytest.raises(DataError, match="line 1: the row is one step of smolagents'; write all steps of a run as one"):
        read_value(tmp_path, FAILED, "a.jsonl")


PRICE = {"name": "price", "description": "A price.", "parameters": {"type": "object", "properties": {
    "item": {"type": "string"}}}}  # fmt: skip
MADE = {"id": "m", "source": "generate", "model": "mock", "role": "assistant", "content": "I look."}
SAMPLE: dict[str, Any] = {
    "id": 1, "epoch": 1, "input": "What are 3 teas?", "target": "27", "metadata": {"a": {"b": 1}}, "store": {},
    "messages": [
        {"id": "s", "role": "system", "content": "Be exact."},
        {"id": "q", "role": "user", "source": "input", "content": "What are 3 teas?"},
        {**MADE, "tool_calls": [{"id": "t", "function": "price", "arguments": {"item": "gold"}, "type": "function"}]},
        {"id": "r", "role": "tool", "tool_call_id": "t", "function": "price", "content": "",
         "error": {"type": "unknown", "message": "no gold"}},
        {**MADE, "tool_calls": [{"id": "u", "function": "price", "arguments": {"item": "tea"}, "type": "function"}]},
        {"id": "v", "role": "tool", "tool_call_id": "u", "function": "price", "content": "attachment://9f"},
        {**MADE, "content": [{"type": "reasoning", "reasoning": "3 by 9", "signature": "x"},
                             {"type": "text", "text": "27 dollars", "citations": [{"a": []}]}]},
    ],
    "scores": {"includes": {"value": "C", "answer": "27 dollars", "history": []}}, "attachments": {"9f": "9 dollars"},
    "events": [{"event": "state"}, {"event": "model", "tools": [PRICE], "tool_choice": "auto"}], "error_retries": [],
}  # fmt: skip


def log(**changes: Any) -> dict[str, Any]:
    return {"version": 2, "status": "success", "eval": {"task": "teas"}, "samples": [{**SAMPLE, **changes}]}


def test_a_sample_of_inspect_s_log_is_its_messages_tools_and_score(tmp_path: Path) -> None:
    (trajectory,), counts = read_value(tmp_path, log())
    assert trajectory.steps == (
        Step("I look.", "price", "gold", "no gold"), Step("I look.", "price", "tea", "9 dollars"),
        Step("<think>\n3 by 9\n</think>", "finish", "27 dollars"),
    )  # fmt: skip
    question = trajectory.question
    assert (question.text, question.system, question.answer) == ("What are 3 teas?", "Be exact.", "27")
    assert [tool.to_json() for tool in trajectory.tools] == [PRICE] and trajectory.score.correct
    assert (counts["tool_error price"], counts["demonstrations"], counts["failed"]) == (1, 0, 0)
    assert counts["ignored_field events"] == counts["ignored_field citations"] == counts["ignored_field signature"] == 1
    (wrong,), counts = read_value(tmp_path, log(scores={"a": {"value": 1}, "b": {"value": "I"}}))
    assert not wrong.score.correct and counts["failed"] == 1
    (unscored,), counts = read_value(tmp_path, log(scores=None))
    assert unscored.score.correct and counts["demonstrations"] == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"error": {"message": "Cancelled", "traceback": "…"}}, "the sample ended in the error 'Cancelled'; leave it"),
        ({"limit": {"type": "message", "limit": 9}}, "the sample ended in the limit 'message'; leave it out"),
        ({"scores": {"a": {"value": 0.5}}}, "the scorer 'a' gives 0.5, which is neither right nor wrong"),
        ({"scores": {"a": {"value": ["C"]}}}, "the scorer 'a' gives ['C'], which is neither right nor wrong"),
        ({"attachments": {}}, "the sample lacks 'attachment://9f'; write the log with its attachments"),
        ({"messages": SAMPLE["messages"][:-1]}, "the row ends before the assistant's answer"),
        ({"branch": 1}, "the sample has the unknown field 'branch', which may change"),
    ],
)
def test_what_a_sample_can_t_say_is_named(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        read_value(tmp_path, log(**changes))
    assert str(error.value).startswith(f"{tmp_path}/a.json, sample 1: ") and sentence in str(error.value)


def test_calls_that_were_not_read_and_logs_without_samples_are_named(tmp_path: Path) -> None:
    broken = copy.deepcopy(SAMPLE["messages"])
    broken[2]["tool_calls"][0]["parse_error"] = "no JSON"
    with pytest.raises(DataError, match=r"a call of 'price' could not be read \('no JSON'\); leave the sample out"):
        read_value(tmp_path, log(messages=broken))
    for samples in ([], None):
        with pytest.raises(DataError, match=f"^{tmp_path}/a.json: the log holds no samples; write it with them"):
            read_value(tmp_path, {**log(), "samples": samples})
    with pytest.raises(DataError, match="a.eval is a log that inspect_ai alone unpacks; convert it by: inspect"):
        read_value(tmp_path, log(), "a.eval")


def test_a_span_of_a_trace_is_no_episode(tmp_path: Path) -> None:
    langsmith = {"run_type": "llm", "inputs": {"messages": []}, "outputs": {"choices": []}}
    weave = {"op_name": "openai.chat", "inputs": {"messages": []}, "output": {"choices": []}}
    for row in (langsmith, weave, {"trace_id": "t", "span_id": "s", "attributes": {}}):
        with pytest.raises(DataError, match="line 1: the row is a span of a trace, .* write each episode as one"):
            read_value(tmp_path, row, "a.jsonl")
