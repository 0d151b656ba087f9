"""What the cells of a command still have to do, and whether all of it could come to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fireact.cli import Config, check_given, compose
from fireact.reporting.grid import METRICS
from fireact.runs import preflight
from fireact.runs.evaluations import evaluations

_OWN = {"tuned", "seed", "run_dir"}  # options of what a cell acts out that decide no check
_checked: set[str] = set()  # the run folders whose runs this process found well


def check(cfg: Config) -> None:
    """Refuse a run of a script that could not come to its end; a cell was checked when its sweep began.

    Raises:
        ConfigError: what is missing, and how to get it.
    """
    if cfg.run_dir not in _checked:
        acts = "then_act" in cfg and (cfg.then_act or cfg.adapter.name == "none")
        preflight.refuse(jobs([cfg], acts=acts, ahead=False))
        _checked.add(cfg.run_dir)


def check_cells(cells: Sequence[Config], here: bool) -> None:
    """Refuse a sweep of which a cell could not come to its end, ``here`` or on other machines.

    Raises:
        ConfigError: what is missing, in which cell, and how to get it.
    """
    preflight.refuse(jobs(cells, here))
    _checked.update(cfg.run_dir for cfg in cells)


def jobs(cells: Sequence[Config], here: bool = True, acts: bool = True, ahead: bool = True) -> list[preflight.Job]:
    """What is still to be done in these cells of a script, ``here`` or on other machines.

    A single tuning makes its rows before all else; where others come first, they are made ``ahead``. What cells of
    ``train.py`` act out, where one ``acts``, is composed too, each combination of options once for all folders and
    seeds.

    Raises:
        ConfigError: an option of what they act out does not exist.
    """
    todo = [cfg for cfg in cells if not (Path(cfg.run_dir) / METRICS).exists()]
    tuned = [preflight.tuning(cfg, here, ahead) for cfg in todo if "then_act" in cfg and cfg.adapter.name != "none"]
    acted = [preflight.acting(cfg) for cfg in todo if "then_act" not in cfg]
    return [*tuned, *acted, *(_to_act(cells) if acts else ())]


def _to_act(cells: Sequence[Config]) -> list[preflight.Job]:
    found = [evaluation for cfg in cells if "then_act" in cfg for evaluation in evaluations(cfg)]
    firsts: dict[tuple[str, ...], Path] = {}
    for evaluation in sorted(found, key=lambda evaluation: (evaluation.cell.run / METRICS).exists()):
        options = tuple(line for line in evaluation.overrides if line.partition("=")[0] not in _OWN)
        firsts.setdefault(options, evaluation.cell.run)
    composed = [(compose("evaluate", options), run) for options, run in firsts.items()]
    for cfg, _ in composed:
        check_given(cfg)
    return [preflight.acting(cfg, str(run)) for cfg, run in composed if not (run / METRICS).exists()]
