"""docs/paper.md, held against what its commands compose to; ``benchmarks/rehearsal.py`` runs them."""

from __future__ import annotations

import math

import pytest

from benchmarks.rehearsal import PAGE, Promise, promises_of, settings_of
from fireact import cli
from fireact.cli import composing
from fireact.cli.leaving_out import left_out
from fireact.runs.evaluations import evaluations

PAGE_TEXT = PAGE.read_text(encoding="utf-8")
PROMISES = {promise.experiment: promise for promise in promises_of(PAGE_TEXT)}


@pytest.fixture(scope="module", autouse=True)
def hydra():
    with composing.hydra_ready():
        yield


def test_every_experiment_has_its_command():
    assert set(PROMISES) == {path.stem for path in (cli.composing.keys.CONF / "experiment").glob("*.yaml")}


@pytest.mark.parametrize("promise", PROMISES.values(), ids=str)
def test_a_command_at_paper_scale_is_what_the_page_says(promise: Promise) -> None:
    arguments = promise.command[1:]
    cells, _ = left_out(composing.plan("train", arguments), arguments)
    tuned = [cfg for cfg in cells if cfg.adapter.name != "none"]
    taken = [sum(cli.build(cfg.data).wanted().values()) for cfg in tuned]
    assert sorted(taken) == sorted(promise.trajectories)
    assert {cfg.optim.epochs for cfg in tuned} == set(promise.epochs)
    steps = [
        cfg.optim.max_steps or cfg.optim.epochs * math.ceil(number / cfg.optim.batch_size)
        for cfg, number in zip(tuned, taken, strict=True)
    ]
    assert sorted(steps) == sorted(promise.updates)
    evaluated = {evaluation.cell.run: evaluation for cfg in cells for evaluation in evaluations(cfg)}
    assert len(evaluated) == promise.evaluations
    assert all("task.limit=500" in evaluation.overrides for evaluation in evaluated.values())


@pytest.mark.parametrize("backbone", ["llama2_7b", "llama2_13b", "codellama_7b", "codellama_13b", "codellama_34b"])
def test_the_settings_are_those_of_the_page(backbone: str) -> None:
    settings = settings_of(PAGE_TEXT)
    tuning = cli.resolved(cli.compose("train", [f"backbone={backbone}", "data=hotpotqa"]))
    acting = cli.resolved(cli.compose("evaluate", [f"backbone={backbone}", "task=hotpotqa", "method=fireact"]))
    for key, value in settings.items():
        found = acting if key.split(".")[0] in ("method", "lm") else tuning
        for part in key.split("."):
            found = found[part]
        assert found == value, key
