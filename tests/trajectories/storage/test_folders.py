"""Nothing of a user's is written to, whatever its folder looks like; what we made is always found again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from fireact.cli import Sweep
from fireact.cli.leaving_out import forget
from fireact.errors import StorageError
from fireact.runs import run_folders, sweep
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import GRID, RUN
from fireact.trajectories.storage.writing import append_line, write_lines

CONFIG = {"seed": 0, "run_dir": "runs/a", "axes": ["seed"], "cell": {"seed": "0"}}
GRID_JSON = {"experiment": "e", "command": "c", "cells": []}


def everything(folder: Path) -> dict[str, Any]:
    """What lies below a folder: names, kinds, contents and times."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            path.lstat().st_mtime_ns,
        )
        for path in [folder, *folder.rglob("*")]
    }


THEIRS = {
    "rows.jsonl": '{"a": 1}',
    "trajectories.jsonl": '{"a": 1}',
    "predictions.jsonl": '{"a": 1}',
    "config.yaml": "model: mine\n",
    "metrics.json": "{}",
    "failed.txt": "the ids that failed\n",
    "notes.log": "dear diary",
    "adapter/weights": "W",
    "empty.txt": "",
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_folder_of_somebody_else_s_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    file = tmp_path / "theirs" / name
    file.parent.mkdir(parents=True)
    file.write_text(THEIRS[name])
    before, folder = everything(tmp_path), tmp_path / "theirs"
    attempts = [
        lambda: run_folders.open(folder, CONFIG),
        lambda: run_folders.locked(folder).__enter__(),
        lambda: run_folders.link_to_equal(folder, CONFIG),
        lambda: folders.claim(folder, GRID),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError, match=f"^{folder} holds files and is no .* folder of ours, so nothing"):
            attempt()
    folders.forget_failure(folder)
    folders.note_failure(folder, "it failed")
    assert everything(tmp_path) == before


def test_the_marker_is_there_first(tmp_path: Path) -> None:
    folders.claim(tmp_path / "new" / "run")
    assert json.loads((tmp_path / "new" / "run" / ".fireact-run.json").read_text()) == {"format": 1}
    (tmp_path / "empty").mkdir()
    assert run_folders.open(tmp_path / "empty", CONFIG).state is run_folders.State.NEW


def test_a_marker_that_a_kill_tore_says_enough_and_one_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / RUN.marker).write_text("")
    run_folders.open(tmp_path, CONFIG)
    (tmp_path / RUN.marker).write_text('{"format": 2}')
    with pytest.raises(StorageError, match=r"made by another version of fireact \(format 2; this one writes 1\)"):
        run_folders.open(tmp_path, CONFIG)


def test_a_run_folder_is_no_grid_folder(tmp_path: Path) -> None:
    run_folders.open(tmp_path, CONFIG)
    with pytest.raises(StorageError, match="is no grid folder of ours"):
        folders.claim(tmp_path, GRID)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [(RUN, "config.yaml", yaml.safe_dump(CONFIG)), (GRID, "grid.json", json.dumps(GRID_JSON))],
)
def test_a_folder_of_the_first_edition_is_marked(tmp_path: Path, kind: folders.Kind, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "notes.txt").write_text("mine")
    folders.claim(tmp_path, kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kind.marker, name, "notes.txt"])
    assert (tmp_path / name).read_text() == text


def test_a_finished_run_of_the_first_edition_is_still_finished(tmp_path: Path) -> None:
    run_folders.open(tmp_path, CONFIG).finish({"em": 0.5})
    (tmp_path / RUN.marker).unlink()
    assert run_folders.open(tmp_path, CONFIG).state is run_folders.State.FINISHED


def test_what_an_attempt_left_that_ended_before_it_began_is_no_obstacle(tmp_path: Path) -> None:
    for name, text in {".lock": "", "train.log": "", "failed.txt": "no such data\n"}.items():
        (tmp_path / name).write_text(text)
    assert run_folders.open(tmp_path, CONFIG).state is run_folders.State.NEW


def test_only_what_we_append_to_is_repaired(tmp_path: Path) -> None:
    run_folders.open(tmp_path, CONFIG)
    texts = {"predictions.jsonl": '{"a": 1}\n{"b"', "trajectories.jsonl": '{"b"', "theirs.jsonl": '{"b"'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    run_folders.open(tmp_path, CONFIG)
    assert {name: (tmp_path / name).read_text() for name in texts} == texts | {"predictions.jsonl": '{"a": 1}\n'}


LINKS = [
    *("predictions.jsonl", "trajectories.jsonl", "trajectories.alpaca.json", "config.yaml", "metrics.json", ".lock"),
    *("journal.sqlite", "failed.txt", "train.log", "adapter", "checkpoints", "logs", "acting", "wandb", RUN.marker),
    *("logs/metrics.csv", "checkpoints/last.ckpt"),
]


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_written_through_a_link_in_a_run_folder(tmp_path: Path, name: str, dangling: bool) -> None:
    folder, target = tmp_path / "run", tmp_path / "outside"
    if name == RUN.marker:  # a folder of the first edition
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    else:
        run_folders.open(folder, CONFIG)
    if not dangling:
        target.write_text('{"id": "torn')
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    before = everything(tmp_path)
    for attempt in (lambda: run_folders.open(folder, CONFIG), lambda: run_folders.locked(folder).__enter__()):
        with pytest.raises(StorageError, match=f"^{folder / name} is a link, which is not written through; put"):
            attempt()
    assert everything(tmp_path) == before


def test_a_link_that_turns_up_during_a_run_is_not_appended_through(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("theirs\n")
    (tmp_path / "predictions.jsonl").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match=r"predictions.jsonl \(it is a link\)"):
        append_line(tmp_path / "predictions.jsonl", {})
    assert (tmp_path / "outside").read_text() == "theirs\n"


def test_what_a_finished_run_has_no_more_use_for_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_folders.open(folder, CONFIG).finish({"em": 0.5})
    (tmp_path / "large").mkdir()
    (folder / "checkpoints").symlink_to(tmp_path / "large")
    with run_folders.locked(folder):
        assert run_folders.open(folder, CONFIG).state is run_folders.State.FINISHED


def test_a_run_folder_may_be_a_link_to_one_of_ours_only(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "a").symlink_to("theirs")
    with pytest.raises(StorageError, match=f"^{tmp_path}/a is a link to theirs, which is no run folder of ours"):
        run_folders.open(tmp_path / "a", CONFIG)
    assert list((tmp_path / "theirs").iterdir()) == []
    run_folders.open(tmp_path / "ours", CONFIG)
    (tmp_path / "b").symlink_to(tmp_path / "ours")
    append_line(tmp_path / "b" / "predictions.jsonl", {})
    assert run_folders.open(tmp_path / "b", CONFIG).state is run_folders.State.RESUMING


def test_runs_below_a_link_are_runs(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "large")
    assert run_folders.open(tmp_path / "runs" / "a", CONFIG).state is run_folders.State.NEW
    assert (tmp_path / "large" / "a" / RUN.marker).is_file()


def test_an_equal_run_is_linked_to_among_other_people_s_folders(tmp_path: Path) -> None:
    run_folders.open(tmp_path / "z", CONFIG).finish({})
    for name, text in {"a": "[1]", "b": "{", "c": "{}"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(text)
    folders.claim(tmp_path / "new")
    (tmp_path / "new" / "train.log").write_text("a line\n")
    run_folders.link_to_equal(tmp_path / "new", CONFIG)
    assert os.readlink(tmp_path / "new") == "z"
    assert run_folders.open(tmp_path / "new", CONFIG).state is run_folders.State.FINISHED


@pytest.mark.parametrize("begun", ["predictions.jsonl", ".lock", "config.yaml", "slurm-12.log"])
def test_a_folder_in_which_work_has_begun_is_not_replaced_by_a_link(tmp_path: Path, begun: str) -> None:
    run_folders.open(tmp_path / "z", CONFIG).finish({})
    folders.claim(tmp_path / "new")
    (tmp_path / "new" / begun).write_text("precious")
    run_folders.link_to_equal(tmp_path / "new", CONFIG)
    assert not (tmp_path / "new").is_symlink() and (tmp_path / "new" / begun).read_text() == "precious"


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    write_lines(path, [1])
    with pytest.raises(TypeError):
        write_lines(path, [2, object()])
    assert path.read_text() == "1\n" and list(tmp_path.iterdir()) == [path]


def test_a_failure_is_noted_in_our_folders_only(tmp_path: Path) -> None:
    folders.claim(tmp_path / "ours")
    folders.note_failure(tmp_path / "ours", "no data")
    assert (tmp_path / "ours" / "failed.txt").read_text() == "no data\n"
    folders.forget_failure(tmp_path / "ours")
    assert not (tmp_path / "ours" / "failed.txt").exists()
    folders.note_failure(tmp_path / "none", "no data")
    assert not (tmp_path / "none").exists()


def test_a_sweep_ends_in_no_folder_of_somebody_else_s(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text("{}")
    before = everything(tmp_path)
    with pytest.raises(StorageError, match="is no grid folder of ours, so nothing in it was touched; move it away, or"):
        sweep.Evaluating().check(Sweep("e", tmp_path, "c", []))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("theirs", ["slurm-12.log", "predictions.jsonl"])
def test_a_cell_that_is_left_out_takes_nobody_s_files_with_it(tmp_path: Path, theirs: str) -> None:
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "train.log").write_text("a line\n")
    (tmp_path / "cell" / theirs).write_text("precious")
    forget(tmp_path / "cell")
    assert sorted(path.name for path in (tmp_path / "cell").iterdir()) == sorted(["train.log", theirs])
    (tmp_path / "cell" / theirs).unlink()
    forget(tmp_path / "cell")
    assert not (tmp_path / "cell").exists()
