"""What the tests of training share: rows of random tokens, a LoRA with dropout, a Trainer."""

from __future__ import annotations

import functools
import random

import lightning
import torch

from fireact.models.backbone import Adapter
from fireact.training.rows import Row

LORA = Adapter("lora", "lora", r=4, alpha=8, dropout=0.1, targets="all-linear")
TRAINER = functools.partial(lightning.Trainer, accelerator="cpu", devices=1)


def make_rows(count: int = 12, seed: int = 0) -> list[Row]:
    """Rows of 6 to 24 random tokens, about half of them targets."""
    draw = random.Random(seed)
    lengths = [draw.randint(6, 24) for _ in range(count)]
    return [
        Row(
            question=str(number),
            ids=torch.tensor([draw.randrange(3, 250) for _ in range(length)], dtype=torch.int32),
            targets=torch.tensor([at > 2 and draw.random() < 0.5 for at in range(length)]),
        )
        for number, length in enumerate(lengths)
    ]
