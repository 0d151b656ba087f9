"""What one cell of ``train.py`` acts out: each evaluation is a cell of the table, and overrides of ``evaluate.py``.

A tuned cell keeps its evaluations in its own folder. What only prompts the untuned backbone is shared by all cells and
sweeps, below ``runs_dir/prompted``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fireact.cli import Config, compose
from fireact.cli.naming import file_name
from fireact.errors import ConfigError
from fireact.overrides import command, override
from fireact.reporting.grid import METRICS, Cell

_UNPROMPTED = "fireact"  # the method that has no few-shot prompt
_WRAPPED = "bm25"  # by conf/search/noise.yaml, if nothing else is said
_NAMED = re.compile(r"((?:(?:method|task|search)=[^,:=]+,?)+): (.+)", re.DOTALL)


@dataclass(frozen=True)
class Evaluation:
    """A cell of the table to be, and the overrides of ``evaluate.py`` that give it."""

    cell: Cell
    overrides: tuple[str, ...]


def evaluations(cfg: Config) -> list[Evaluation]:
    """Everything that one cell of ``train.py`` acts out, prompted baselines first.

    Raises:
        ConfigError: there is nothing to act out, or no task to act on.
    """
    if cfg.act.task is None:
        raise ConfigError("act.task has no value; name the tasks to score on, as in act.task=[miniwiki]")
    on = (cfg.act.task, cfg.act.search)
    found = [_evaluation(cfg, *options, tuned=False) for options in itertools.product(cfg.act.prompted, *on)]
    if cfg.adapter.name != "none":
        found += [_evaluation(cfg, *options, tuned=True) for options in itertools.product(cfg.act.method, *on)]
    if not found:
        raise ConfigError("this cell has nothing to do; name an adapter, or methods in act.prompted")
    return found


def unfinished(cfg: Config) -> bool:
    """Whether an evaluation of this cell is still to be run."""
    return any(not (evaluation.cell.run / METRICS).exists() for evaluation in evaluations(cfg))


def next_step(cfg: Config) -> str:
    """The command that lets the model act which a composed ``train.py`` configuration has tuned, on the first task that
    its data are scored on.
    """
    plain = compose("evaluate")
    others = {key: cfg[key] for key in ("seed", "cache_dir", "runs_dir") if cfg[key] != plain[key]}
    task = {"task": cfg.act.task[0]} if cfg.act.task else {}
    task |= {"task.limit": cfg.act.limit} if cfg.act.limit else {}
    asked = _lines(method=_UNPROMPTED, **task, search=cfg.act.search[0])
    model = [*_typed(_of_backbone(cfg.cell)), *_lines(tuned=Path(cfg.run_dir, "adapter"), **others)]
    return command("evaluate.py", [*asked, *model, *cfg.act.overrides])


def check_names(cells: Sequence[Config]) -> None:
    """Refuse an entry of ``act.overrides`` for an evaluation that there is not, as by a misspelt search tool.

    Raises:
        ConfigError: naming it.
    """
    axes = [evaluation.cell.axes for cfg in cells for evaluation in evaluations(cfg)]
    for line in dict.fromkeys(line for cfg in cells for line in cfg.act.overrides):
        if not any(_meant_for([line], each["acting"], each["task"], each["search"]) for each in axes):
            raise ConfigError(f"act.overrides names {line.partition(': ')[0]}, which no evaluation of this sweep is; "
                              "correct the name or leave it out")


def _evaluation(cfg: Config, method: str, task: str, search: str, tuned: bool) -> Evaluation:
    backbone, fit = _of_backbone(cfg.cell), Path(cfg.run_dir)
    if tuned:
        axes, folder, own = dict(cfg.cell), fit / "acting", {"tuned": fit / "adapter", "seed": cfg.seed}
    elif method == _UNPROMPTED:
        raise ConfigError(f"act.prompted={method} has no few-shot prompt; name io, cot, react or reflexion")
    else:  # greedy and untuned, it is the same for every seed and tuning
        name = file_name(cfg.backbone.name, "".join(f"-{k}@{v}" for k, v in backbone.items() if k != "backbone"))
        axes, folder = {**backbone, "adapter": "none", "seed": "0"}, Path(cfg.runs_dir, "prompted", name)
        own = {"seed": 0}
    others = [*_wrapped(search, cfg.act.search), *_meant_for(cfg.act.overrides, method, task, search)]
    run = folder / file_name(f"{method}-{task}-{search}-n{cfg.act.limit}", "".join(f"-{other}" for other in others))
    options = _lines(method=method, task=task, search=search, **{"task.limit": cfg.act.limit})
    places = _lines(cache_dir=cfg.cache_dir, runs_dir=cfg.runs_dir, run_dir=run)
    cell = Cell({**axes, "acting": method, "task": task, "search": search}, run, fit if tuned else None)
    return Evaluation(cell, (*options, *_typed(backbone), *places, *_lines(**own), *others))


def _wrapped(search: str, among: Sequence[str]) -> list[str]:
    """What lets a noise tool wrap the plain tool listed before it, as the grid's other rows search with that one."""
    before = itertools.takewhile(lambda other: other != search, among)
    plain = [other for other in before if not other.startswith("noise")] if search.startswith("noise") else []
    return [f"search@search.tool={plain[-1]}"] if plain and plain[-1] != _WRAPPED else []


def _meant_for(overrides: Sequence[str], method: str, task: str, search: str) -> list[str]:
    """Those of ``act.overrides`` that are for all evaluations, or name this one: ``search=serpapi: search.gl=uk``.

    A name may be a pattern (``task=miniwiki*``); of several (``method=io,task=mmlu``) all must fit.
    """
    meant, options = [], {"method": method, "task": task, "search": search}
    for line in overrides:
        named = _NAMED.fullmatch(line)
        wanted = dict(part.split("=") for part in named[1].split(",")) if named else {}
        if all(fnmatchcase(options[key], pattern) for key, pattern in wanted.items()):
            meant.append(named[2] if named else line)
    return meant


def _lines(**values: Any) -> list[str]:
    return [override(key, value) for key, value in values.items()]


def _of_backbone(cell: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in cell.items() if key.lstrip("+").split(".")[0] == "backbone"}


def _typed(cell: Mapping[str, str]) -> list[str]:
    """Overrides as they were typed, quotes and all."""
    return [f"{key}={value}" for key, value in cell.items()]
