"""The cells of one command: each is run as Hydra asks for it, and what went wrong is said in a sentence."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fireact import starting
from fireact.cli.checking import check, check_given
from fireact.cli.composing import finished
from fireact.cli.explaining import explain
from fireact.cli.leaving_out import forget
from fireact.errors import Terminated
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED
from fireact.trajectories.storage.reading import printable

Script = Callable[[DictConfig], float | None]


class Cells:
    """Runs the cells of one command and keeps count of those that failed in this process.

    ``planned`` holds the run folders of a sweep's cells in order, where they are known beforehand.
    """

    def __init__(self, script: Script) -> None:
        self.script, self.ran, self.failed = script, 0, 0
        self.terminated = False
        self.planned: list[str] = []
        self.folder = "the run folder"

    @property
    def run(self) -> Script:
        """What Hydra calls once a cell; it looks like the script, for Hydra names the job after its module."""

        @functools.wraps(self.script)
        def run(cfg: DictConfig) -> float | None:
            context = HydraConfig.get()
            with self.reported():
                finished(cfg, context, context.runtime.output_dir)
                return self._cell(cfg, context)
            return None

        return run

    def _cell(self, cfg: DictConfig, context: Any) -> float | None:
        sweeping = context.mode == hydra.types.RunMode.MULTIRUN
        if self.planned and cfg.run_dir not in self.planned:  # Hydra runs what is left out, too
            forget(Path(cfg.run_dir))
            return None
        self.ran += 1
        self.folder = cfg.run_dir
        if self.planned:
            number = self.planned.index(cfg.run_dir) + 1
            print(f"cell {number} of {len(self.planned)}: {cfg.run_dir}", flush=True)
        with self.reported(cfg.run_dir if sweeping or cfg.get("then_act") else None):
            folders.claim(cfg.run_dir)
            check(str(context.job.config_name), cfg)
            check_given(cfg)
            with self._terminable():
                if sweeping and _apart(cfg):
                    self._run_in_a_process_of_its_own(context.overrides.task)
                    return None
                if sweeping and "then_act" in cfg:
                    cfg.then_act = True
                return self.script(cfg)
        return None

    @contextmanager
    def _terminable(self) -> Iterator[None]:
        """Stop for SIGTERM as for Ctrl-C. Before and after there is nothing to keep, and a shell gives a process that
        dies by the signal itself the same exit code.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._on_sigterm)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _run_in_a_process_of_its_own(self, overrides: Sequence[str]) -> None:
        script = inspect.getfile(self.script)
        process = subprocess.Popen([sys.executable, script, *overrides, "hydra.mode=RUN", "then_act=true"])
        try:
            self.failed += process.wait() != 0
        except KeyboardInterrupt:
            if self.terminated:  # a terminal's Ctrl-C reaches both, SIGTERM only the process that is named
                process.terminate()
            process.wait()  # it leaves a checkpoint first
            raise

    @contextmanager
    def reported(self, cell: str | None = None) -> Iterator[None]:
        """Say a user's mistake in one sentence and go on; let bugs through, except from the ``cell`` of a sweep."""
        try:
            if cell:
                folders.forget_failure(cell)
            yield
        except Exception as error:
            if stop := _stop_behind(error):
                raise stop from None
            sentence = explain(error)
            if sentence is None and cell is None:
                raise
            sentence = sentence and printable(sentence)
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
        """Answer Ctrl-C and SIGTERM with where the work is, and with the exit code that a shell gives each."""
        try:
            starting.ready()
            yield
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning answers Ctrl-C with sys.exit.
            if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            terminated = self.terminated or isinstance(stop, Terminated)
            kept = f"what was finished is kept in {self.folder}"
            print(f"{'Terminated' if terminated else 'Interrupted'}; {kept}; run the same command to resume",
                  file=sys.stderr)
            sys.exit(128 + (signal.SIGTERM if terminated else signal.SIGINT))

    def _on_sigterm(self, _: int, frame: FrameType | None) -> None:
        """Stop as for Ctrl-C, which asyncio, Hydra's launchers and dashboards know how to stop for."""
        self.terminated = True
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(on_ctrl_c):  # a shell's background process ignores it
            raise Terminated
        on_ctrl_c(signal.SIGINT, frame)

    def summary(self) -> int:
        """The exit code, after a last word where a sweep lost some of its cells, in whatever process they ran."""
        failed = self.failed or sum(Path(folder, FAILED).exists() for folder in self.planned)
        total = max(self.ran, len(self.planned))
        if failed and total > 1:
            print(f"{failed} of {total} cells failed; run the same command to try them again", file=sys.stderr)
        return int(failed > 0)


def _stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Ctrl-C where it came out as another exception: Python wraps what ends a class's body, and a library's clean-up
    may fail over it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _apart(cfg: DictConfig) -> bool:
    """Whether a cell gets a process of its own: by default where it uses a GPU, whose memory only that gives back."""
    if "process_per_cell" not in cfg:
        return False
    return cfg.trainer.accelerator != "cpu" if cfg.process_per_cell is None else bool(cfg.process_per_cell)
