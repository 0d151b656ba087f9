"""Which keys make another run: said where each is declared, and a key that is left out stands for its default."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fireact.cli import declared
from fireact.errors import StorageError
from fireact.ranges import Count, NoEffect
from fireact.runs import run_folders
from fireact.runs.result_keys import config_hash, differences, result_keys
from fireact.runs.run_folders import State
from fireact.trajectories.storage.writing import write_json
from tests.conftest import ROOT

CONFIGS = Path(__file__).parent / "configs"
HASHES = {  # of these files, as the commit that wrote them had it
    "train": "dc40b9fefc51e14d29806d26b5570de0c12591a43b857c7de4c151b48f26c262",
    "evaluate": "cc9a21dcb87482538ee7e92604eafa2e1ead1f458bc54d07792c4545b6523f2e",
    "generate": "c3ab4c29a666d4527636c7ac771abb4f38eff858b8569b5c81c030ea5f40f356",
}


class Tool:
    """A part of a user's own, before any of it was changed."""

    def __init__(self, k: Count = 1, contact: str = "", jobs: NoEffect[Count] = 1) -> None: ...


class Gained:
    """``Tool``, with a new key."""

    def __init__(self, k: Count = 1, contact: str = "", jobs: NoEffect[Count] = 1, words: Count = 40) -> None: ...


class Changed:
    """``Tool``, with another default."""

    def __init__(self, k: Count = 2, contact: str = "", jobs: NoEffect[Count] = 1) -> None: ...


class Lost:
    """``Tool`` without a key."""

    def __init__(self, contact: str = "", jobs: NoEffect[Count] = 1) -> None: ...


def with_tool(**given: Any) -> dict[str, Any]:
    return {"seed": 0, "lm": {"_target_": "users.Model"}, "search": {"_target_": f"{__name__}.Tool", **given}}


Become = Callable[[type[Any]], None]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Gives ``Tool`` the signature of another class, as an edit of its file does."""

    def to(other: type[Any]) -> None:
        monkeypatch.setattr(Tool, "__init__", vars(other)["__init__"])
        declared.declared.cache_clear()
        declared.declared_by.cache_clear()

    return to


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    declared.declared.cache_clear()
    declared.declared_by.cache_clear()


@pytest.mark.parametrize("script", HASHES)
def test_a_run_made_before_keeps_its_hash_and_stays_finished(tmp_path: Path, script: str) -> None:
    text = (CONFIGS / f"{script}.yaml").read_text()
    config = yaml.safe_load(text)
    assert config_hash(result_keys(config)) == HASHES[script]
    (tmp_path / "config.yaml").write_text(text)  # an old folder: no marker, no defaults
    write_json(tmp_path / "metrics.json", {"config_hash": HASHES[script]})
    run = run_folders.open(tmp_path, config)
    assert (run.state, run.config_hash) == (State.FINISHED, HASHES[script])
    assert (tmp_path / "config.yaml").read_text() == text


def test_a_new_key_with_its_default_leaves_a_run_finished(tmp_path: Path, become: Become) -> None:
    run_folders.open(tmp_path / "a", with_tool(k=1)).finish({"n": 1})
    become(Gained)
    for config in (with_tool(k=1), with_tool(k=1, words=40)):
        assert run_folders.open(tmp_path / "a", config).state is State.FINISHED
    with pytest.raises(StorageError, match="was made with search.words=40, not search.words=41; choose another"):
        run_folders.open(tmp_path / "a", with_tool(k=1, words=41))
    run_folders.link_to_equal(tmp_path / "b", with_tool(words=40))
    assert (tmp_path / "b").resolve() == tmp_path / "a"


def test_a_key_that_is_left_out_is_its_default(tmp_path: Path) -> None:
    run_folders.open(tmp_path, with_tool()).finish({})
    assert run_folders.open(tmp_path, with_tool(k=1)).state is State.FINISHED
    with pytest.raises(StorageError, match="was made with search.k=1, not search.k=2"):
        run_folders.open(tmp_path, with_tool(k=2))


def test_another_default_is_another_run(tmp_path: Path, become: Become) -> None:
    run_folders.open(tmp_path / "said", with_tool(k=1)).finish({})
    run_folders.open(tmp_path / "left out", with_tool()).finish({})
    become(Changed)
    assert run_folders.open(tmp_path / "said", with_tool(k=1)).state is State.FINISHED
    for folder in ("said", "left out"):
        with pytest.raises(StorageError, match="was made with search.k=1, not search.k=2; choose another run folder"):
            run_folders.open(tmp_path / folder, with_tool())


def test_a_key_that_no_class_has_any_more_is_missed_only_where_it_was_said(tmp_path: Path, become: Become) -> None:
    run_folders.open(tmp_path / "said", with_tool(k=1)).finish({})
    run_folders.open(tmp_path / "left out", with_tool()).finish({})
    become(Lost)
    assert run_folders.open(tmp_path / "left out", with_tool()).state is State.FINISHED
    with pytest.raises(StorageError, match="was made with search.k=1, not search.k=absent"):
        run_folders.open(tmp_path / "said", with_tool())


def test_a_key_marked_as_without_effect_may_change_and_one_that_never_had_any_need_not_be(tmp_path: Path) -> None:
    plain = with_tool(k=1)
    assert result_keys(with_tool(k=1, jobs=8, contact="a@b.org", cache_dir="x")) == result_keys(plain)
    model = {"lm": {"_target_": "users.Model", "concurrency": 8, "timeout_s": 3, "answer": "no"}}
    assert result_keys(model) == {"lm._target_": "users.Model", "lm.answer": "no"}
    assert "search.concurrency" in result_keys(with_tool(concurrency=8))


def test_the_defaults_of_then_are_kept_in_the_folder(tmp_path: Path) -> None:
    run_folders.open(tmp_path, with_tool())
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {**with_tool(), "defaults": {"search.k": 1}}


def test_result_keys_are_found_without_torch() -> None:
    code = (
        "import sys, yaml\nfrom fireact.runs.result_keys import result_keys\n"
        f"for name in {[*HASHES]}: result_keys(yaml.safe_load(open(f'{CONFIGS}/{{name}}.yaml')))\n"
        "print({'torch', 'lightning', 'transformers'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


def test_a_stranger_s_run_folder_has_no_module_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile.py").write_text("import pathlib\npathlib.Path(__file__).with_name('sprung').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    saved = {"seed": 0, "data": [{"_target_": "hostile.Mix"}]}
    assert list(differences(saved, {"seed": 0, "data": [{"_target_": "users.Mix"}]})) == [
        ("data.0._target_", "hostile.Mix", "users.Mix")
    ]
    assert list(differences(saved, {"seed": 0})) == [("data.0._target_", "hostile.Mix", "absent")]
    assert not (tmp_path / "sprung").exists()
