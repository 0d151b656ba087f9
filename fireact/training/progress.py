"""What a user sees of a fit: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from fireact.training.module import Tuner


class Progress(Callback):
    """Optimizer steps, epoch, loss, real tokens per second and time left; a line for each validation.

    Args:
        console: where to; standard error by default.
        interval: seconds between two plain lines.
    """

    def __init__(self, console: Console | None = None, interval: float = 15.0) -> None:
        self._console, self._interval = console or Console(stderr=True), interval
        self._started, self._first_step, self._last_line = 0.0, 0, 0.0
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        # a step takes seconds, so rates need a long look back
        self._bar = Bar(*columns, console=self._console, speed_estimate_period=600)

    def on_train_start(self, trainer: lightning.Trainer, tuner: Tuner) -> None:
        self._started, self._first_step = time.monotonic(), trainer.global_step
        if trainer.is_global_zero and self._console.is_terminal:
            self._bar.add_task("tuning", total=tuner.total_steps, completed=trainer.global_step)
            self._bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, tuner: Tuner, *_: Any) -> None:
        now, step = time.monotonic(), trainer.global_step
        loss, tokens_per_s = tuner.metrics["loss"], tuner.metrics["tokens_per_s"]
        text = f"epoch {trainer.current_epoch + 1}, loss {loss:.3f}, {tokens_per_s:.0f} tokens/s"
        if self._bar.live.is_started:
            self._bar.update(self._bar.task_ids[0], completed=step, description=text)
        elif trainer.is_global_zero and (now - self._last_line >= self._interval or step == tuner.total_steps):
            self._last_line = now
            left = (tuner.total_steps - step) * (now - self._started) / (step - self._first_step)
            self._line(f"step {step}/{tuner.total_steps}, {text}, {timedelta(seconds=round(left))} left")

    def on_validation_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.is_global_zero:
            self._line(f"step {trainer.global_step}: validation loss {trainer.callback_metrics['val_loss']:.4f}")

    def teardown(self, *_: Any, **__: Any) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
