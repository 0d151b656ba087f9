"""Attention over a beginning that all rows share, held once, and each row's own keys and values after it.

Both parts are weighed apart and then joined by what their softmaxes were divided by (the "online" softmax of Milakov
and Gimelshein 2018), so the shared part is read once a step instead of once a row: at a few-shot prompt's length that
is most of what a step of a small model reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "shared_beginning"
_SCORES = 2**20  # numbers at a time, so that they stay in a processor's cache between two passes


class Part(NamedTuple):
    """Attention over some of the keys: exp(score - highest) @ values, (…, N, head_dim), and what makes it a mean."""

    weighed: Tensor
    highest: Tensor  # (…, N, 1)
    total: Tensor  # (…, N, 1): of exp(score - highest)


def can_share(model: Any) -> bool:
    """Let ``model`` take the keyword ``shared`` of ``attend``; whether it can."""
    if not model._supports_attention_backend or model.config._attn_implementation not in ("sdpa", _NAME):
        return False
    model.set_attn_implementation(_NAME)
    return True


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    shared: Any = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (B, heads, Q, head_dim) over (B, kv_heads, L, head_dim) → (B, Q, heads, …).

    ``shared`` is the cache that holds keys and values (1, kv_heads, P, head_dim), all of them seen by every query;
    the mask (B, 1, Q, L) is for the rows' own.
    """
    if shared is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    assert attention_mask is not None and scaling is not None and module.layer_idx is not None
    (rows, heads, length, width), kv_heads = query.shape, key.shape[1]
    group = heads // kv_heads  # query heads that read the same keys, side by side as if they were so many queries
    grouped = (query * scaling).reshape(rows, kv_heads, group * length, width)
    own = _part(grouped, key, value, attention_mask.repeat(1, 1, group, 1))
    beginning = _beginning(grouped, *shared.shared(module.layer_idx))
    out = _joined(own, beginning).to(value.dtype).view(rows, kv_heads, group, length, width)
    return out.permute(0, 3, 1, 2, 4).reshape(rows, length, heads, width), None


def _part(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None) -> Part:
    scores = (query @ key.transpose(-1, -2)).float()
    if seen is not None:
        scores.masked_fill_(~seen, -torch.inf)
    highest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(highest).exp_()
    return Part((weights.to(value.dtype) @ value).float(), highest, weights.sum(-1, keepdim=True))


def _beginning(query: Tensor, key: Tensor, value: Tensor) -> Part:
    """All rows' queries (B, kv_heads, N, head_dim) over the shared keys, as one row of them."""
    rows, kv_heads, queries, width = query.shape
    together = query.transpose(0, 1).reshape(1, kv_heads, rows * queries, width)
    at_once = max(1, _SCORES // (kv_heads * key.shape[2]))
    parts = [_part(some, key, value) for some in together.split(at_once, dim=2)]
    joined = (torch.cat(tensors, dim=2) for tensors in zip(*parts, strict=True))
    return Part(*(tensor.view(kv_heads, rows, queries, -1).transpose(0, 1) for tensor in joined))


def _joined(a: Part, b: Part) -> Tensor:
    highest = torch.maximum(a.highest, b.highest)
    of_a, of_b = (a.highest - highest).exp(), (b.highest - highest).exp()
    return (a.weighed * of_a + b.weighed * of_b) / (a.total * of_a + b.total * of_b)


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
