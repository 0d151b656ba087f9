"""How many floating-point operations tuning takes, and how fast this machine does bare matrix products."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.nn import functional as F

from fireact.models.weights import device
from fireact.training.rows import Row


@dataclass(frozen=True)
class Frozen:
    """A layer of the decoder that does not learn, with the rank of its adapter (0 for none)."""

    out: int
    width: int
    rank: int
    first: bool  # nothing before it learns, so its input needs no gradient


def frozen_layers(model: nn.Module) -> list[Frozen]:
    """All of them; the output embedding is none."""
    head, layers = model.get_output_embeddings(), []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | LoraLayer) and layer is not head and "lora_" not in name:
            first = ".layers.0.self_attn." in name and "o_proj" not in name
            rank = layer.r["default"] if isinstance(layer, LoraLayer) else 0
            if not name.endswith(".base_layer"):
                layers.append(Frozen(layer.out_features, layer.in_features, rank, first))
    return layers


def matrix_rate(model: nn.Module, tokens: int, dtype: torch.dtype) -> float:
    """Operations a second of x Wᵀ and g W alone, over all frozen layers, for so many tokens at once."""
    shapes = Counter((layer.out, layer.width) for layer in frozen_layers(model))
    seconds = sum(count * _product_seconds(tokens, *shape, dtype) for shape, count in shapes.items())
    return sum(4 * tokens * out * width * count for (out, width), count in shapes.items()) / seconds


def _product_seconds(tokens: int, out: int, width: int, dtype: torch.dtype, times: int = 8) -> float:
    options: Any = dict(dtype=dtype, device=device())
    x, g, weight = (torch.randn(*shape, **options) for shape in ((tokens, width), (tokens, out), (out, width)))
    F.linear(x, weight), g @ weight
    _finish()
    started = time.perf_counter()
    for _ in range(times):
        F.linear(x, weight), g @ weight
    _finish()
    return (time.perf_counter() - started) / times


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def arithmetic(rows: Sequence[Row], model: nn.Module) -> float:
    """Floating-point operations that tuning on ``rows`` once takes; see ``training.py``."""
    tokens, targets = sum(map(len, rows)), sum(int(row.targets[1:].sum()) for row in rows)
    layers = frozen_layers(model)
    frozen = sum((2 if layer.first else 4) * layer.out * layer.width for layer in layers)
    adapters = sum(layer.rank * ((4 if layer.first else 6) * layer.width + 6 * layer.out) for layer in layers)
    config, head = model.config, model.get_output_embeddings().weight.numel()
    width = config.num_hidden_layers * config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    attention = sum(7 * len(row) ** 2 * width for row in rows)  # 2 forward, 5 backward, over the half that is seen
    return tokens * (frozen + adapters) + targets * 4 * head + attention
