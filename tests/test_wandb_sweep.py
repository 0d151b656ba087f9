"""conf/wandb_sweep.yaml as W&B's agent would use it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fireact import cli
from fireact.cli import keys

SWEEP: dict[str, Any] = yaml.safe_load((keys.CONF / "wandb_sweep.yaml").read_text(encoding="utf-8"))


def test_w_and_b_s_own_schema_takes_it():
    config = pytest.importorskip("sweeps.config", reason="W&B's schema is not installed: pip install sweeps")
    assert config.schema_violations_from_proposed_config(SWEEP) == []


@pytest.mark.parametrize("last", [False, True])
def test_what_an_agent_calls_composes(last):
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils", reason="the extra wandb is not installed")
    ends = {name: spec.get("values", [spec.get("min"), spec.get("max")]) for name, spec in SWEEP["parameters"].items()}
    trial = {"args": {name: {"value": values[-last]} for name, values in ends.items()}}
    command = utils.create_sweep_command(list(SWEEP["command"]))
    given = utils.create_sweep_command_args(trial)["args_no_hyphens"]
    assert command[1:3] == ["python", "${program}"] and command[-1] == "${args_no_hyphens}"
    cfg = cli.compose("train", [*command[3:-1], *given])
    assert cfg.logger._target_ == "fireact.runs.dashboard.WandbRun"
    assert (cfg.optim.lr, cfg.adapter.r) == (ends["optim.lr"][-last], ends["adapter.r"][-last])
    assert cfg.val_fraction > 0


def test_the_metric_is_one_that_training_logs():
    from fireact.training.csv_logger import COLUMNS

    assert SWEEP["metric"]["name"] in COLUMNS
