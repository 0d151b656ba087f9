"""How far an optimizer goes, and how fast at each step."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Literal

from fireact.errors import ConfigError
from fireact.ranges import Count, Natural, NonNegative, Positive

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Optim:
    """AdamW (Loshchilov & Hutter 2019) with a warm-up and a schedule, all counted in optimizer steps.

    Args:
        lr: the learning rate at the end of the warm-up.
        epochs: passes over the training rows, unless ``max_steps`` is given.
        max_steps: optimizer steps; overrides ``epochs``.
        batch_size: trajectories per optimizer step, over all ranks.
        schedule: ``linear`` to 0, ``cosine`` to 0, or ``constant``, after the warm-up.
        warmup_steps: steps over which the rate grows evenly; the first step already learns.
        weight_decay: AdamW's, decoupled.
        clip_norm: the most that the 2-norm of a step's gradient may be; None leaves it.
        gradient_checkpointing: recompute activations in the backward pass: about a third slower, far less memory.
        compile: hand every layer to ``torch.compile``: a minute more at first, on a GPU then far less for each step.

    Raises:
        ConfigError: a value makes no sense.
    """

    lr: Positive
    epochs: Count = 1
    max_steps: Count | None = None
    batch_size: Count = 8
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: Natural = 0
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = 1.0
    gradient_checkpointing: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.schedule not in ("linear", "cosine", "constant"):
            raise ConfigError(f"optim.schedule={self.schedule} is unknown; choose linear, cosine or constant")
        least = {"lr": self.lr, "epochs": self.epochs, "max_steps": self.max_steps, "clip_norm": self.clip_norm}
        for name, value in least.items():
            if value is not None and value <= 0:
                raise ConfigError(f"optim.{name}={value} trains nothing; choose a value above 0")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps of the whole run."""
        total = self.max_steps or self.epochs * steps_per_epoch
        if total <= self.warmup_steps:
            log.warning(
                "The warm-up of %d steps is as long as the whole run of %d; lower optim.warmup_steps to reach the "
                "full learning rate.", self.warmup_steps, total,
            )
        return total

    def rate(self, step: int, total: int) -> float:
        """The learning rate of optimizer step ``step`` (from 0) of ``total``.

        The decay is the Hugging Face Trainer's, except that no step has rate 0.
        """
        if step < self.warmup_steps:
            return self.lr * (step + 1) / (self.warmup_steps + 1)
        done = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        decay = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
        return self.lr * decay[self.schedule]
