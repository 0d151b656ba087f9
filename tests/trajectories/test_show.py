"""The command that shows training rows."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.show import main
from fireact.trajectories.storage.writing import write_lines

STEPS = (Step("I need X.", "search", "X", "X is [by] Y."), Step("So.", "finish", "Y"))
TRAJECTORY = Trajectory(
    Question("q1", "Who wrote X?", "Y", "task", "train"), "react", STEPS, Ending.FINISH, "Y", Score(1.0, 1.0, True)
)


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["show", *arguments])
    main()
    return capsys.readouterr().out


@pytest.fixture
def file(tmp_path: Path) -> str:
    write_lines(tmp_path / "t.jsonl", [TRAJECTORY.to_json()] * 5)
    return str(tmp_path / "t.jsonl")


def test_targets_are_marked_without_a_backbone(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, capsys, file, "-n", "1")
    assert "Who wrote X?\n\n### Response:\n«Thought: I need X.\nAction: search[X]\n»Observation: X is [by] Y.\n" in text
    assert "«Thought: So.\nAction: finish[Y]\n»«<end>»" in text
    assert "q1 · react · 2 rounds · right" in text and text.count("q1 ·") == 1


def test_a_turn_that_is_not_learnt_is_no_target(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.jsonl"
    write_lines(file, [replace(TRAJECTORY, steps=(replace(STEPS[0], learnt=False), STEPS[1])).to_json()])
    text = shown(monkeypatch, capsys, str(file))
    assert "### Response:\nThought: I need X.\nAction: search[X]\nObservation: X is [by] Y.\n«Thought: So." in text
    everything = shown(monkeypatch, capsys, str(file), "--loss-on", "all", "--backbone", str(tiny_folder))
    assert "### Response:\n»Thought: I need X.\nAction: search[X]\n«Observation: X" in everything
    counted = re.search(r"(\d+) tokens, (\d+) of them targets", everything)
    assert counted is not None and int(counted[2]) < int(counted[1])


def test_tokens_are_counted_with_a_backbone(
    file: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [file, "--backbone", str(tiny_folder), "--format", "chat", "-n", "2"]
    text = shown(monkeypatch, capsys, *options)
    assert text.count("«Thought: So.\nAction: finish[Y]<|im_end|>»") == 2
    assert text.count("of them targets") == 2
    everything = shown(monkeypatch, capsys, *options, "--loss-on", "all")
    assert "«<|im_start|>user\nWho wrote X?<|im_end|>" in everything


def test_the_whole_file_is_read_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(TRAJECTORY, steps=(), ending=Ending.MODEL_FAILURE, score=Score(0.0, 0.0, False))
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, [wrong, *[TRAJECTORY] * 4]))
    text = shown(monkeypatch, capsys, str(tmp_path / "t.jsonl"), "-n", "1")
    assert text.count("q1 ·") == 1 and text.endswith("\nrows 5, failed 1, failed_unlearnable 1\n")
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, [*[TRAJECTORY] * 4, replace(TRAJECTORY, steps=())]))
    with pytest.raises(SystemExit, match="t.jsonl, line 5: steps is empty"):
        shown(monkeypatch, capsys, str(tmp_path / "t.jsonl"), "-n", "1")


def test_a_row_cannot_steer_the_terminal_or_the_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = (Step("I \x1b[2Jneed\r X.", "search", "X", "\x9b31m[/red]\u202e"), STEPS[1])
    question = replace(TRAJECTORY.question, id="[/b]\x1b]0;x\x07\nq", text="[red]Who?\x00")
    write_lines(tmp_path / "t.jsonl", map(Trajectory.to_json, [replace(TRAJECTORY, question=question, steps=steps)]))
    text = shown(monkeypatch, capsys, str(tmp_path / "t.jsonl"))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert r"Thought: I \x1b[2Jneed\r X." in text and r"\x9b31m[/red]\u202e" in text and r"[red]Who?\x00" in text
    assert r"[/b]\x1b]0;x\x07 q · react" in text


def test_the_report_counts_what_was_read_and_what_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def calls(item: str, answer: str, **more: object) -> dict[str, object]:
        function = {"name": "price", "arguments": {"item": item}}
        called = [{"id": "a", "function": function}, {"id": "b", "function": {"name": "sum", "arguments": {"n": [1]}}}]
        return {"id": 1, **more, "messages": [
            {"role": "system", "content": "Be exact."}, {"role": "user", "content": "What?"},
            {"role": "assistant", "content": "", "tool_calls": called, "weight": 0},
            {"role": "tool", "tool_call_id": "a", "content": "none", "is_error": item == "gold"},
            {"role": "tool", "tool_call_id": "b", "content": "1"}, {"role": "assistant", "content": answer},
        ]}  # fmt: skip

    write_lines(tmp_path / "a.jsonl", [calls("tea", "9"), calls("gold", "0"), calls("x", "1", lr=2), calls("x", "\n")])
    write_lines(tmp_path / "b.jsonl", [calls("y", "1", beta=2), TRAJECTORY.to_json(), calls("tea", "9")])
    (tmp_path / "b.jsonl").open("a").write("{torn\n")
    monkeypatch.setattr(sys, "argv", ["show", str(tmp_path), "-n", "0"])
    with pytest.raises(SystemExit) as stopped:
        main()
    first = f"{tmp_path}/a.jsonl, line 3: the row has the unknown field 'lr', which may change what is learnt; remove"
    assert str(stopped.value) == f"{first} it (3 more are refused, as listed above)"
    empty = "message 6 says nothing and calls nothing; leave it out"
    torn = "is not JSON (Expecting property name enclosed in double quotes); expected one trajectory as a JSON object"
    assert capsys.readouterr().out.splitlines() == [
        "messages: system 3, user 4, assistant 8, results 7", "steps: learnt 5, context 6",
        "calls: price 3 (1 failed), sum 3, search 1", "system texts: rows 3, different 1",
        "fields read: messages 3, question 1, method 1, steps 1, ending 1, answer 1, score 1, usage 1, provenance 1",
        "fields ignored: id 3", f"refused 1: {first} it", f"refused 1: {tmp_path}/a.jsonl, line 4: {empty}",
        f"refused 1: {tmp_path}/b.jsonl, line 1: the row has the unknown field 'beta', which may "
        "change what is learnt; remove it",
        f"refused 1: {tmp_path}/b.jsonl, line 4 {torn}",
        "ignored_field id 3, undescribed_tool price 3, undescribed_tool sum 3, demonstrations 3, rows 4, "
        "tool_error price 1, duplicates_over_files 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl"], "none.jsonl can't be read"),
        (["FILE", "--backbone", "none"], "=none holds no tokenizer"),
        (["FILE.empty.jsonl"], "empty.jsonl holds no trajectory; name a file with at least one"),
        (["FILE.escape.jsonl"], r"escape.jsonl, line 1: .*'\\x1b\[2J'"),
    ],
)
def test_mistakes_end_in_one_sentence(
    file: str, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(f"{file}.empty.jsonl").write_text("\n")
    Path(f"{file}.escape.jsonl").write_text('{"messages": [], "\\u001b[2J": 1}')
    monkeypatch.setattr(sys, "argv", ["show", *[argument.replace("FILE", file) for argument in arguments]])
    with pytest.raises(SystemExit, match=message):
        main()
