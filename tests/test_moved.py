"""What the first edition's names still do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from fireact import moved
from fireact.runs.result_keys import config_hash, result_keys
from tests.conftest import ROOT

INSIDE = {"fireact.search.bm25": "fireact.tools.bm25", "fireact.app.command": "fireact.cli.command"}


@pytest.mark.parametrize(("first", "today"), [*moved.MOVED.items(), *INSIDE.items()])
def test_a_first_name_is_the_very_module_that_todays_is(first: str, today: str) -> None:
    there = importlib.import_module(today)
    assert importlib.import_module(first) is there
    assert there.__name__ == today
    assert there.__spec__ is not None and there.__spec__.name == today


def test_a_users_class_written_for_the_first_edition_is_still_one(tmp_path: Path) -> None:
    code = """
from fireact.records import Question
from fireact.search.base import SearchTool
print(Question.__module__, SearchTool.__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fireact.trajectories.records fireact.tools.base\n", "")


def test_methods_that_were_classes_still_are(tmp_path: Path) -> None:
    code = """
from fireact.methods.io import IO
from fireact.methods.cot import CoT
from fireact.methods.fireact import FireAct
from fireact.methods.react import ReAct

class Mine(CoT):
    actions = ("search", "finish")

print([cls("x", None).actions for cls in (IO, CoT, FireAct, Mine)], issubclass(FireAct, ReAct))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    finish, both = ("finish",), ("search", "finish")
    assert (done.stdout, done.stderr) == (f"{[finish, finish, both, both]} True\n", "")


def test_a_module_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fireact\.nowhere'"):
        importlib.import_module("fireact.nowhere")


@pytest.mark.parametrize("module", ["fireact.data.show", "fireact.trajectories.show", "fireact.reporting.report"])
def test_commands_run_under_both_names(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage: ")
    assert done.stderr == ""


def test_a_run_of_the_first_edition_is_the_same_run() -> None:
    first = {"search": {"_target_": "fireact.search.bm25.BM25", "k": 1}, "lm": {"_target_": "users.Model"}}
    today = {"search": {"_target_": "fireact.tools.bm25.BM25", "k": 1}, "lm": {"_target_": "users.Model"}}
    assert result_keys(today) == result_keys(first)
    assert config_hash(result_keys(today)) == config_hash(result_keys(first))
    assert result_keys(today)["search._target_"] == "fireact.search.bm25.BM25"
