"""What a cell of a sweep does besides its tuning, and what the whole sweep ends in: acting, scores, a table and a page.

A tuned cell keeps its evaluations in its own folder. What only prompts the untuned backbone is shared by all cells and
sweeps, below ``runs_dir/prompted``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fireact.cli import Config, build, check_given, compose, resolved
from fireact.cli.command import Begin, Sweep
from fireact.cli.naming import file_name
from fireact.errors import ConfigError, FireActError
from fireact.overrides import command, override
from fireact.reporting.grid import GRID, METRICS, UNFINISHED, Cell, Grid
from fireact.runs import preflight
from fireact.runs.dashboard import Dashboard, opened
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED
from fireact.trajectories.storage.writing import write_json

_UNPROMPTED = "fireact"  # the method that has no few-shot prompt
_WRAPPED = "bm25"  # by conf/search/noise.yaml, if nothing else is said
_NAMED = re.compile(r"((?:(?:method|task|search)=[^,:=]+,?)+): (.+)", re.DOTALL)
_OWN = {"tuned", "seed", "run_dir"}  # options that every cell has a value of its own for
_checked: set[str] = set()  # the run folders whose runs this process found well


@dataclass(frozen=True)
class Evaluation:
    """A cell of the table to be, and the overrides of ``evaluate.py`` that give it."""

    cell: Cell
    overrides: tuple[str, ...]


def act(cfg: Config, dashboard: Dashboard | None = None) -> float:
    """Run the evaluations of a composed ``train.py`` configuration whose tuning, if it has one, is finished.

    Those after a failed one still run.

    Args:
        dashboard: is shown what the tuned model did, or the untuned one where none is tuned; the first evaluation
            under the plain names (``em``), the others under their own.

    Returns:
        The task's own score (a fraction) of the last one: exact match, or accuracy where that is its rule.

    Raises:
        FireActError: the first failure.
    """
    score, failures, todo = 0.0, [], evaluations(cfg)
    shown = [evaluation for evaluation in todo if evaluation.cell.tuned] or todo
    for evaluation in todo:
        run = evaluation.cell.run
        folders.forget_failure(run)
        try:
            metrics = evaluate(compose("evaluate", evaluation.overrides))
        except FireActError as error:
            failures.append(error)
            folders.note_failure(run, str(error))
            continue
        score = float(metrics["accuracy"])
        if dashboard and evaluation in shown:
            name = "" if evaluation == shown[0] else run.name
            dashboard.evaluated(metrics, evaluation.cell.trajectories(), name)
    if failures:
        raise failures[0]
    return score


def unfinished(cfg: Config) -> bool:
    """Whether an evaluation of this cell is still to be run."""
    return any(not (evaluation.cell.run / METRICS).exists() for evaluation in evaluations(cfg))


def evaluate(cfg: Config) -> dict[str, Any]:
    """Act out a composed ``evaluate.py`` configuration, and show its dashboard what came out; returns the metrics."""
    from fireact.runs import acting

    if (Path(cfg.run_dir) / METRICS).exists():
        return acting.evaluate(cfg)
    check(cfg)
    if cfg.get("logger") is None:
        return acting.evaluate(cfg)
    with opened(build(cfg.logger), resolved(cfg), "evaluate") as dashboard:
        metrics = acting.evaluate(cfg)
        dashboard.evaluated(metrics, Cell({}, Path(cfg.run_dir)).trajectories())
    return metrics


def evaluations(cfg: Config) -> list[Evaluation]:
    """Everything that one cell of ``train.py`` acts out, prompted baselines first.

    Raises:
        ConfigError: there is nothing to act out.
    """
    prompted = [_prompted(cfg, *point) for point in _points(cfg, cfg.act.prompted)]
    tuned = [] if cfg.adapter.name == "none" else [_tuned(cfg, *point) for point in _points(cfg, cfg.act.method)]
    if not prompted + tuned:
        raise ConfigError("this cell has nothing to do; name an adapter, or methods in act.prompted")
    return prompted + tuned


def next_step(cfg: Config) -> str:
    """The command that lets the model act which a composed ``train.py`` configuration has tuned, on the first task that
    its data are scored on.
    """
    backbone, plain = [f"{key}={value}" for key, value in _of_backbone(cfg.cell).items()], compose("evaluate")
    others = _lines(**{key: cfg[key] for key in ("seed", "cache_dir", "runs_dir") if cfg[key] != plain[key]})
    task = _lines(task=cfg.act.task[0]) if cfg.act.task else []
    asked = [*task, *_lines(search=cfg.act.search[0]), *backbone, *_lines(tuned=Path(cfg.run_dir, "adapter")), *others]
    return command("evaluate.py", [f"method={_UNPROMPTED}", *asked, *cfg.act.overrides])


def tuned_and_acted(cells: Sequence[Config]) -> Iterator[Cell]:
    """The cells of a sweep of ``train.py``."""
    return (evaluation.cell for cfg in cells for evaluation in evaluations(cfg))


def acted(cells: Sequence[Config]) -> Iterator[Cell]:
    """The cells of a sweep of ``evaluate.py``."""
    for cfg in cells:
        axes = {**cfg.cell, "acting": cfg.cell.method, "adapter": "none" if cfg.tuned is None else "tuned"}
        axes.pop("method")
        yield Cell(axes, Path(cfg.run_dir), Path(cfg.tuned).parent if cfg.tuned else None)


def table_of(cells_of: Callable[[Sequence[Config]], Iterator[Cell]]) -> Begin:
    """Lets a sweep end in ``grid.json``, a table, figures and the page of the cells that ``cells_of`` finds in it.

    They are looked for, and what they need is checked, before the first cell runs, so that nothing is paid for where
    that is a mistake; and ``grid.json`` is there from then on, for a report of a sweep that was killed.
    """

    def begin(sweep: Sweep) -> Callable[[], None]:
        cells = {cell.run: cell for cell in cells_of(sweep.cells)}
        for run in cells:
            folders.check(run)
        _refuse_ranks(sweep.cells)
        _refuse_names_of_nothing(sweep.cells, list(cells.values()))
        _check(sweep.cells, sweep.here)
        _write_grid(sweep, list(cells.values()))
        return lambda: _conclude(sweep, list(cells.values()))

    return begin


def _refuse_ranks(cells: Sequence[Config]) -> None:
    """Ranks of their own start the command again, which only a cell in a process of its own has to itself."""
    for cfg in cells:
        trainer = cfg.get("trainer")
        if trainer and trainer.accelerator == "cpu" and trainer.devices != 1 and cfg.process_per_cell is not True:
            raise ConfigError(f"trainer.devices={trainer.devices} on the CPU needs process_per_cell=true in a sweep")


def _refuse_names_of_nothing(cells: Sequence[Config], acted: Sequence[Cell]) -> None:
    """Refuse an entry of ``act.overrides`` for an evaluation that there is not, as by a misspelt search tool."""
    names = [{"method": cell.axes["acting"], "task": cell.axes["task"], "search": cell.axes["search"]}
             for cell in acted]
    for line in dict.fromkeys(line for cfg in cells if "act" in cfg for line in cfg.act.overrides):
        if _NAMED.fullmatch(line) and not any(_meant_for([line], **name) for name in names):
            raise ConfigError(f"act.overrides names {line.partition(': ')[0]}, which no evaluation of this sweep is; "
                              "mend the name or leave it out")


def checked_only(sweep: Sweep) -> Callable[[], None]:
    """Lets a sweep that ends in no table begin only if all of its cells could come to their ends."""
    _check(sweep.cells, sweep.here)
    return lambda: None


def check(cfg: Config) -> None:
    """Refuse a run of a script that could not come to its end; a cell was checked when its sweep began.

    Raises:
        ConfigError: what is missing, and how to get it.
    """
    if cfg.run_dir not in _checked:
        _check([cfg], acts="then_act" in cfg and (cfg.then_act or cfg.adapter.name == "none"), ahead=False)


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


def _check(cells: Sequence[Config], here: bool = True, acts: bool = True, ahead: bool = True) -> None:
    preflight.refuse(jobs(cells, here, acts, ahead))
    _checked.update(cfg.run_dir for cfg in cells)


def _conclude(sweep: Sweep, cells: Sequence[Cell]) -> None:
    from fireact.reporting import report, results, tables

    grid = _write_grid(sweep, cells)
    for path in report.write_report(grid, sweep.folder):
        print(path)
    logger = sweep.cells[0].get("logger")
    whole = all(cell.failed != UNFINISHED for cell in grid.cells)
    if whole and logger and "folder" in logger:  # a dashboard
        board = build(logger, folder=str(sweep.folder), group=sweep.experiment or "train")
        with opened(board, {"command": sweep.command}, "report") as dashboard:
            dashboard.table(tables.table_of(results.results_of(grid)))


def _write_grid(sweep: Sweep, cells: Sequence[Cell]) -> Grid:

    grid = Grid(sweep.experiment or "sweep", sweep.command, tuple(map(_with_outcome, cells)), tuple(sweep.left_out))
    folders.claim(sweep.folder, folders.GRID)
    write_json(sweep.folder / GRID, grid.to_json(sweep.folder))
    return grid


def _points(cfg: Config, methods: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    if cfg.act.task is None:
        raise ConfigError("act.task has no value; name the tasks to score on, as in act.task=[miniwiki]")
    return itertools.product(methods, cfg.act.task, cfg.act.search)


def _tuned(cfg: Config, method: str, task: str, search: str) -> Evaluation:
    fit = Path(cfg.run_dir)
    asked = _lines(tuned=fit / "adapter", seed=cfg.seed)
    return _evaluation(cfg, dict(cfg.cell), method, task, search, fit, fit / "acting", asked)


def _prompted(cfg: Config, method: str, task: str, search: str) -> Evaluation:
    """Greedy and untuned, it is the same for every seed and tuning."""
    if method == _UNPROMPTED:
        raise ConfigError(f"act.prompted={method} has no few-shot prompt; name io, cot, react or reflexion")
    backbone = _of_backbone(cfg.cell)
    name = file_name(cfg.backbone.name, "".join(f"-{k}@{v}" for k, v in backbone.items() if k != "backbone"))
    axes = {**backbone, "adapter": "none", "seed": "0"}
    return _evaluation(cfg, axes, method, task, search, None, Path(cfg.runs_dir, "prompted", name), ["seed=0"])


def _evaluation(
    cfg: Config, axes: dict[str, str], method: str, task: str, search: str, fit: Path | None, folder: Path,
    asked: Sequence[str],
) -> Evaluation:  # fmt: skip
    named = _meant_for(cfg.act.overrides, method=method, task=task, search=search)
    others = [*_wrapped(search, cfg.act.search), *named]
    run = folder / file_name(f"{method}-{task}-{search}-n{cfg.act.limit}", "".join(f"-{other}" for other in others))
    overrides = _lines(method=method, task=task, search=search, **{"task.limit": cfg.act.limit})
    backbone = [f"{key}={value}" for key, value in _of_backbone(cfg.cell).items()]  # as they were typed, quotes and all
    places = _lines(cache_dir=cfg.cache_dir, runs_dir=cfg.runs_dir, run_dir=run)
    cell = Cell({**axes, "acting": method, "task": task, "search": search}, run, fit)
    return Evaluation(cell, (*overrides, *backbone, *places, *asked, *others))


def _wrapped(search: str, among: Sequence[str]) -> list[str]:
    """What lets a noise tool wrap the plain tool listed before it, as the grid's other rows search with that one."""
    plain = [other for other in itertools.takewhile(lambda other: other != search, among) if not _is_noise(other)]
    return [f"search@search.tool={plain[-1]}"] if _is_noise(search) and plain and plain[-1] != _WRAPPED else []


def _is_noise(search: str) -> bool:
    return search.startswith("noise")


def _meant_for(overrides: Sequence[str], **evaluation: str) -> list[str]:
    """Those of ``act.overrides`` that are for all evaluations, or name this one: ``search=serpapi: search.gl=uk``.

    A name may be a pattern (``task=miniwiki*``); of several (``method=io,task=mmlu``) all must fit.
    """
    meant = []
    for line in overrides:
        named = _NAMED.fullmatch(line)
        wanted = dict(part.split("=") for part in named[1].split(",")) if named else {}
        if all(fnmatchcase(evaluation[key], pattern) for key, pattern in wanted.items()):
            meant.append(named[2] if named else line)
    return meant


def _lines(**values: Any) -> list[str]:
    return [override(key, value) for key, value in values.items()]


def _of_backbone(cell: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in cell.items() if key.lstrip("+").split(".")[0] == "backbone"}


def _with_outcome(cell: Cell) -> Cell:
    """``cell``, with the sentence in which its last attempt ended, or that it has no results yet."""
    notes = [folder / FAILED for folder in (cell.run, cell.fit) if folder and (folder / FAILED).exists()]
    if notes:
        reason = notes[0].read_text(encoding="utf-8").strip()
    else:
        reason = "" if (cell.run / METRICS).exists() else UNFINISHED
    return Cell(cell.axes, cell.run, cell.fit, reason)
