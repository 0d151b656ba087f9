"""A script as a command: runs its cells, says what went wrong, leaves the right exit code."""

from __future__ import annotations

import functools
import inspect
import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fireact.app import keys, naming
from fireact.app.checking import check_numbers
from fireact.app.composing import check_experiment, compose, finished, plan, register_resolvers
from fireact.app.explaining import explain
from fireact.launchers import lend_path, runs_here

Script = Callable[[DictConfig], float | None]
# Hydra's parser takes overrides on one side of a flag only, so these go first, wherever they were typed.
_SWEEP = ("-m", "--multirun")
FAILED = "failed.txt"  # in a run folder: the sentence in which its last attempt ended


@dataclass(frozen=True)
class Sweep:
    """A command that ran several cells: its experiment (None for a plain ``-m``), folder, text and cells.

    ``here`` says whether they run on this machine.
    """

    experiment: str | None
    folder: Path
    command: str
    cells: Sequence[DictConfig]
    here: bool = True


Begin = Callable[[Sweep], Callable[[], None]]
Show = Callable[[Sweep], int]


def main(
    config_name: str, begin: Begin | None = None, show: Show | None = None
) -> Callable[[Script], Callable[[], None]]:
    """Turn ``def script(cfg)`` into a command composed from ``conf/<config_name>.yaml``.

    A user's mistake ends it with one sentence on stderr and exit code 1, Ctrl-C with 130. In a sweep every cell is
    composed before the first runs, and a cell that fails leaves its sentence in its folder while the others still run;
    ``begin`` may refuse the sweep before it starts, and returns what is to be done at its end. With ``plan=true``
    nothing runs: ``show`` prints what would, and returns how many refusals that would meet. Outside of a sweep a bug of
    ours keeps its stack trace.
    """

    def decorate(script: Script) -> Callable[[], None]:
        @functools.wraps(script)
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
            register_resolvers()
            lend_path()
            sys.argv[1:] = arguments = sorted(sys.argv[1:], key=lambda arg: arg not in _SWEEP)
            cells, planned = _Cells(script), []
            with cells.interruptible(), cells.reported():
                check_experiment(config_name, [arg for arg in arguments if re.match(r"[+\w][^=]*=", arg)])
                found = plan(config_name, arguments) if begin else []
                if show and any(argument.startswith("plan=") for argument in arguments):
                    wanted = found or [compose(config_name, [line for line in arguments if line not in _SWEEP])]
                    if wanted[0].plan:
                        sys.exit(int(show(_sweep(wanted, arguments)) > 0))
                cells.total = len(found)
                _drop_dead_links(found)
                end = begin(_sweep(found, arguments)) if found and begin else None
                planned = found  # from here on cells may fail
                try:
                    hydra.main(version_base="1.3", config_path=str(keys.CONF), config_name=config_name)(cells.run)()
                finally:  # a sweep that is interrupted shows what it has
                    if end:
                        end()
            sys.exit(cells.summary(planned))

        return command

    return decorate


def _sweep(planned: Sequence[DictConfig], arguments: Sequence[str]) -> Sweep:
    first, script = planned[0], Path(sys.argv[0]).stem
    name = naming.sweep_name(first.experiment or script, [argument for argument in arguments if "=" in argument])
    folder = Path(first.runs_dir) / "grids" / name
    text = shlex.join(["python", Path(sys.argv[0]).name, *arguments])
    return Sweep(first.experiment, folder, text, planned, runs_here(arguments))


def _drop_dead_links(planned: Sequence[DictConfig]) -> None:
    """A link to a run of the same configuration stands for nothing once somebody has removed that run."""
    for folder in (Path(cfg.run_dir) for cfg in planned):
        if folder.is_symlink() and not folder.exists():
            folder.unlink()


class _Cells:
    """Runs the cells of one command and keeps count of those that failed in this process."""

    def __init__(self, script: Script) -> None:
        self.script, self.total, self.ran, self.failed = script, 0, 0, 0
        self.folder = "the run folder"

    @property
    def run(self) -> Script:
        """What Hydra calls once a cell; it looks like the script, for Hydra names the job after its module."""

        @functools.wraps(self.script)
        def run(cfg: DictConfig) -> float | None:
            self.ran += 1
            context = HydraConfig.get()
            sweeping = context.mode == hydra.types.RunMode.MULTIRUN
            finished(cfg, context, context.runtime.output_dir)
            self.folder = cfg.run_dir
            if self.total:
                print(f"cell {context.job.num + 1} of {self.total}: {cfg.run_dir}", flush=True)
            with self.reported(cfg.run_dir if sweeping or cfg.get("then_act") else None):
                check_numbers(str(context.job.config_name), cfg)
                if sweeping and _apart(cfg):
                    self._run_in_a_process_of_its_own(context.overrides.task)
                    return None
                if sweeping and "then_act" in cfg:
                    cfg.then_act = True
                return self.script(cfg)
            return None

        return run

    def _run_in_a_process_of_its_own(self, overrides: Sequence[str]) -> None:
        script = inspect.getfile(self.script)
        command = [sys.executable, script, *overrides, "hydra.mode=RUN", "then_act=true"]
        process = subprocess.Popen(command)
        try:
            self.failed += process.wait() != 0
        except KeyboardInterrupt:
            process.wait()  # it was interrupted too, and leaves a checkpoint first
            raise

    @contextmanager
    def reported(self, cell: str | None = None) -> Iterator[None]:
        """Say a user's mistake in one sentence and go on; let bugs through, except from the ``cell`` of a sweep."""
        failed = Path(cell, FAILED) if cell else None
        try:
            if failed:
                failed.unlink(missing_ok=True)
            yield
        except Exception as error:
            sentence = explain(error)
            if sentence is None and failed is None:
                raise
            if sentence is None:
                traceback.print_exc()
                sentence = f"a bug: {type(error).__name__}: {error}"
            self.failed += 1
            print(sentence, file=sys.stderr)
            if failed and failed.parent.is_dir():
                failed.write_text(sentence + "\n", encoding="utf-8")

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Answer Ctrl-C with where the work is."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning answers Ctrl-C with sys.exit.
            if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            kept = f"what was finished is kept in {self.folder}"
            print(f"Interrupted; {kept}; run the same command to resume", file=sys.stderr)
            sys.exit(130)

    def summary(self, planned: Sequence[DictConfig] = ()) -> int:
        """The exit code, after a last word where a sweep lost some of its cells, in whatever process they ran."""
        failed = self.failed or sum(Path(cfg.run_dir, FAILED).exists() for cfg in planned)
        if failed and max(self.ran, len(planned)) > 1:
            total = max(self.ran, len(planned))
            print(f"{failed} of {total} cells failed; run the same command to try them again", file=sys.stderr)
        return int(failed > 0)


def _apart(cfg: DictConfig) -> bool:
    """Whether a cell gets a process of its own: by default where it uses a GPU, whose memory only that gives back."""
    if "process_per_cell" not in cfg:
        return False
    return cfg.trainer.accelerator != "cpu" if cfg.process_per_cell is None else bool(cfg.process_per_cell)
