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
from omegaconf import DictConfig, OmegaConf

from fireact.cli import keys, naming
from fireact.cli.checking import check, check_given
from fireact.cli.composing import check_experiment, check_twice, compose, finished, plan, register_resolvers, shown
from fireact.cli.explaining import explain
from fireact.cli.launchers import lend_path, runs_here
from fireact.cli.leaving_out import forget, left_out
from fireact.errors import StorageError
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED

Script = Callable[[DictConfig], float | None]
# Hydra's parser takes overrides on one side of a flag only, so these go first, wherever they were typed.
_SWEEP = ("-m", "--multirun")
_HYDRAS = "multirun.yaml"  # what Hydra writes of a sweep, in runs_dir
_OVERRIDE = re.compile(r"[+~\w][^=]*=|~")


@dataclass(frozen=True)
class Sweep:
    """A command that ran several cells: its experiment (None for a plain ``-m``), folder, text and cells, and which are
    left out. ``here`` says whether they run on this machine, ``sweeps`` whether it is not one plain run after all.
    """

    experiment: str | None
    folder: Path
    command: str
    cells: Sequence[DictConfig]
    left_out: Sequence[str] = ()
    here: bool = True
    sweeps: bool = True


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
            with cells.interruptible(), cells.reported(), cells.piped():
                overrides = [argument for argument in arguments if _OVERRIDE.match(argument)]
                check_twice(overrides)
                check_experiment(config_name, overrides)
                if answer := _answer(config_name, arguments, overrides):
                    print(answer, flush=True)
                    sys.exit(0)
                found, without = left_out(plan(config_name, arguments) if begin else [], arguments)
                asks = any(argument.startswith("plan=") for argument in arguments)
                cells_asked = (found or [compose(config_name, overrides)]) if asks else []
                if show and cells_asked and cells_asked[0].plan:
                    sys.exit(int(show(_sweep(cells_asked, arguments, without, sweeps=bool(found))) > 0))
                cells.numbers = {cfg.run_dir: number for number, cfg in enumerate(found, start=1)}
                _drop_dead_links(found)
                _refuse_their_files(found)
                end = begin(_sweep(found, arguments, without)) if found and begin else None
                planned = found  # from here on cells may fail
                try:
                    hydra.main(version_base="1.3", config_path=str(keys.CONF), config_name=config_name)(cells.run)()
                finally:  # a sweep that is interrupted shows what it has
                    if end:
                        end()
            sys.exit(cells.summary(planned))

        return command

    return decorate


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


def _sweep(
    planned: Sequence[DictConfig], arguments: Sequence[str], without: Sequence[str], sweeps: bool = True
) -> Sweep:
    first, script = planned[0], Path(sys.argv[0]).stem
    name = naming.sweep_name(first.experiment or script, [argument for argument in arguments if "=" in argument])
    folder = Path(first.runs_dir) / "grids" / name
    text = shlex.join(["python", Path(sys.argv[0]).name, *arguments])
    for sentence in without:
        print(f"left out: {sentence}", flush=True)
    return Sweep(first.experiment, folder, text, planned, without, runs_here(arguments), sweeps)


def _drop_dead_links(planned: Sequence[DictConfig]) -> None:
    """A link to a run of the same configuration stands for nothing once somebody has removed that run."""
    for folder in (Path(cfg.run_dir) for cfg in planned):
        if folders.is_own_link(folder) and not folder.exists():
            folder.unlink()


def _refuse_their_files(planned: Sequence[DictConfig]) -> None:
    """Refuse a sweep that would end in, or write over, what is not ours, before any of it runs."""
    for cfg in planned:
        folders.check(cfg.run_dir)
    for path in {Path(cfg.runs_dir, _HYDRAS) for cfg in planned}:
        if os.path.lexists(path) and not _of_our_sweep(path):
            raise StorageError(f"{path}, which Hydra would write over, is not of a sweep of ours; move it away, or "
                               "choose another runs_dir")


def _of_our_sweep(path: Path) -> bool:
    text = "" if path.is_symlink() or not path.is_file() else path.read_text(encoding="utf-8", errors="replace")
    return {"runs_dir:", "run_dir:", "axes:"} <= {line.split(" ")[0] for line in text.splitlines()}


class _Cells:
    """Runs the cells of one command and keeps count of those that failed in this process."""

    def __init__(self, script: Script) -> None:
        self.script, self.ran, self.failed = script, 0, 0
        self.numbers: dict[str, int] = {}  # of the cells of a sweep, by run folder
        self.folder = "the run folder"

    @property
    def run(self) -> Script:
        """What Hydra calls once a cell; it looks like the script, for Hydra names the job after its module."""

        @functools.wraps(self.script)
        def run(cfg: DictConfig) -> float | None:
            context = HydraConfig.get()
            sweeping = context.mode == hydra.types.RunMode.MULTIRUN
            finished(cfg, context, context.runtime.output_dir)
            if self.numbers and cfg.run_dir not in self.numbers:  # Hydra runs what is left out, too
                forget(Path(cfg.run_dir))
                return None
            self.ran += 1
            self.folder = cfg.run_dir
            if self.numbers:
                print(f"cell {self.numbers[cfg.run_dir]} of {len(self.numbers)}: {cfg.run_dir}", flush=True)
            with self.reported(cfg.run_dir if sweeping or cfg.get("then_act") else None):
                folders.claim(cfg.run_dir)
                check(str(context.job.config_name), cfg)
                check_given(cfg)
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
        try:
            if cell:
                folders.forget_failure(cell)
            yield
        except Exception as error:
            sentence = explain(error)
            if sentence is None and cell is None:
                raise
            if sentence is None:
                traceback.print_exc()
                sentence = f"a bug: {type(error).__name__}: {error}"
            self.failed += 1
            print(sentence, file=sys.stderr)
            if cell:
                folders.note_failure(cell, sentence)

    @contextmanager
    def piped(self) -> Iterator[None]:
        """Leave in silence where nobody reads on, as in ``--help | head``, unless work is cut off by that."""
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
            if self.ran:
                raise

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
