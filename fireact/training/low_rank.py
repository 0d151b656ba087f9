"""LoRA's layers with one pass over memory where PEFT's make several."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class LowRankLinear(Linear):
    """A layer of PEFT's that computes x Wᵀ + s (x Aᵀ) Bᵀ and its gradients by adding onto the frozen layer's product.

    PEFT's own writes the low-rank product, scales it and adds it, and its gradient likewise.
    """

    @classmethod
    def adopt(cls, layer: Linear) -> None:
        """Make ``layer`` one of these, in place."""
        layer.__class__ = cls

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        a, b, frozen = self.lora_A["default"].weight, self.lora_B["default"].weight, self.base_layer
        mixed = torch.is_autocast_enabled(x.device.type) or not x.dtype == a.dtype == frozen.weight.dtype
        if mixed or self.disable_adapters or self.merged:
            unfused: Tensor = super().forward(x, *args, **kwargs)
            return unfused
        product: Tensor = _Product.apply(x, frozen.weight, frozen.bias, a, b, self.scaling["default"])
        return product


class _Product(torch.autograd.Function):
    """x (…, in), W (out, in), A (r, in), B (out, r) → (…, out); W and its bias get no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        rows = x.flatten(0, -2)
        low = rows @ a.T
        ctx.save_for_backward(x, low, weight, a, b)
        ctx.scale = scale
        product = F.linear(rows, weight, bias).addmm_(low, b.T, alpha=scale)
        return product.view(*x.shape[:-1], weight.shape[0])  # -1 would mean nothing where there are no rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        x, low, weight, a, b = ctx.saved_tensors
        rows, outer = x.flatten(0, -2), gradient.flatten(0, -2)
        outer_low = (outer @ b).mul_(ctx.scale)
        of_x = (outer @ weight).addmm_(outer_low, a).view_as(x) if ctx.needs_input_grad[0] else None
        return of_x, None, None, outer_low.T @ rows, (outer.T @ low).mul_(ctx.scale), None


def fuse_low_rank(model: nn.Module) -> None:
    """Make LoRA layers on a CPU ``LowRankLinear``, except those with dropout or over quantised weights."""
    for layer in model.modules():
        if type(layer) is Linear and type(layer.base_layer) is nn.Linear:
            dropout = layer.lora_dropout["default"]
            if isinstance(dropout, nn.Identity) and layer.base_layer.weight.device.type == "cpu":
                LowRankLinear.adopt(layer)
