"""Checkpoints between optimizer steps, and an orderly stop at the next of them.

A checkpoint is Lightning's file without the base model: trainable weights, optimizer, progress, callbacks and the
random number generators of every rank. The schedule and the order of the data are functions of the step.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_only

from fireact.errors import StorageError, Terminated
from fireact.training.checkpoint_files import BEST, LAST, PREVIOUS, read_checkpoint
from fireact.training.module import Tuner

log = logging.getLogger(__name__)
_say = rank_zero_only(log.warning)


class Stopped(Exception):
    """Training stopped between two optimizer steps because it was asked to; the last checkpoint holds all of it."""


class StopRequest:
    """Whether Ctrl-C or SIGTERM has asked for a stop. The second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._terminated = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch both signals; only possible in a process's main thread, and without effect elsewhere."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.listen()
        try:
            yield
        finally:
            if _in_main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)

    def listen(self) -> None:
        """Catch both signals, whoever else has begun to."""
        if _in_main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_signal)

    def reason(self, done: str) -> KeyboardInterrupt:
        """What to end with, after ``done``."""
        return (Terminated if self._terminated else KeyboardInterrupt)(f"stopped after {done}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._terminated |= number == signal.SIGTERM
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        log.info("Stopping after this optimizer step; Ctrl-C again stops at once, back to the last checkpoint.")


class Checkpointer(Checkpoint):
    """Saves ``last.ckpt`` every ``every`` optimizer steps, at each epoch's end and before a requested stop.

    With ``keep_best``, ``best.ckpt`` holds the weights of the lowest validation loss. Files are replaced whole.

    Raises:
        StorageError: a checkpoint can't be written.
    """

    def __init__(self, folder: Path, every: int, keep_best: bool, stop: StopRequest) -> None:
        self.folder, self.every, self.keep_best, self.stop = folder, every, keep_best, stop
        self.best_loss = math.inf
        self._finished = False

    def found(self) -> Path | None:
        """The checkpoint to go on from: the last one, or the one before where that is torn; None to start anew."""
        for name in (LAST, PREVIOUS):
            path = self.folder / name
            if path.exists() and (checkpoint := read_checkpoint(path)) and self._has_best(checkpoint):
                if name == PREVIOUS:
                    _say(f"{self.folder / LAST} is torn or missing; going on from {PREVIOUS}")
                return path
        if any((self.folder / name).exists() for name in (LAST, PREVIOUS)):
            _say(f"no checkpoint in {self.folder} is whole; starting anew")
        return None

    def _has_best(self, checkpoint: dict[str, Any]) -> bool:
        """Whether the best weights, if there were any by then, are there still."""
        state = checkpoint["callbacks"].get(self.state_key, {})
        return not self.keep_best or state.get("best_loss") == math.inf or bool(read_checkpoint(self.folder / BEST))

    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        # Lightning has just begun to listen too; it would end between a step and its checkpoint, with exit code 0.
        self.stop.listen()
        trainer.should_stop = self._finished

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        ends = trainer.is_last_batch or trainer.should_stop
        # Lightning goes on rightly from an epoch's last step if nothing is left to validate, else from the epoch's end
        if not (ends and trainer.enable_validation):
            self._between_steps(trainer, due=ends or trainer.global_step % self.every == 0)

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.enable_validation:
            self._between_steps(trainer, due=True)

    def on_validation_end(self, trainer: lightning.Trainer, tuner: Tuner) -> None:
        loss = tuner.totals.val_loss
        if self.keep_best and loss is not None and loss < self.best_loss:
            self.best_loss = loss
            self._save(trainer, BEST)

    def _between_steps(self, trainer: lightning.Trainer, due: bool) -> None:
        self._finished = trainer.should_stop
        stopping = trainer.strategy.reduce_boolean_decision(self.stop.asked, all=False) and not self._finished
        if due or stopping:
            self._save(trainer, LAST)
        if stopping:
            raise Stopped

    def _save(self, trainer: lightning.Trainer, name: str) -> None:
        try:
            trainer.save_checkpoint(self.folder / name, weights_only=False)
        except OSError as error:
            raise StorageError(f"checkpoint {self.folder / name} can't be written ({error.strerror}); free space, and "
                               "the same command goes on from the last good one") from error

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss, "finished": self._finished}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss, self._finished = state_dict["best_loss"], state_dict["finished"]


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def load_weights(tuner: Tuner, path: Path) -> None:
    """Put a checkpoint's trainable weights into ``tuner``."""
    tuner.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"], strict=False)
