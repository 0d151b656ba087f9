"""A row of each format: its exact text, what is read of it, and the sentence for what it can't hold."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.exporters.rows import FORMATS, row_of
from fireact.trajectories.files import placed
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.storage.writing import write_lines
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema

LOOK = Step("I need X.", "search", "X", "X is\nby [Y].")
ANSWER = Step("So Y.", "finish", "Y")
PLAIN = Trajectory(
    Question("own-35b6e4e3ebfa", "Who wrote X?", "Y", "own", "train", system="Be brief."),
    "react", (LOOK, ANSWER), Ending.FINISH, "Y", Score(1.0, 1.0, True),
)  # fmt: skip
FULL = replace(
    PLAIN,
    question=Question("q7", "Which?", "B", "mmlu", "dev", ("Ann", "Bob"), "bridge", ("X",), "Be brief.",
                      ('{"arguments": "X", "tool": "search"}',)),
    method="fireact",
    steps=(replace(LOOK, learnt=False), Step("Again.", "search", "Y", "Error."), replace(ANSWER, observation="!")),
    answer=" Y",
    score=Score(0.0, 0.5, False, 0.25),
    usage=Usage(3, 2, 10, 20, 0.5, 1.5),
    provenance={"lm": "teacher \"é\""},
)  # fmt: skip
SEARCH = ToolSchema.from_json(SEARCH_TOOL.to_json(), "search")  # as it is once it is read
DRAW = ToolSchema("draw", "Draws.", '{"properties": {"n": {"type": "integer"}, "of": {}}, "type": "object"}')
CALLS = replace(
    FULL,
    tools=(SEARCH, DRAW),
    steps=(Step("Two.", "draw", '{"n":1, "of": ["é"]}', "a"), Step("", "search", "]\n", "b", continues=True), ANSWER),
)


def row(trajectory: Trajectory, to: str, *leave_out: str) -> tuple[dict[str, Any], Counter[str]]:
    counts: Counter[str] = Counter()
    return row_of(trajectory, to, leave_out, counts), counts


def read_back(folder: Path, rows: list[Any]) -> list[Trajectory]:
    write_lines(folder / "rows.jsonl", rows)
    return [trajectory for _, trajectory in placed(folder / "rows.jsonl", Counter())]


def same(one: Trajectory, other: Trajectory) -> bool:
    return one.to_json() == other.to_json()


def test_openai_s_messages_say_calls_results_and_the_answer() -> None:
    made, counts = row(replace(CALLS, question=PLAIN.question), "openai")
    assert made["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who wrote X?"},
        {"role": "assistant", "content": "Two.", "tool_calls": [
            {"id": "call00000", "type": "function",
             "function": {"name": "draw", "arguments": '{"n": 1, "of": ["é"]}'}},
            {"id": "call00001", "type": "function", "function": {"name": "search", "arguments": '{"query": "]\\n"}'}},
        ]},
        {"role": "tool", "tool_call_id": "call00000", "content": "a"},
        {"role": "tool", "tool_call_id": "call00001", "content": "b"},
        {"role": "assistant", "content": "Y"},
    ]  # fmt: skip
    assert made["tools"] == [{"type": "function", "function": tool.to_json()} for tool in CALLS.tools]
    assert json.loads(made["metadata"]["fireact"])["steps"] == {
        "1": {"argument": '{"n":1, "of": ["é"]}'}, "3": {"thought": "So Y."}
    }  # fmt: skip
    assert counts == {"thoughts_in_metadata": 1}


def test_sharegpt_s_turns_say_the_same() -> None:
    made, counts = row(replace(CALLS, question=PLAIN.question), "sharegpt")
    assert made["conversations"] == [
        {"from": "human", "value": "Who wrote X?"},
        {"from": "function_call", "value": '[{"name": "draw", "arguments": {"n": 1, "of": ["é"]}}, '
                                           '{"name": "search", "arguments": {"query": "]\\n"}}]'},
        {"from": "observation", "value": "a"},
        {"from": "observation", "value": "b"},
        {"from": "gpt", "value": "Y"},
    ]  # fmt: skip
    assert json.loads(made["tools"]) == [tool.to_json() for tool in CALLS.tools]
    assert made["system"] == "Be brief." and counts == {"thoughts_in_metadata": 2}


def test_react_text_ends_with_the_assistant_s_answer() -> None:
    made, counts = row(replace(PLAIN, steps=(replace(LOOK, learnt=False), ANSWER)), "react")
    assert made["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who wrote X?"},
        {"role": "assistant", "content": "Thought: I need X.\nAction: search[X]", "weight": 0},
        {"role": "user", "content": "Observation: X is by [Y]."},
        {"role": "assistant", "content": "Thought: So Y.\nAction: finish[Y]"},
    ]
    assert json.loads(made["metadata"]["fireact"])["steps"] == {"1": {"observation": "X is\nby [Y]."}}
    assert counts == {}


def test_an_alpaca_row_ends_with_the_closing_line() -> None:
    made, _ = row(PLAIN, "alpaca")
    assert made | {"metadata": None} == {
        "instruction": "Who wrote X?", "input": "", "system": "Be brief.", "metadata": None,
        "output": "Thought: I need X.\nAction: search[X]\nObservation: X is by [Y].\n"
                  "Thought: So Y.\nAction: finish[Y]\nObservation: Episode finished, reward = True\n",
    }  # fmt: skip
    cot, _ = row(replace(PLAIN, method="cot", steps=(ANSWER,), score=Score(0.0, 0.0, False)), "alpaca")
    assert cot["output"].endswith("\nObservation: Episode finished, reward = 0")


@pytest.mark.parametrize(
    ("to", "original"),
    [
        *((to, trajectory) for to in FORMATS for trajectory in (PLAIN, replace(FULL, steps=FULL.steps[1:]))),
        *((to, FULL) for to in ("jsonl", "openai", "sharegpt", "react")),
        *((to, CALLS) for to in ("jsonl", "openai", "sharegpt")),
        ("react", replace(PLAIN, steps=(Step("Thought: hm", "", "", "What?"), *PLAIN.steps))),
        ("alpaca", replace(PLAIN, steps=(Step("Thought: hm", "", "", "What?"), *PLAIN.steps))),
        ("openai", replace(PLAIN, steps=(replace(LOOK, thought="<think>\nhm\n</think>\n\nSo."), ANSWER))),
        ("jsonl", replace(FULL, ending=Ending.BUDGET, steps=())),
        ("react", replace(PLAIN, steps=(replace(LOOK, observation="Thought: a\nAction: finish[b]"), ANSWER))),
        ("alpaca", replace(PLAIN, steps=(replace(LOOK, observation="Thought: a\nAction: finish[b]"), ANSWER))),
    ],
)  # fmt: skip
def test_what_is_written_is_read_back_equal(tmp_path: Path, to: str, original: Trajectory) -> None:
    (again,) = read_back(tmp_path, [row(original, to)[0]])
    assert same(again, original)
    assert row(again, to) == row(original, to), "what was read is written as before"


def test_a_row_that_says_all_carries_nothing(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]
    native = {"messages": messages, "tools": [{"type": "function", "function": DRAW.to_json()}]}
    text = {"messages": [messages[0], {"role": "assistant", "content": "Action: finish[A]"}]}
    for to, foreign in {"openai": native, "react": text}.items():
        (trajectory,) = read_back(tmp_path, [foreign])
        assert row(trajectory, to) == (foreign, {})


STEP_1 = "step 1 is not learnt, and all of an Alpaca row's output is; write it to=react, to=openai or to=jsonl, or"
IDLE = replace(PLAIN, steps=(Step("hm", "", "", "No."), ANSWER))


@pytest.mark.parametrize(
    ("to", "trajectory", "sentence"),
    [
        *((to, replace(PLAIN, ending=Ending.BUDGET), "it ended by budget, without an answer; write it to=jsonl")
          for to in ("openai", "sharegpt", "react", "alpaca")),
        ("react", replace(PLAIN, steps=()), "its last step is no answer, finish[…]; write it to=jsonl"),
        ("react", replace(PLAIN, steps=(LOOK,)), "its last step is no answer, finish[…]; write it to=jsonl"),
        ("openai", replace(PLAIN, steps=(ANSWER, ANSWER)), "step 1 of 2 is finish[…] already; write it to=jsonl"),
        ("openai", replace(PLAIN, steps=(replace(LOOK, observation=None), ANSWER)), "nothing was observed after"),
        ("openai", IDLE, "step 1 takes no action, and here a message without a call is the answer; write it to=react"),
        ("react", IDLE, "it would not be read back: the thought of step 1 is 'hm' and there 'Thought: hm'; write it"),
        ("sharegpt", replace(PLAIN, steps=(replace(ANSWER, argument=" "),)), "its answer is empty, which here is"),
        ("openai", replace(CALLS, steps=(*CALLS.steps[:1], replace(ANSWER, continues=True))), "the answer stands"),
        ("openai", replace(CALLS, steps=(replace(CALLS.steps[0], learnt=False), *CALLS.steps[1:])),
         "of the calls in the turn of step 2 only some are learnt, and a message has one weight; write it to=jsonl"),
        ("openai", replace(PLAIN, steps=(replace(LOOK, action="draw"), ANSWER)), "it calls draw, which none of its"),
        ("openai", replace(CALLS, steps=(Step("", "draw", "3", "a"), ANSWER)), "the argument of draw is no"),
        ("openai", replace(CALLS, steps=(Step("", "draw", '{"n": NaN}', "a"), ANSWER)), "the argument of draw is"),
        ("openai", replace(CALLS, steps=(Step("", "draw", '{"n": "\\ud83d"}', "a"), ANSWER)),
         "it would not be read back: the row holds half of a surrogate pair"),
        ("openai", replace(PLAIN, steps=(replace(ANSWER, learnt=False),)), "it would not be read back: every message"),
        ("openai", replace(PLAIN, question=replace(PLAIN.question, text=" ")), "it would not be read back: the"),
        ("react", CALLS, "step 2 is a further call of a turn, and a turn of ReAct text takes one action; write it"),
        ("react", replace(PLAIN, tools=(DRAW,)), "it describes tools, for which such a row has no place; write it to="),
        ("alpaca", replace(PLAIN, tools=(SEARCH_TOOL,)), "it describes tools, for which such a row has no place"),
        ("alpaca", FULL, STEP_1),
        ("react", replace(PLAIN, question=replace(PLAIN.question, text="Question: Who?")),
         "it would not be read back: the question is 'Question: Who?' and there 'Who?'; write it to=jsonl"),
        ("react", replace(PLAIN, steps=(replace(LOOK, argument="X\nY"), ANSWER)), "it would not be read back: "),
    ],
)  # fmt: skip
def test_what_a_format_can_t_hold_is_named(to: str, trajectory: Trajectory, sentence: str) -> None:
    counts: Counter[str] = Counter()
    with pytest.raises(DataError) as error:
        row_of(trajectory, to, (), counts)
    assert str(error.value).startswith(sentence) and counts == {}


def test_metadata_is_left_out_only_where_nothing_learnt_is(tmp_path: Path) -> None:
    made, counts = row(PLAIN, "react", "metadata")
    assert "metadata" not in made and counts == {"left_out metadata": 1}
    with pytest.raises(DataError, match="openai's messages have no place for the thought of step 2; keep the metadata"):
        row(PLAIN, "openai", "metadata")
    made, counts = row(PLAIN, "openai", "metadata", "thoughts")
    assert counts == {"left_out metadata": 1, "left_out thoughts": 1}
    (again,) = read_back(tmp_path, [made])
    assert again.steps == (LOOK, replace(ANSWER, thought="")), "the thought beside a call has its place"
    with pytest.raises(DataError, match="its answer counts as wrong, which react's messages don't say; keep the"):
        row(FULL, "react", "metadata")
    assert "reward = False" in row(FULL, "alpaca", "metadata", "weights")[0]["output"]


def test_weights_may_be_left_out(tmp_path: Path) -> None:
    made, counts = row(FULL, "alpaca", "weights")
    (again,) = read_back(tmp_path, [made])
    assert all(step.learnt for step in again.steps) and counts == {"left_out weights": 1}
