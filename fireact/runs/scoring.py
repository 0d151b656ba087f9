"""The task of a run, scored by its own rule or by the configured measure."""

from __future__ import annotations

from typing import Any

from fireact.cli import Config, build
from fireact.errors import ConfigError
from fireact.lms.base import LanguageModel
from fireact.runs.adapters import weights
from fireact.tasks.base import Task
from fireact.tasks.measures.measured import Measured

_OWN = "em"  # of task.scoring


def task_of(cfg: Config, judge: LanguageModel | None = None) -> Task | Measured:
    """The task; with a measure, its questions are looked at by that before they are given.

    Args:
        judge: the model that a measure asks; None where nothing is to be scored yet.

    Raises:
        ConfigError: the measure is impossible, the task has another scoring already, or see ``judge_of``.
    """
    task: Task = build(cfg.task)
    node = cfg.get("measure")
    if node is None:
        return task
    if (other := cfg.task.get("scoring", _OWN)) != _OWN:
        raise ConfigError(f"task.scoring={other} and a measure are two ways to score; leave one out")
    measure = build(node) if judge_of(cfg) is None else build(node, lm=judge)
    return Measured(task, measure)


def judge_of(cfg: Config) -> Config | None:
    """The configuration of the model that the measure asks, if it asks one.

    Raises:
        ConfigError: that model is the one that acts, tuned to answer and not to judge.
    """
    node: Config | None = (cfg.get("measure") or {}).get("lm")
    if node is not None and cfg.tuned is not None and node.get("adapter") == cfg.tuned:
        raise ConfigError(f"measure.lm.adapter={cfg.tuned} is the adapter whose answers are to be judged; set "
                          "measure.lm.adapter=null, or name a judge's own")
    return node


def budget_usd(cfg: Config) -> float | None:
    """What the calls of a run may cost: the model's budget, or that of the judge of a model without one."""
    budget = cfg.lm.get("budget_usd")
    judge = judge_of(cfg)
    return judge.get("budget_usd") if budget is None and judge is not None else budget


def content(cfg: Config, task: Task | Measured) -> dict[str, Any]:
    """What a measure is besides its configuration: of a function its file, of a judge its prompt and its weights."""
    if not isinstance(task, Measured):
        return {}
    judge = judge_of(cfg)
    adapter = {} if judge is None else weights(judge.get("adapter"))
    sha256 = task.provenance.get("measure_sha256")
    return {**({"measure_sha256": sha256} if sha256 else {}), **({"judge_sha256": adapter} if adapter else {})}
