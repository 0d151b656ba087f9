"""Attention over a row of packed trajectories, within each of them only.

Otherwise transformers keeps them apart by a mask of (T, T), and every token is compared, for nothing, with all the
other trajectories of its pack: at 1,024 tokens a pack, a quarter of a small model's time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from fireact.errors import ConfigError

_NAME = "within_trajectories"


def attend_by_trajectory(model: nn.Module) -> None:
    """Let ``model`` take the mask of ``packed_mask`` if its attention is causal over the whole text, through SDPA."""
    config: Any = model.config.get_text_config(decoder=True)  # a multimodal model says its windows only there
    whole = set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
    whole = whole and getattr(config, "sliding_window", None) is None
    if whole and model.config._attn_implementation == "sdpa" and model._supports_attention_backend:
        model.set_attn_implementation(_NAME)


def packed_mask(model: nn.Module, bounds: torch.Tensor) -> torch.Tensor | None:
    """What to call ``model`` with as ``attention_mask`` for packed trajectories with ``bounds`` (n + 1,) int32.

    The bounds as (1, 1, 1, n + 1), which transformers hands on to every layer because a mask of four dimensions counts
    as made; None for a model that transformers shows the trajectories by their positions.

    Raises:
        ConfigError: nothing would keep the trajectories apart.
    """
    if not model._supports_attention_backend:
        raise ConfigError("this backbone's own attention would let packed trajectories see each other; set "
                          "packing=false")
    return bounds.view(1, 1, 1, -1) if model.config._attn_implementation == _NAME else None


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """(1, heads, T, head_dim) → (1, T, heads, head_dim) under a packed mask; SDPA over (B, …) under any other."""
    if attention_mask is None or attention_mask.dtype != torch.int32:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    bounds = attention_mask.flatten()
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        return _attend_at_once(query, key, value, bounds, **kwargs), None
    lengths = bounds.diff().tolist()
    parts = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    return torch.cat([sdpa_attention_forward(module, *part, None, **kwargs)[0] for part in parts], dim=1), None


def _attend_at_once(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, scaling: float, **_: Any
) -> torch.Tensor:
    """FlashAttention (Dao 2023) over all trajectories, a kernel for the whole pack.

    SDPA for one at a time spends milliseconds of a GPU's host on every length that is new to it.
    """
    group, most = query.shape[1] // key.shape[1], query.shape[2]
    rows = (states[0].transpose(0, 1) for states in (query, repeat_kv(key, group), repeat_kv(value, group)))
    return varlen_attn(*rows, bounds, bounds, most, most, scale=scaling, window_size=(-1, 0))[None]


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
