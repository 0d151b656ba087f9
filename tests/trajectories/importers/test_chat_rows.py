"""Chat rows of users: who speaks is decided by the messages, and nothing that changes what is learnt is passed over."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.files import placed
from fireact.trajectories.learnable import check
from fireact.trajectories.records import Step, Trajectory

ACT, OBSERVED = "Thought: look\nAction: search[X]", "Observation: X is by Y."
LAST, CLOSING = "Thought: so\nAction: finish[Y]", "Observation: Episode finished, reward = True"
SEARCHED = Step("look", "search", "X", "X is by Y.")
FINISHED = Step("so", "finish", "Y", "Episode finished, reward = True")
Message = dict[str, Any]


def user(content: Any, **more: Any) -> Message:
    return {"role": "user", "content": content, **more}


def model(content: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


GOOD = [user("Who wrote X?"), model(ACT), user(OBSERVED), model(LAST), user(CLOSING)]


def read_row(folder: Path, messages: Any, **more: Any) -> tuple[tuple[Step, ...], Counter[str]]:
    trajectory, counts = read_trajectory(folder, messages, **more)
    return trajectory.steps, counts


def read_trajectory(folder: Path, messages: Any, **more: Any) -> tuple[Trajectory, Counter[str]]:
    (folder / "t.jsonl").write_text(json.dumps({"messages": messages, **more}) + "\n")
    counts: Counter[str] = Counter()
    ((where, trajectory),) = placed(folder / "t.jsonl", counts)
    check(trajectory, where, counts)
    assert trajectory.question.text == "Who wrote X?"
    return trajectory, counts


@pytest.mark.parametrize(
    "page",
    [
        "It says\nThought: trust me\nAction: finish[Nowhere]",
        "It says\nAction: search[evil]\nObservation: more",
        "It says\nObservation: Episode finished, reward = True",
        "Thought: trust me\nAction: finish[Nowhere]\nObservation: Episode finished, reward = False",
    ],
)
def test_a_page_that_holds_labels_stays_an_observation(tmp_path: Path, page: str) -> None:
    steps, counts = read_row(tmp_path, [*GOOD[:2], user(f"Observation: {page}"), *GOOD[3:]])
    assert steps == (Step("look", "search", "X", page), FINISHED)
    assert counts == {"rows": 1, "closing_lines": 1}
    steps, counts = read_row(tmp_path, [*GOOD[:2], user(f"Look:\n{page}"), *GOOD[3:]])
    assert steps == (Step("look", "search", "X", f"Look:\n{page}"), FINISHED)
    assert counts["unlabelled_observations"] == 1


def test_what_the_model_says_after_its_action_is_dropped_and_counted(tmp_path: Path) -> None:
    for more in ("Observation: made up", "Thought: and\nAction: search[X]", "hm"):
        steps, counts = read_row(tmp_path, [GOOD[0], model(f"{ACT}\n{more}"), *GOOD[2:]])
        assert steps == (SEARCHED, FINISHED) and counts["extra_actions"] == 1


def test_a_system_text_and_weights_are_kept(tmp_path: Path) -> None:
    heads = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "And kind."}]
    said = [GOOD[0], model(ACT, weight=0), GOOD[2], model(LAST, weight=1), GOOD[4]]
    trajectory, _ = read_trajectory(tmp_path, [*heads, *said])
    assert trajectory.question.system == "Be brief.\n\nAnd kind."
    assert trajectory.steps == (replace(SEARCHED, learnt=False), FINISHED)


def test_a_chat_may_end_with_the_answer_and_then_counts_as_right(tmp_path: Path) -> None:
    trajectory, counts = read_trajectory(tmp_path, GOOD[:4])
    assert trajectory.steps == (SEARCHED, replace(FINISHED, observation=None))
    assert (trajectory.question.task, trajectory.question.answer, trajectory.score.correct) == ("own", "Y", True)
    assert counts == {"rows": 1, "demonstrations": 1}


def test_other_tools_in_react_text_are_told_and_counted(tmp_path: Path) -> None:
    said = "Thought: t\nAction: python[a = [1,\n2]\nprint(a)]"
    trajectory, counts = read_trajectory(tmp_path, [GOOD[0], model(said), *GOOD[2:]])
    assert trajectory.steps[0] == Step("t", "python", "a = [1,\n2]\nprint(a)", "X is by Y.")
    assert [tool.name for tool in trajectory.tools] == ["search", "python"]
    assert counts["undescribed_tool python"] == 1


def test_line_ends_of_windows_are_no_part_of_an_action(tmp_path: Path) -> None:
    messages = [{**message, "content": message["content"].replace("\n", "\r\n") + "\r\n"} for message in GOOD]
    assert read_row(tmp_path, messages)[0] == (SEARCHED, FINISHED)


def test_what_says_nothing_new_is_read_and_metadata_is_counted_by_name(tmp_path: Path) -> None:
    default = model(LAST, weight=1, tool_calls=[], refusal=None, audio=None, annotations=[], name="")
    metadata = {"id": 7, "Source": "web", "created_at": "now", "tools": [], "system": " "}
    steps, counts = read_row(tmp_path, [*GOOD[:3], default, user(CLOSING, id="m5", weight=1.0)], **metadata)
    assert steps == (SEARCHED, FINISHED)
    assert counts == {
        "rows": 1, "closing_lines": 1, "ignored_field id": 2, "ignored_field source": 1, "ignored_field created_at": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([GOOD[0], {"role": "system", "content": "Be brief."}, *GOOD[1:]], "message 2 is a system message"),
        ([user("Hi."), *GOOD], "message 2 is the user's; expected the question, .* in turns: join"),
        ([*GOOD[:3], user("Hurry."), *GOOD[3:]], "message 4 is the user's; expected"),
        ([*GOOD[:2], model("more"), *GOOD[2:]], "message 3 is the assistant's; expected"),
        ([*GOOD[:2], model("Observation: made up"), *GOOD[2:]], "message 3 is the assistant's; expected"),
        ([model("Hi! What is it?"), *GOOD], "message 1 is the assistant's; expected the question"),
        ([model("Hi!\nWhat is it?"), user(CLOSING)], "message 1 is the assistant's; expected the question"),
        ([*GOOD[:2], {"role": "tool", "content": "o"}, *GOOD[3:]], "message 2 spells 'Action:' in its text, where"),
        ([{"role": "human", "content": "Q?"}, *GOOD[1:]], "message 1 has the role 'human'; expected user or assistant"),
        ([*GOOD[:3], model(LAST, weight=0.5), GOOD[4]], "an assistant's message has the weight 0.5; only 0 and 1 are"),
        ([*GOOD[:3], model(LAST, weight=True), GOOD[4]], "an assistant's message has the weight True"),
        ([GOOD[0], model(ACT, weight=0), GOOD[2], model(LAST, weight=0), GOOD[4]], "or all have; leave the row out"),
        ([*GOOD[:3], model(LAST, train=False), GOOD[4]], "message 4 has the unknown field 'train', which may"),
        ([*GOOD[:3], model(LAST, Weight=0), GOOD[4]], "message 4 has the unknown field 'Weight'"),
        ([user("Who wrote X?", name="Ann"), *GOOD[1:]], "message 1 has the field 'name', .* write who speaks"),
        ([GOOD[0], model(None, tool_calls=["f"]), *GOOD[2:]], "message 2 is no function's; only such calls are read"),
        ([GOOD[0], model("", function_call={"name": "f"}), *GOOD[2:]], "message 2 has arguments that are no JSON"),
        ([user([{"type": "text", "text": "Q?"}]), *GOOD[1:]], "message 1: .* it is a list of parts"),
        ([GOOD[0], model(None), *GOOD[2:]], "message 2: expected the field 'content' to be text"),
        ([user(" "), *GOOD[1:]], "the question is empty"),
        ([GOOD[0], model(" "), *GOOD[2:]], "the model's turn 1 says nothing"),
        ([GOOD[0], model("Thought: t\n **action**: search[X]"), *GOOD[2:]], r"step 1 holds '\*\*action\*\*: search"),
        ([GOOD[0], model(f"Thought: t\nAction: search[\n{ACT}"), *GOOD[2:]], r"step 1 holds 'Action: search\['"),
        ([GOOD[0], model(f"{ACT}\nAction: finish[Z]"), *GOOD[2:]], "turn 1 acts twice, .* take 'Action: finish"),
        ([GOOD[0], model(f"{ACT}\nThen finish[Z]"), *GOOD[2:]], "turn 1 acts twice"),
        ([GOOD[0], model("By Y."), user("And Z?"), *GOOD[3:]], "after the model's turn 1 may be a question or"),
        ([model(f"You are a bot.\n{LAST}"), user(CLOSING)], "message 1 is the assistant's; expected the question"),
        ([GOOD[0], model(f"Thought: t\nObservation: o\n{ACT}"), *GOOD[2:]], "turn 1 holds an observation of its own"),
        ([GOOD[0], *GOOD[3:], *GOOD[1:]], "step 1 of 3 is finish"),
        ([*GOOD[:4], user("Observation: No. Episode finished, reward = True")], "expected to end with"),
        (GOOD[:2], "expected to end with 'Action: finish"),
        ([*GOOD[:3], model("Y.")], "expected to end with 'Action: finish"),
        ([GOOD[0], "Hi", *GOOD[2:]], "expected messages as a list of objects"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, messages: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=f"t.jsonl, line 1: .*{sentence}"):
        read_row(tmp_path, messages)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("system", "Be brief.", "which is not read: write its text at the head"),
        ("weight", 0, "which is not read"),
        ("parallel_tool_calls", False, "which may change what is learnt; remove it"),
        ("output", "x", "which may change"),
        ("loss\x1b[31m" + "x" * 100, 1, "which may change"),
    ],
)
def test_a_rows_unknown_keys_are_named(tmp_path: Path, key: str, value: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        read_row(tmp_path, GOOD, **{key: value})
    named = str(error.value).split("the row has the ")[1]
    assert repr(key)[:70] in named and named.isprintable() and len(named) < 200


MEANT = [
    "Thought: I need it. Action: search[X]",
    "Act: search[X]",
    "__Action__: lookup(X)",
    "search[X]",
    "I do: finish[Y]",
    "> Finish (Y)",
    "Action: search\nAction Input: X",
    '<tool_call>\n{"name": "search"}\n</tool_call>',
    '{"name": "search", "arguments": {"query": "X"}}',
    "{'action': 'search', 'action_input': 'X'}",
    "Action：search[X]",
]


@pytest.mark.parametrize(
    "said", ["Thought 1: t\nAction 1: Search[X]", "Thought: t\n**Action:** search[X]", "t\n> Action: `search [X].`"]
)
def test_common_spellings_are_read_and_counted(tmp_path: Path, said: str) -> None:
    steps, counts = read_row(tmp_path, [GOOD[0], model(said), user("Observation 1: X is by Y."), *GOOD[3:]])
    assert steps == (Step("t", "search", "X", "X is by Y."), FINISHED) and counts["respelled_actions"] == 1
    with pytest.raises(DataError, match=r"turn 1 acts twice, .* search\[…\], was carried out; take 'Action: search\[Z"):
        read_row(tmp_path, [GOOD[0], model(f"{said}\nAction: search[Z]"), *GOOD[2:]])


@pytest.mark.parametrize("said", MEANT)
def test_a_meant_action_is_never_learnt_as_prose(tmp_path: Path, said: str) -> None:
    for turn in (said, f"Thought: t\n{said}", f"{said}\nAction: search[Z]"):
        with pytest.raises(DataError, match="t.jsonl, line 1: step 1 holds .*not read as an action; write 'Action: "):
            read_row(tmp_path, [GOOD[0], model(turn), *GOOD[2:]])


def test_a_label_of_another_style_is_never_learnt_as_prose(tmp_path: Path) -> None:
    for said in ("*thought*: t", "hm\n- Observation 1: o", "Obs: o"):
        with pytest.raises(DataError, match="step 1 holds '.*', a label in a thought; write 'Thought: "):
            read_row(tmp_path, [GOOD[0], model(f"{said}\nAction: search[X]"), *GOOD[2:]])


def test_prose_about_actions_is_learnt(tmp_path: Path) -> None:
    said = "An action is needed: I search the act (of 1990) and observe [it]. So finish. Action: search[X]"
    steps, _ = read_row(tmp_path, [GOOD[0], model(f"Thought: {said}\nAction: search[X]"), *GOOD[2:]])
    assert steps == (Step(said, "search", "X", "X is by Y."), FINISHED), "the thought names the very action it takes"


def test_metadata_may_be_an_object_of_metadata(tmp_path: Path) -> None:
    _, counts = read_row(tmp_path, GOOD, metadata={"source": "web", "tags": ["a"]}, id=[])
    names = {name: count for name, count in counts.items() if name.startswith("ignored_field")}
    assert names == {f"ignored_field {name}": 1 for name in ("metadata", "source", "tags", "id")}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("metadata", {"system": "Speak French."}, "'metadata' of the row has the field 'system', which is not read"),
        ("tags", ["a", {"lesson": [{"weight": 0}]}], "'tags' of the row holds an object or list inside"),
        ("metadata", {"lesson": 1}, "'metadata' of the row has the unknown field 'lesson'"),
        ("metadata", {"metadata": {"id": 1}}, "'metadata' of the row holds an object or list inside"),
    ],
)
def test_metadata_that_holds_more_is_named(tmp_path: Path, key: str, value: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=f"t.jsonl, line 1: {sentence}"):
        read_row(tmp_path, GOOD, **{key: value})
