"""The command that exports trajectories."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fireact.errors import StorageError
from fireact.trajectories import export
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.storage.writing import write_lines

STEPS = (Step("I need X.", "search", "X", "X is [by] Y."), Step("So.", "finish", "Y"))
RIGHT = Trajectory(
    Question("q1", "Who wrote X?", "Y", "task", "train"), "react", STEPS, Ending.FINISH, "Y", Score(1.0, 1.0, True)
)
ENDED = replace(RIGHT, ending=Ending.STEP_LIMIT, steps=STEPS[:1], answer="", score=Score(0.0, 0.0, False))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_lines(tmp_path / "t.jsonl", [RIGHT.to_json(), ENDED.to_json(), RIGHT.to_json()])
    write_lines(tmp_path / "right.jsonl", [RIGHT.to_json()] * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["export", *arguments])
    return export.main()


def test_files_are_written_as_lines_or_as_a_list(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for to, out in {"openai": "o.jsonl", "sharegpt": "s.json", "alpaca": "a.json", "jsonl": "j.jsonl"}.items():
        assert run(monkeypatch, "right.jsonl", "right.jsonl", f"to={to}", f"out={out}") == 0
        assert list(read(out, Counter())) == [RIGHT] * 4
        assert capsys.readouterr().out.startswith(f"{out}: 4 of 4 trajectories as {to}\nrows 4")
    assert (folder / "j.jsonl").read_bytes() == (folder / "right.jsonl").read_bytes() * 2
    assert len((folder / "o.jsonl").read_text().splitlines()) == 4
    assert len(json.loads((folder / "s.json").read_text())) == 4
    assert sorted(os.listdir(folder)) == sorted(
        ["t.jsonl", "right.jsonl", "o.jsonl", "s.json", "a.json", "j.jsonl"]
    )  # fmt: skip


def test_what_a_format_can_t_hold_is_named_counted_and_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "t.jsonl", "to=react", "out=r.jsonl") == 1
    said = capsys.readouterr()
    why = "it ended by step_limit, without an answer; write it to=jsonl"
    assert said.err == f"t.jsonl, line 2: not written, since {why}\n"
    assert said.out == "r.jsonl: 2 of 3 trajectories as react\nrows 3, failed 1, refused 1\n"
    assert list(read("r.jsonl", Counter())) == [RIGHT] * 2
    write_lines(folder / "many.jsonl", [ENDED.to_json()] * 11 + [RIGHT.to_json()])
    assert run(monkeypatch, "many.jsonl", "to=react", "out=m.jsonl") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[9].startswith("many.jsonl, line 10: ") and lines[10:] == ["… and 1 more, not written"]


def test_what_is_left_out_is_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "right.jsonl", "to=openai", "out=o.jsonl") == 0
    assert capsys.readouterr().out.endswith("\nrows 2, thoughts_in_metadata 2\n")
    assert run(monkeypatch, "right.jsonl", "to=openai", "out=p.jsonl", "leave_out=metadata,thoughts") == 0
    assert capsys.readouterr().out.endswith("\nrows 2, left_out metadata 2, left_out thoughts 2\n")
    assert "metadata" not in (folder / "p.jsonl").read_text()


@pytest.mark.parametrize("place", ["file", "link", "folder"])
def test_what_is_there_stays_as_it_is(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "o.jsonl"
    {"file": lambda: out.write_text("mine"), "link": lambda: out.symlink_to("none"), "folder": out.mkdir}[place]()
    with pytest.raises(SystemExit, match="o.jsonl is there already and stays as it is; move it away, or"):
        run(monkeypatch, "right.jsonl", "to=openai", "out=o.jsonl")
    assert out.read_text() == "mine" if place == "file" else out.is_symlink() or out.is_dir()
    assert len(os.listdir(folder)) == 3


def test_what_appears_meanwhile_stays_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row_of = export.row_of
    monkeypatch.setattr(export, "row_of", lambda *given: ((folder / "o.jsonl").write_text("mine"), row_of(*given))[1])
    with pytest.raises(StorageError, match="o.jsonl is there already"):
        export.write(export.Export(("right.jsonl",), "openai", Path("o.jsonl")), Counter())
    assert (folder / "o.jsonl").read_text() == "mine" and len(os.listdir(folder)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl", "to=openai", "out=o.jsonl"], r"none.jsonl can't be read"),
        (["right.jsonl", "torn.jsonl", "to=openai", "out=o.jsonl"], "torn.jsonl, line 2 is not JSON"),
        (["empty.jsonl", "to=openai", "out=o.jsonl"], "empty.jsonl holds no trajectory; name a file"),
        (["ended.jsonl", "to=react", "out=o.jsonl"], "react can't hold any trajectory of ended.jsonl, so o"),
        (["right.jsonl", "to=openai", "out=none/o.jsonl"], r"cannot write none/o.jsonl \(No .*, or choose another out"),
        (["right.jsonl", "to=openai"], "out has no value; add out=PATH"),
        (["right.jsonl", "out=o.jsonl"], "to has no value; add to=jsonl or to=openai or to=sharegpt or to=react or"),
        (["to=openai", "out=o.jsonl"], "no file of trajectories is named; put its path before to="),
        (["right.jsonl", "to=csv", "out=o.jsonl"], "to=csv is no format; choose one of jsonl, openai, sharegpt"),
        (["right.jsonl", "to=openai", "to=react", "out=o.jsonl"], "to is given twice; give it once"),
        (["right.jsonl", "to=openai", "out=o.csv"], "out=o.csv must end in .jsonl .* or .json"),
        (["right.jsonl", "to=jsonl", "out=o.json"], "out=o.json must end in .jsonl, as to=jsonl writes one row a line"),
        (["right.jsonl", "to=openai", "out=o.jsonl", "leave_out=score"], "leave_out=score is no part .* from metadata"),
        (["right.jsonl", "to=openai", "out=o.jsonl", "form=x"], "form is no key of this command; known are to, out"),
        (["escape.jsonl", "to=openai", "out=o.jsonl"], r"escape.jsonl, line 1: .*'\\x1b\[2J'"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(
    folder: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(folder / "ended.jsonl", [ENDED.to_json()])
    (folder / "empty.jsonl").write_text("\n")
    (folder / "torn.jsonl").write_text(json.dumps(RIGHT.to_json()) + '\n{"question')
    (folder / "escape.jsonl").write_text('{"messages": [], "\\u001b[2J": 1}')
    there = sorted(os.listdir(folder))
    with pytest.raises(SystemExit, match=message) as error:
        run(monkeypatch, *arguments)
    assert "\n" not in str(error.value) and sorted(os.listdir(folder)) == there


def test_a_reason_cannot_steer_the_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = replace(STEPS[0], action="\x1b[2J")
    write_lines(folder / "e.jsonl", [replace(RIGHT, steps=(step, STEPS[1])).to_json(), RIGHT.to_json()])
    assert run(monkeypatch, "e.jsonl", "to=openai", "out=o.jsonl") == 1
    assert r"it calls \x1b[2J, which none of its tools describes" in capsys.readouterr().err


def test_halves_of_characters_are_replaced_and_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "h.jsonl").write_text(json.dumps(RIGHT.to_json()).replace("Who", "\\ud83d"))
    assert run(monkeypatch, "h.jsonl", "to=openai", "out=o.jsonl") == 0
    assert "replaced_surrogates 1" in capsys.readouterr().out
    assert "\ufffd wrote X?" in (folder / "o.jsonl").read_text()
