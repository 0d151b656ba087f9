"""TRL's rows: the completion alone is learnt, by whatever shape both are written in."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories import learnable
from fireact.trajectories.files import read
from fireact.trajectories.records import Step, Trajectory

ASK = {"role": "user", "content": "What is the price of tea?"}
LOOK = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "a", "type": "function", "function": {"name": "price", "arguments": {"item": "tea"}}}]}  # fmt: skip
FOUND = {"role": "tool", "tool_call_id": "a", "content": "9"}
SAID = {"role": "assistant", "content": "9 dollars."}
TOOL = {"name": "price", "description": "A price.", "parameters": {"properties": {"item": {"type": "string"}}}}
ACT, SEEN = "Thought: look\nAction: search[tea]", "Observation: Tea costs 9."
DONE = "Thought: so\nAction: finish[9]"
Count = Counter[str]


def read_row(folder: Path, **row: Any) -> tuple[Trajectory, Count]:
    (folder / "a.jsonl").write_text(json.dumps(row) + "\n")
    counts = Count()
    (trajectory,) = read(folder / "a.jsonl", counts)
    learnable.check(trajectory, "row", Count())
    return trajectory, counts


def test_messages_of_the_prompt_are_read_and_not_learnt(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be exact."}
    trajectory, counts = read_row(tmp_path, prompt=[system, ASK, LOOK, FOUND], completion=[SAID], tools=[TOOL])
    assert trajectory.steps == (Step("", "price", "tea", "9", learnt=False), Step("", "finish", "9 dollars."))
    assert (trajectory.question.text, trajectory.question.system) == (ASK["content"], "Be exact.")
    assert trajectory.question.task == "own" and counts == {"rows": 1, "demonstrations": 1}
    whole, _ = read_row(tmp_path, prompt=[ASK], completion=[LOOK, FOUND, SAID], tools=json.dumps([TOOL]))
    assert [step.learnt for step in whole.steps] == [True, True] and whole.tools == trajectory.tools


def test_react_text_in_messages_is_read_alike(tmp_path: Path) -> None:
    turns = [ASK, {"role": "assistant", "content": ACT}, {"role": "user", "content": SEEN}]
    end = {"role": "assistant", "content": DONE}
    trajectory, counts = read_row(tmp_path, prompt=turns, completion=[end])
    assert trajectory.steps == (
        Step("look", "search", "tea", "Tea costs 9.", learnt=False), Step("so", "finish", "9")
    )  # fmt: skip
    assert counts["demonstrations"] == 1 and trajectory.question.task == "own"
    shared = [("human", ASK["content"]), ("gpt", ACT), ("human", SEEN), ("gpt", DONE)]
    again, _ = read_row(tmp_path, conversations=[{"from": who, "value": value} for who, value in shared])
    assert again.steps == (replace(trajectory.steps[0], learnt=True), trajectory.steps[1])


def test_two_texts_are_a_question_and_what_the_model_says(tmp_path: Path) -> None:
    plain, counts = read_row(tmp_path, prompt="Capital of France?", completion=" Paris")
    assert plain.steps == (Step("", "finish", "Paris"),) and counts == {"rows": 1, "demonstrations": 1}
    for end in ("", "\n", "\nObservation: Episode finished, reward = True\n"):
        acted, counts = read_row(tmp_path, prompt="What is it?", completion=f"{ACT}\n{SEEN}\n{DONE}{end}")
        assert [(s.action, s.argument) for s in acted.steps] == [("search", "tea"), ("finish", "9")]
        assert acted.score.correct and counts["demonstrations"] == ("reward" not in end)
        assert acted.question.text == "What is it?" and acted.question.task == "own"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt": "Q?"}, "has a prompt and no completion, so nothing is learnt; add"),
        ({"prompt": "Q?", "completion": None}, "has a prompt and no completion"),
        ({"prompt": [ASK], "completion": []}, "has a prompt and no completion"),
        ({"completion": "A"}, "expected prompt and completion as two lists of messages, or as two texts"),
        ({"prompt": "Q?", "completion": [SAID]}, "expected prompt and completion as two lists of messages, or as two"),
        ({"prompt": [ASK], "completion": [ASK, SAID]}, "a completion that begins with its message; move"),
        ({"prompt": [], "completion": [SAID]}, "expected a prompt that ends before the assistant speaks"),
        ({"prompt": [ASK, SAID, ASK], "completion": [SAID]}, "message 3 follows the answer; make a row of each"),
        ({"prompt": [ASK], "completion": [LOOK]}, "the row ends before the assistant's answer"),
        ({"prompt": [ASK], "completion": [{**SAID, "weight": 0}]}, "has weight 0, so nothing is learnt"),
        ({"prompt": [ASK, {**SAID, "train": 1}], "completion": [SAID]}, "message 2 has the unknown field 'train'"),
        ({"prompt": "<|im_start|>user\nQ?", "completion": "A"}, "the prompt holds '<|im_start|>', a chat template's"),
        ({"prompt": "Q?", "completion": "A</s>"}, "the completion holds '</s>', a chat template's"),
        ({"prompt": f"Q?\n{ACT}\n{SEEN}", "completion": DONE}, "the prompt holds 'Thought:' at the head of a line"),
        ({"prompt": "Q?", "completion": ACT}, "expected to end with 'Action: finish"),
        ({"prompt": "Q?", "completion": DONE, "tools": [TOOL]}, "describes tools, and its completion is one text"),
        ({"prompt": "Q?", "completion": "A", "tools": "{"}, "the row's tools is no JSON: '{'; write it as JSON"),
        ({"prompt": [ASK], "completion": [SAID], "chat_template_kwargs": {"enable_thinking": False}},
         "has the field 'chat_template_kwargs', which is not read: say how the template is filled by backbone"),
        ({"prompt": "Q?", "chosen": "A", "rejected": "B"}, "'chosen', which is not read: of two answers fine-tun"),
        ({"chosen": [ASK, SAID], "rejected": [ASK, SAID]}, "'chosen', which is not read: of two answers fine-tun"),
        ({"input": {"messages": [ASK]}, "preferred_output": [SAID], "non_preferred_output": [SAID]},
         "'preferred_output', which is not read: of two answers fine-tun"),
        ({"messages": [ASK, SAID], "rejected": [SAID]}, "'rejected', which is not read: of two answers fine-tun"),
        ({"prompt": "Q?", "completion": "A", "label": False}, "'label', which is not read: a rating is not learnt"),
        ({"prompt": [ASK], "completion": [SAID], "images": ["x"]}, "'images', which is not read: only text is learnt"),
        ({"prompt": "Q?", "completion": "A", "loss_mask": [1]}, "the unknown field 'loss_mask', which may change"),
        ({"text": "Q? A"}, "the row is one text, in which nothing says what is learnt; write it as 'prompt' and"),
    ],
)  # fmt: skip
def test_what_would_be_read_wrongly_is_refused(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        read_row(tmp_path, **row)
    assert str(error.value).startswith(f"{tmp_path}/a.jsonl, line 1: ") and sentence in str(error.value)


@pytest.mark.parametrize("said", ["**Action:** finish[9]", "Thought 1: so\nAction 1: Finish[9]", "action: finish[9]"])
def test_another_spelling_of_an_action_is_never_an_answer(tmp_path: Path, said: str) -> None:
    as_messages = {"prompt": [ASK], "completion": [{"role": "assistant", "content": said}]}
    for row in ({"prompt": "Q?", "completion": said}, as_messages):
        try:
            trajectory, _ = read_row(tmp_path, **row)
        except DataError:
            continue
        assert trajectory.steps[-1].argument == "9"


def test_empty_columns_of_a_preference_set_say_nothing(tmp_path: Path) -> None:
    empty = {"chosen": None, "rejected": [], "chat_template_kwargs": {}, "images": None}
    trajectory, _ = read_row(tmp_path, prompt="Q?", completion="A", **empty)
    assert trajectory.steps == (Step("", "finish", "A"),)
