"""The command that shows training rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fireact.data.files import write
from fireact.data.show import main
from fireact.records import Ending, Question, Score, Step, Trajectory

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
    write(tmp_path / "t.jsonl", [TRAJECTORY] * 5)
    return str(tmp_path / "t.jsonl")


def test_targets_are_marked_without_a_backbone(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, capsys, file, "-n", "1")
    assert "Who wrote X?\n\n### Response:\n«Thought: I need X.\nAction: search[X]\n»Observation: X is [by] Y.\n" in text
    assert "«Thought: So.\nAction: finish[Y]\n»«<end>»" in text
    assert "q1 · react · 2 rounds · right" in text and text.count("q1 ·") == 1


def test_tokens_are_counted_with_a_backbone(
    file: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [file, "--backbone", str(tiny_folder), "--format", "chat", "-n", "2"]
    text = shown(monkeypatch, capsys, *options)
    assert text.count("«Thought: So.\nAction: finish[Y]<|im_end|>»") == 2
    assert text.count("of them targets") == 2
    everything = shown(monkeypatch, capsys, *options, "--loss-on", "all")
    assert "«<|im_start|>user\nWho wrote X?<|im_end|>" in everything


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["none.jsonl"], "none.jsonl can't be read"), (["FILE", "--backbone", "none"], "=none holds no tokenizer")],
)
def test_mistakes_end_in_one_sentence(
    file: str, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["show", *[file if argument == "FILE" else argument for argument in arguments]])
    with pytest.raises(SystemExit, match=message):
        main()
