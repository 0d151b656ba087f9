"""Runs of the first edition: found finished where today's configuration would give the same, refused where not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from fireact import cli
from fireact.errors import StorageError
from fireact.runs import editions, run_folders
from fireact.runs.result_keys import result_keys
from fireact.runs.run_folders import State


def today(*overrides: str) -> dict[str, Any]:
    return cli.resolved(cli.compose("train", overrides))


def as_first_written(config: dict[str, Any]) -> dict[str, Any]:
    """The same command's configuration in the first edition."""
    config = copy.deepcopy(config)
    for key in ("share_out", "proportions", "released", "at_most"):
        config["data"].pop(key, None)
    config["size"].pop("at_most", None)
    config["data"]["right_only"] = True
    for key in ("thinking", "template_args"):
        del config["backbone"][key]
    return config


@pytest.mark.parametrize(
    "command",
    [
        "size=n300",  # the demo
        "size=grid",
        "method=reflexion size=n100",
        "method=react_cot",  # all there is: nothing is shared out
        "method=react_cot size=n100 data.share_out=true",
        "data=miniwiki_mixed size=n100 data.share_out=true",
        "data=hotpotqa",
        "data=hotpotqa size=grid backbone=llama2_7b",
        "data=hotpotqa method=react_cot",  # none of these is marked as failed
        "data=mixed",
        "data=file data.path=t.jsonl size=n50",
    ],
)
def test_a_run_that_would_come_out_the_same_is_found_finished(tmp_path: Path, command: str) -> None:
    config = today(*command.split())
    first = run_folders.open(tmp_path, as_first_written(config))
    first.finish({})
    again = run_folders.open(tmp_path, config)
    assert (again.state, again.config_hash) == (State.FINISHED, first.config_hash)


@pytest.mark.parametrize(
    ("command", "difference"),
    [
        ("method=react_cot size=n100", "data.share_out=True, not data.share_out=False"),
        ("data=miniwiki_mixed size=n100", "data.share_out=True, not data.share_out=False"),
        ("data=mixed size=n500", "data.share_out=True, not data.share_out=False"),
        ("data=file data.path=t.jsonl method=react_cot size=n50", "data.share_out=True, not data.share_out=False"),
        ("data=hotpotqa method=react_reflexion", "data.right_only=True, not data.right_only=False"),
    ],
)
def test_a_run_of_other_trajectories_is_refused(tmp_path: Path, command: str, difference: str) -> None:
    config = today(*command.split())
    run_folders.open(tmp_path, as_first_written(config)).finish({})
    with pytest.raises(StorageError, match=f"was made with {difference}; choose another run folder or remove that one"):
        run_folders.open(tmp_path, config)


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("method=io", "fireact.methods.io.IO"),
        ("method=cot", "fireact.methods.cot.CoT"),
        ("method=cot method.name=mine", "fireact.methods.cot.CoT"),
        ("method=fireact", "fireact.methods.fireact.FireAct"),
        ("method=fireact method.prompt=mine.txt", "fireact.methods.fireact.FireAct"),
        ("method=react", "fireact.methods.react.ReAct"),
        ("method=react +method.actions=[search,finish]", "fireact.methods.react.ReAct"),
        ("method=reflexion", "fireact.methods.reflexion.Reflexion"),
    ],
)
def test_a_method_that_was_a_class_gives_the_result_keys_of_that_class(command: str, target: str) -> None:
    method = cli.resolved(cli.compose("evaluate", command.split()))["method"]
    first = {key: value for key, value in method.items() if key != "actions"} | {"_target_": target}
    assert result_keys({"method": method}) == result_keys({"method": first})
    assert result_keys({"method": method})["method._target_"] == target
    assert {key.split(".")[1] for key in result_keys({"method": method})} == {*first}


def test_a_method_of_other_actions_is_another_run() -> None:
    one, other = (result_keys(today(f"method={name}")) for name in ("react", "cot"))
    assert one["method._target_"] != other["method._target_"]
    asked = {"_target_": "fireact.agent.reflexion.Reflexion", "name": "reflexion", "actions": ["finish"]}
    assert result_keys({"method": asked})["method.actions.0"] == "finish"


def test_other_proportions_are_another_run_only_where_they_decide_something(tmp_path: Path) -> None:
    other = "data.proportions.miniwiki.cot=100"
    assert result_keys(today("size=n100")) == result_keys(today("size=n100", other))
    mixed = ("method=react_cot", "size=n100")
    assert result_keys(today(*mixed)) != result_keys(today(*mixed, other))


def test_a_configuration_without_such_keys_is_left_alone() -> None:
    for config in ({}, {"data": None}, {"data": "file"}, {"data": {"right_only": False}}):
        assert editions.without_effect(config) == config


def test_a_run_from_before_there_were_tools_is_found_and_is_another_than_one_with_tools(tmp_path: Path) -> None:
    config = cli.resolved(cli.compose("evaluate", []))
    assert "tools" not in config
    run_folders.open(tmp_path, config).finish({})
    saved = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert "tools" not in saved and "tools" not in saved["defaults"]
    assert run_folders.open(tmp_path, config).state is State.FINISHED
    with pytest.raises(StorageError, match="was made with tools.max_chars=absent, not tools.max_chars=4000"):
        run_folders.open(tmp_path, cli.resolved(cli.compose("evaluate", ["tools=calculator"])))
