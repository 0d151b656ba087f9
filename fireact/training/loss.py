"""The cross-entropy of a large vocabulary without a second or third matrix of its size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_ROWS = {"cpu": 16, "cuda": 1024}  # at a time: 16 of 49,152 float32 are 3 MiB, which a processor's cache holds


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """``cross_entropy(logits, labels, reduction="sum")`` for one backward pass; ``logits`` is overwritten.

    The gradient with respect to logits (N, V), softmax less the one-hot label, takes their place in memory as soon as
    the loss is known; autograd's own way keeps the log-probabilities and makes two more such matrices.
    """
    loss: Tensor = _SummedCrossEntropy.apply(logits, labels)
    return loss


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        loss = logits.new_zeros(())
        at_once = _ROWS[logits.device.type]
        for rows, label in zip(logits.split(at_once), labels.unsqueeze(1).split(at_once), strict=True):
            log_probabilities = rows.log_softmax(dim=1)
            loss -= log_probabilities.gather(1, label).sum()
            torch.exp(log_probabilities, out=rows)
            rows.scatter_add_(1, label, torch.full_like(label, -1, dtype=rows.dtype))
        ctx.gradient = logits
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient.mul_(outer), None
