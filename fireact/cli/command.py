"""A script as a command: composes its cells, asks its hooks, runs each cell, leaves the right exit code."""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hydra
from omegaconf import DictConfig, OmegaConf

from fireact.cli import keys, naming, secrets
from fireact.cli.cells import Cells, Script
from fireact.cli.composing import check_experiment, check_twice, compose, plan, register_resolvers, shown
from fireact.cli.launchers import lend_path, runs_here
from fireact.cli.leaving_out import left_out
from fireact.errors import StorageError
from fireact.trajectories.storage import folders

# Hydra's parser takes overrides on one side of a flag only, so these go first, wherever they were typed.
_SWEEP = ("-m", "--multirun")
_HYDRAS = "multirun.yaml"  # what Hydra writes of a sweep, in runs_dir
_OVERRIDE = re.compile(r"[+~\w][^=]*=|~")


@dataclass(frozen=True)
class Sweep:
    """A command that runs several cells.

    Attributes:
        experiment: its name; None for a plain ``-m``.
        folder: for what the sweep ends in.
        command: as it was typed.
        left_out: a sentence on each kind of cell that is left out.
        here: whether its cells run on this machine.
        sweeps: False where it is one plain run after all.
    """

    experiment: str | None
    folder: Path
    command: str
    cells: Sequence[DictConfig]
    left_out: Sequence[str] = ()
    here: bool = True
    sweeps: bool = True


class Hooks(Protocol):
    """What a script does around its cells."""

    def check(self, sweep: Sweep) -> None:
        """Refuse a sweep whose cells could not come to their ends, before the first one runs."""

    def conclude(self, sweep: Sweep) -> None:
        """Write what the whole sweep ends in; of one that is interrupted, what it has."""

    def plan(self, sweep: Sweep) -> int:
        """Print what the command would do, for ``plan=true``; returns how many refusals it would meet."""


def main(config_name: str, hooks: Hooks | None = None) -> Callable[[Script], Callable[[], None]]:
    """Turn ``def script(cfg)`` into a command composed from ``conf/<config_name>.yaml``.

    A user's mistake ends it with one sentence on stderr and exit code 1, Ctrl-C with 130. With ``hooks`` every cell of
    a sweep is composed before the first runs. A cell that fails leaves its sentence in its folder while the others
    still run. Outside of a sweep a bug of ours keeps its stack trace.
    """

    def decorate(script: Script) -> Callable[[], None]:
        return functools.wraps(script)(lambda: _run(config_name, script, hooks))

    return decorate


def _run(config_name: str, script: Script, hooks: Hooks | None) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    register_resolvers()
    lend_path()
    sys.argv[1:] = arguments = sorted(sys.argv[1:], key=lambda arg: arg not in _SWEEP)
    overrides = [argument for argument in arguments if _OVERRIDE.match(argument)]
    cells = Cells(script)
    with cells.interruptible(), cells.reported(), cells.piped():
        secrets.refuse_in(arguments)
        check_twice(overrides)
        check_experiment(config_name, overrides)
        if answer := _answer(config_name, arguments, overrides):
            print(answer, flush=True)
            sys.exit(0)
        found, without = left_out(plan(config_name, arguments), arguments) if hooks else ([], [])
        for sentence in without:
            print(f"left out: {sentence}", flush=True)
        if hooks and any(argument.startswith("plan=") for argument in arguments):
            asked = found or [compose(config_name, overrides)]
            if asked[0].plan:
                sys.exit(int(hooks.plan(_sweep(asked, arguments, without, sweeps=bool(found))) > 0))
        _make_way(found)
        sweep = _sweep(found, arguments, without) if found else None
        if hooks and sweep:
            hooks.check(sweep)
        cells.planned = [cfg.run_dir for cfg in found]  # from here on they may fail
        try:
            hydra.main(version_base="1.3", config_path=str(keys.CONF), config_name=config_name)(cells.run)()
        finally:
            if hooks and sweep:
                hooks.conclude(sweep)
    sys.exit(cells.summary())


def _answer(config_name: str, arguments: Sequence[str], overrides: Sequence[str]) -> str:
    """What is asked of the configuration alone, where we say it better than Hydra: its own help knows no comments, and
    what it resolves lacks what it has just left out; nothing otherwise.
    """
    if {"-h", "--help"} & {*arguments}:
        return shown(config_name, overrides)
    flags = [argument for argument in arguments if argument not in overrides]
    if flags in (["--cfg", "job", "--resolve"], ["--resolve", "--cfg", "job"], ["-c", "job", "--resolve"]):
        return OmegaConf.to_yaml(compose(config_name, overrides), resolve=True).rstrip()
    return ""


def _sweep(cells: Sequence[DictConfig], arguments: Sequence[str], without: Sequence[str], sweeps: bool = True) -> Sweep:
    first, script = cells[0], Path(sys.argv[0]).stem
    name = naming.sweep_name(first.experiment or script, [argument for argument in arguments if "=" in argument])
    text = shlex.join(["python", Path(sys.argv[0]).name, *arguments])
    folder = Path(first.runs_dir, "grids", name)
    return Sweep(first.experiment, folder, text, cells, without, runs_here(arguments), sweeps)


def _make_way(cells: Sequence[DictConfig]) -> None:
    """Remove links to runs that somebody has removed, and refuse to write over what is not ours."""
    for folder in (Path(cfg.run_dir) for cfg in cells):
        if folders.is_own_link(folder) and not folder.exists():
            folder.unlink()
    for cfg in cells:
        folders.check(cfg.run_dir)
    for path in {Path(cfg.runs_dir, _HYDRAS) for cfg in cells}:
        if os.path.lexists(path) and not _of_our_sweep(path):
            raise StorageError(f"{path}, which Hydra would write over, is not of a sweep of ours; move it away, or "
                               "choose another runs_dir")


def _of_our_sweep(path: Path) -> bool:
    text = "" if path.is_symlink() or not path.is_file() else path.read_text(encoding="utf-8", errors="replace")
    return {"runs_dir:", "run_dir:", "axes:"} <= {line.split(" ")[0] for line in text.splitlines()}
