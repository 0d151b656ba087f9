"""Trajectories to learn from: what would be said is read back, and what nothing here can do is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fireact.errors import DataError
from fireact.trajectories.dialogue import parse_step, step_text
from fireact.trajectories.learnable import check
from fireact.trajectories.mixes.mix import of_file
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.storage.writing import write_lines

QUESTION = Question("q", "Who wrote X?", "Y", "task", "train")
SEARCHED, FINISHED = Step("look", "search", "X", "by Y"), Step("so", "finish", "Y")


def trajectory(*steps: Step, text: str = "Who wrote X?", ending: Ending = Ending.FINISH) -> Trajectory:
    return Trajectory(replace(QUESTION, text=text), "react", steps, ending, "Y", Score(1.0, 1.0, True))


BAD = [
    (trajectory(), "steps is empty"),
    (trajectory(FINISHED, text=" "), "question.text is empty"),
    (trajectory(Step("t", "finish", "one\ntwo")), "the argument of step 1 has a line break"),
    (trajectory(SEARCHED, Step("a\nAction: search[fake]", "finish", "Y")), r"step 2 is read back as search\['fake'\]"),
    (trajectory(SEARCHED, Step("a\nObservation: b", "finish", "Y")), "step 2 says a line that begins with 'Obs"),
    (trajectory(Step("Observation: b", "", "", "o"), FINISHED), "step 1 says a line that begins with 'Observation:'"),
    (trajectory(SEARCHED, Step("a</think>", "finish", "Y")), "step 2 says </think> outside its reasoning"),
    (trajectory(Step("a", "search", "b</think>c", "o"), FINISHED), "step 1 says </think> outside its reasoning"),
    (trajectory(Step("<think>a", "", "", "o"), FINISHED), "step 1 says <think> outside its reasoning"),
    (trajectory(Step("t", "python", "1", "2"), FINISHED), "step 1 takes the action 'python', .* search or finish"),
    (trajectory(Step("t", "Search", "X", "o"), FINISHED), "step 1 takes the action 'Search'"),
    (trajectory(FINISHED, SEARCHED, FINISHED), "step 1 of 3 is finish.* already"),
    (trajectory(SEARCHED), "the ending is finish, but the last step is not"),
    (trajectory(Step("a Action: finish[Rome]", "", ""), ending=Ending.BUDGET), r"step 1 holds 'Action: finish\[R"),
    (trajectory(SEARCHED, Step("so", "finish", "Z")), r"the answer is 'Y' and counted as right, .* finish\['Z'\]"),
]


@pytest.mark.parametrize(("one", "sentence"), BAD)
def test_what_teaches_something_else_is_refused_with_its_line(tmp_path: Path, one: Trajectory, sentence: str) -> None:
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, [trajectory(SEARCHED, FINISHED), one]))
    with pytest.raises(DataError, match=f"t.jsonl, line 2: {sentence}"):
        of_file(str(tmp_path / "t.jsonl"), methods=["react"]).load()


def test_what_is_not_taken_is_not_checked(tmp_path: Path) -> None:
    wrong = [replace(one, score=Score(0.0, 0.0, False)) for one, _ in BAD]
    others = [replace(one, method="io") for one, _ in BAD]
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, [trajectory(SEARCHED, FINISHED), *wrong, *others]))
    mix = of_file(str(tmp_path / "t.jsonl"), methods=["react"])
    assert [replace(t, provenance={}) for t in mix.load()] == [trajectory(SEARCHED, FINISHED)]
    with pytest.raises(DataError, match="line 2: steps is empty"):
        of_file(str(tmp_path / "t.jsonl"), methods=["react"], right_only=False).load()


def test_what_is_learnt_is_read_back() -> None:
    """Whatever a thought or an argument holds, and also a corrected turn, which is counted."""
    steps = [
        Step(" two\n\nlines ", "search", " a [b] ] ", "o"),
        Step("", "search", "\u2028\x0b", "Thought: x\nAction: finish[y]"),
        Step("Thought: twice", "search", "", "o"),
    ]
    for step in steps:
        again = parse_step(step_text(step))
        assert (again.thought, again.action, again.argument) == (step.thought.strip(), step.action, step.argument)
    counts: Counter[str] = Counter()
    corrected = Step("Action: click[X]", "", "", "That turn held no action.")
    check(trajectory(*steps, corrected, FINISHED), "here", counts)
    check(trajectory(SEARCHED, ending=Ending.STEP_LIMIT), "here", counts)
    assert counts == {"turns_without_action": 1}


def test_every_count_of_a_file_is_in_the_report_of_its_mix(tmp_path: Path) -> None:
    said = [("user", "Who?"), ("assistant", "Thought: hm"), ("user", "Observation: o"),
            ("assistant", "Action: search[X]"), ("user", "Go on."), ("assistant", "Action: finish[Y]\nhm"),
            ("user", "Observation: Episode finished, reward = True")]  # fmt: skip
    row = {"id": 1, "messages": [{"role": role, "content": content} for role, content in said]}
    (tmp_path / "t.jsonl").write_text(json.dumps(row).replace("hm", r"h\ud83dm"))
    mix = of_file(str(tmp_path / "t.jsonl"), methods=["react"])
    mix.load()
    assert mix.report == {
        "replaced_surrogates": 2, "ignored_field id": 1, "unlabelled_observations": 1, "extra_actions": 1,
        "closing_lines": 1, "rows": 1, "turns_without_action": 1, "kept": 1, "own/react": 1,
    }  # fmt: skip


def test_what_the_loop_itself_has_read_is_learnt_as_it_was_said() -> None:
    """A row with calls in it was acted out here: each turn did what it reads as, or was answered with a correction."""
    odd = trajectory(Step("**Thought:** so\nAction: broken[", "search", "X", "o"), FINISHED)
    with pytest.raises(DataError, match="step 1 holds 'Action: broken"):
        check(odd, "here", Counter())
    check(replace(odd, usage=Usage(lm_calls=2)), "here", Counter())


def test_a_row_of_an_evaluation_run_is_read_only_from_such_a_file(tmp_path: Path) -> None:
    row = {"traj": "x", "gt": "a", "pred": "a", "em": True, "reward": True}
    for name, rows in {"t.jsonl": row, "u.jsonl": row | {"run": "x", "index": 1}, "t.json": [row]}.items():
        (tmp_path / name).write_text(json.dumps(rows))
        with pytest.raises(DataError, match=f"{name}, (line|row) 1: the row holds 'traj', .* write it as messages"):
            of_file(str(tmp_path / name), methods=["react"]).load()
    (tmp_path / "run.json").write_text(json.dumps({"0": row | {"run": "x"}}))
    with pytest.raises(DataError, match=r"run.json, row 0: the row has the unknown field 'run'"):
        of_file(str(tmp_path / "run.json"), methods=["react"]).load()
