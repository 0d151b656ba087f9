"""The files of a finished run: what is gone or damaged is written again from the journal, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fireact import cli
from fireact.errors import StorageError
from fireact.runs.collect import collect

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda whole: None,
    "emptied": lambda whole: b"",
    "cut to half": lambda whole: whole[: len(whole) // 2],
    "a bit turned": lambda whole: bytes([*whole[:100], whole[100] ^ 1, *whole[101:]]),
    "a line more": lambda whole: whole + whole.splitlines(keepends=True)[0],
}
FILES = ("predictions.jsonl", "trajectories.jsonl", "trajectories.chat.jsonl")


RUN = Path("run")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def _collect() -> None:
    given = [f"run_dir={RUN}", "cache_dir=cache", "task.split=train", "task.limit=3", "export=[chat]"]
    collect(cli.compose("generate", given))


def _damage(file: Path, damage: str) -> None:
    content = DAMAGES[damage](file.read_bytes())
    file.unlink()
    if content is not None:
        file.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_written_again_as_it_was(
    name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _collect()
    before = {file: (RUN / file).read_bytes() for file in (*FILES, "metrics.json")}
    _damage(RUN / name, damage)
    capsys.readouterr()
    _collect()
    assert {file: (RUN / file).read_bytes() for file in before} == before
    assert f"run/{name} is gone or damaged; it is written again\n" in capsys.readouterr().out


@pytest.mark.parametrize("figure", ["kept", "accuracy", "endings"])
def test_figures_of_which_one_lost_its_name_are_made_again(figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    _collect()
    before = (RUN / "metrics.json").read_bytes()
    assert before.count(f'"{figure}"'.encode()) == 1
    (RUN / "metrics.json").write_bytes(before.replace(f'"{figure}"'.encode(), b'"damaged"'))
    capsys.readouterr()
    _collect()
    assert (RUN / "metrics.json").read_bytes() == before
    assert "run/metrics.json is damaged; the run goes on, and writes it again\n" in capsys.readouterr().out


def test_without_its_journal_a_damaged_run_is_named_and_left() -> None:
    _collect()
    (RUN / "journal.sqlite").unlink()
    before = (RUN / "trajectories.jsonl").read_bytes()
    _damage(RUN / "trajectories.jsonl", "emptied")  # the predictions hold them
    _collect()
    assert (RUN / "trajectories.jsonl").read_bytes() == before
    _damage(RUN / "predictions.jsonl", "gone")
    (RUN / "journal.sqlite").unlink(missing_ok=True)
    files = sorted(RUN.iterdir())
    with pytest.raises(StorageError) as refusal:
        _collect()
    assert str(refusal.value) == (
        "run/predictions.jsonl is gone or damaged, and there is no journal to write it again from; to ask again, "
        "remove run/metrics.json and run the same command"
    )
    assert sorted(RUN.iterdir()) == files
