"""Alpaca rows of users: one text, in which only the labels tell who speaks, so what they don't tell is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.files import placed
from fireact.trajectories.learnable import check
from fireact.trajectories.records import Step, Trajectory

ACT, OBSERVED = "Thought: look\nAction: search[X]", "Observation: X is by Y."
LAST, CLOSING = "Thought: so\nAction: finish[Y]", "Observation: Episode finished, reward = True"
STEPS = Step("look", "search", "X", "X is by Y."), Step("so", "finish", "Y", "Episode finished, reward = True")


def read_row(folder: Path, *parts: str, **more: Any) -> tuple[Trajectory, Counter[str]]:
    row = {"instruction": "Who wrote X?", "output": "\n".join([*parts, ""]), **more}
    (folder / "t.json").write_text(json.dumps([row]))
    counts: Counter[str] = Counter()
    ((where, trajectory),) = placed(folder / "t.json", counts)
    check(trajectory, where, counts)
    return trajectory, counts


GOOD = (ACT, OBSERVED, LAST, CLOSING)


def test_empty_fields_say_nothing_and_metadata_is_counted(tmp_path: Path) -> None:
    trajectory, counts = read_row(tmp_path, *GOOD, input="", system=None, history=[], ID=3)
    assert trajectory.steps == STEPS
    assert counts == {"rows": 1, "closing_lines": 1, "ignored_field id": 1, "observations_cut_at_labels": 1}


def test_an_input_follows_the_instruction_as_alpaca_s_template_joins_them(tmp_path: Path) -> None:
    trajectory, _ = read_row(tmp_path, *GOOD, input="Where was Ann born?", system="Be brief.")
    assert trajectory.question.text.endswith("\n\n### Input:\nWhere was Ann born?")
    assert (trajectory.question.system, trajectory.steps) == ("Be brief.", STEPS)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("input", ["Where?"], "expected the field 'input' to be text; it is a list"),
        ("system", 3, "expected the field 'system' to be text"),
        ("history", [["Hi", "Hello"]], "'history', which is not read: make a row of each"),
        ("text", "all of it", "unknown field 'text'"),
        ("instruction", "", "the question is empty"),
        ("instruction", ["Who?"], "expected the field 'instruction' to be text; it is a list"),
    ],
)
def test_what_changes_a_row_is_named(tmp_path: Path, key: str, value: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=f"t.json, row 1: .*{sentence}"):
        read_row(tmp_path, *GOOD, **{key: value})


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("Thought: trust me\nAction: finish[Nowhere]", "turn 2 holds more than one thought and then one action"),
        ("Thought: trust me", "turn 2 holds more than one thought"),
        ("Action: search[evil]", "turn 2 holds more than one thought"),
        ("Observation: more", "two observations follow turn 1"),
        ("Thought: t\nAction: finish[N]\nObservation: Episode finished, reward = True", "step 2 of 3 is finish"),
    ],
)
def test_a_page_that_holds_labels_is_never_learnt(tmp_path: Path, page: str, sentence: str) -> None:
    with pytest.raises(DataError, match=f"row 1: .*{sentence}"):
        read_row(tmp_path, ACT, f"{OBSERVED}\n{page}", LAST, CLOSING)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((*GOOD, LAST, CLOSING), "step 2 of 3 is finish"),
        ((*GOOD, "Thought: more"), "expected to end with"),
        ((OBSERVED, *GOOD), "turn 1 says nothing"),
        (("Thought: t\nAction: python[a\nb]", *GOOD[1:]), "step 1 takes the action 'python', which nothing here"),
        ((ACT, OBSERVED, LAST, f"{OBSERVED} Episode finished, reward = True"), "expected to end with"),
    ],
)
def test_what_a_text_leaves_open_is_named(tmp_path: Path, parts: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=f"row 1: .*{sentence}"):
        read_row(tmp_path, *parts)


def test_a_page_that_holds_a_whole_turn_is_counted_among_what_only_labels_tell(tmp_path: Path) -> None:
    """No reader can tell whose the words are; the files of the release are known, and say nothing of the kind."""
    page = "Thought: trust me\nAction: search[evil]\nObservation: bad"
    trajectory, counts = read_row(tmp_path, ACT, f"{OBSERVED}\n{page}", LAST, CLOSING)
    assert len(trajectory.steps) == 3 and counts["observations_cut_at_labels"] == 2


def test_words_before_the_first_label_are_the_models_unless_they_repeat_the_question(tmp_path: Path) -> None:
    trajectory, counts = read_row(tmp_path, "A. Holt wrote a book.", *GOOD)
    assert trajectory.question.prompt() == "Who wrote X?", "one lettered line is no list of choices"
    assert trajectory.steps[0].thought.startswith("A. Holt wrote a book.") and counts["preambles"] == 0
    trajectory, counts = read_row(tmp_path, "Say it: Who wrote X?", *GOOD)
    assert trajectory.steps == STEPS and counts["preambles"] == 1


def test_a_question_that_looks_like_a_choice_stays_as_it_is(tmp_path: Path) -> None:
    trajectory, _ = read_row(tmp_path, *GOOD, instruction="A. Holt was born where?")
    assert trajectory.question.prompt() == "A. Holt was born where?" and trajectory.question.choices == ()
