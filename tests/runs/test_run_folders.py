from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fireact.errors import StorageError
from fireact.runs import run_folders
from fireact.runs.run_folders import State
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.writing import append_line, repair_lines, write_json

CONFIG = {
    "seed": 0,
    "optim": {"lr": 1e-5, "epochs": 3},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 1},
    "logger": {"name": "csv"},
    "run_dir": "runs/a",
}


def _with(**changes: object) -> dict[str, object]:
    return {**CONFIG, **changes}


def _begun(folder: Path) -> run_folders.Run:
    run = run_folders.open(folder, CONFIG)
    append_line(folder / "predictions.jsonl", {})
    return run


def test_another_process_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.claim(tmp_path)
    hold = (  # as an older version does, with which a newer one may share a folder
        "import fcntl, sys\nfile = open(sys.argv[1], 'a')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    command, said = [sys.executable, "-c", hold, str(tmp_path / ".lock")], list[str]()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == "held\n"
        stdin = other.stdin

        def let_go(line: str, **_: object) -> None:
            said.append(line)
            stdin.close()

        monkeypatch.setattr("builtins.print", let_go)
        with run_folders.locked(tmp_path):
            assert said == [f"waiting for another process that works in {tmp_path}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".fireact-run.json", ".lock"]


def test_a_folder_is_new_then_resuming_then_finished(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    run = run_folders.open(folder, CONFIG)
    assert run.state is State.NEW
    defaults = {"devices": "auto", "num_nodes": 1, "precision": "32-true", "strategy": "auto"}
    left_out = {"defaults": {f"trainer.{key}": value for key, value in defaults.items()}}
    assert yaml.safe_load((folder / "config.yaml").read_text()) == CONFIG | left_out
    assert run_folders.open(folder, CONFIG).state is State.NEW  # nothing was done
    append_line(folder / "predictions.jsonl", {})
    assert run_folders.open(folder, CONFIG).state is State.RESUMING
    (folder / "predictions.jsonl").unlink()
    run.finish({"em": 0.5})
    again = run_folders.open(folder, CONFIG)
    assert again.state is State.FINISHED
    assert again.metrics == {"em": 0.5, "config_hash": run.config_hash}
    assert sorted(path.name for path in folder.iterdir()) == [".fireact-run.json", "config.yaml", "metrics.json"]


def test_another_configuration_is_refused_by_its_first_differing_key(tmp_path: Path) -> None:
    _begun(tmp_path / "a")
    with pytest.raises(StorageError) as error:
        run_folders.open(tmp_path / "a", _with(seed=1, optim={"lr": 2e-5, "epochs": 3}))
    assert str(error.value) == (
        f"{tmp_path}/a was made with optim.lr=1e-05, not optim.lr=2e-05; choose another run folder or remove that one"
    )
    with pytest.raises(StorageError, match="made with size=absent, not size=3;"):
        run_folders.open(tmp_path / "a", _with(size=3))


def test_an_attempt_that_did_nothing_leaves_its_folder_to_another_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    run_folders.open(folder, CONFIG)
    (folder / "logs").mkdir()
    (folder / "failed.txt").write_text("a file was missing\n")
    with run_folders.locked(folder):
        assert run_folders.open(folder, _with(seed=1)).state is State.NEW
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 1


def test_what_does_not_shape_results_may_differ(tmp_path: Path) -> None:
    first = _begun(tmp_path / "a")
    trainer = {"accelerator": "cpu", "log_every_n_steps": 9}
    second = run_folders.open(tmp_path / "a", _with(trainer=trainer, logger={"name": "wandb"}, run_dir="elsewhere"))
    assert (second.state, second.config_hash) == (State.RESUMING, first.config_hash)


def test_the_hash_knows_keys_from_order(tmp_path: Path) -> None:
    hashes = [
        run_folders.open(tmp_path / str(n), config).config_hash
        for n, config in enumerate([CONFIG, dict(reversed(CONFIG.items())), _with(seed=1), _with(seed="0")])
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_line_that_a_kill_tore_is_cut_off_on_resume(tmp_path: Path) -> None:
    run_folders.open(tmp_path, CONFIG)
    lines = tmp_path / "predictions.jsonl"
    append_line(lines, {"id": "é"})
    with lines.open("a") as file:
        file.write('{"id": "torn')
    run_folders.open(tmp_path, CONFIG)
    assert lines.read_text(encoding="utf-8") == '{"id": "é"}\n'
    append_line(lines, {"id": "b"})
    assert [json.loads(line)["id"] for line in lines.read_text(encoding="utf-8").splitlines()] == ["é", "b"]


@pytest.mark.parametrize(("text", "kept"), [("", ""), ("torn", ""), ("1\n2\n", "1\n2\n"), ("1\n2", "1\n")])
def test_repair_keeps_whole_lines(tmp_path: Path, text: str, kept: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(text)
    repair_lines(path)
    assert path.read_text() == kept


def test_json_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"n": 1})
    with pytest.raises(TypeError):
        write_json(path, {"n": object()})
    assert json.loads(path.read_text()) == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as error:
        run_folders.open(tmp_path / "file" / "run", CONFIG)
    assert str(error.value) == (
        f"cannot write {tmp_path}/file/run (Not a directory); free or fix that place, or choose another run folder"
    )


def test_a_folder_whose_config_was_cut_among_its_defaults_is_refused(tmp_path: Path) -> None:
    _begun(tmp_path)
    (tmp_path / "config.yaml").write_text("lr: 3\ndefaults: search.bm25")
    with pytest.raises(StorageError, match="was made with .*; choose another run folder or remove that one"):
        run_folders.open(tmp_path, CONFIG)


@pytest.mark.parametrize("text", ["- a list\n", "a: [1\n", ""])
def test_a_folder_with_a_broken_config_is_refused(tmp_path: Path, text: str) -> None:
    _begun(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(StorageError, match="config.yaml is not a configuration; remove"):
        run_folders.open(tmp_path, CONFIG)


def test_a_lone_surrogate_is_written_as_its_escape(tmp_path):
    append_line(tmp_path / "lines.jsonl", {"said": "\ud800"})
    assert (tmp_path / "lines.jsonl").read_bytes() == b'{"said": "\\ud800"}\n'


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folders.claim(tmp_path)
    left = [".trajectories.jsonl.17.tmp", ".metrics.json.99.tmp", ".config.yaml.1.tmp"]
    others = [".notes.txt.17.tmp", "metrics.json.tmp", ".predictions.jsonl.mine.tmp"]
    for name in [*left, *others]:
        (tmp_path / name).write_text("half")
    with run_folders.locked(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {*others, ".lock", ".fireact-run.json"}


@pytest.mark.parametrize("damage", ["", "{", "null", "3", "[]", '{"em": 0.5}', "\\udc80"])
def test_a_run_whose_figures_are_damaged_goes_on_and_writes_them_again(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _begun(tmp_path / "a")
    run.finish({"em": 0.5})
    (tmp_path / "a" / "metrics.json").write_text(damage)
    again = run_folders.open(tmp_path / "a", CONFIG)
    assert again.state is State.RESUMING
    assert capsys.readouterr().out == (
        f"{tmp_path}/a/metrics.json is damaged; the run goes on, and writes it again\n"
    )
    again.finish({"em": 0.5})
    assert run_folders.open(tmp_path / "a", CONFIG).metrics == {"em": 0.5, "config_hash": run.config_hash}
