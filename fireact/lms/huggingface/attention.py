"""Attention over a beginning that all rows share, held once, and each row's own keys and values after it.

Both parts are weighed apart and then joined by what their softmaxes were divided by (the "online" softmax of Milakov
and Gimelshein 2018), so the shared part is read once a step instead of once a row: at a few-shot prompt's length that
is most of what a step of a small model reads. A sink (gpt-oss) is one more part, which has weight and no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from fireact.errors import ModelError

_NAME = "shared_beginning"
_SCORES = 2**20  # numbers at a time, so that they stay in a processor's cache between two passes


class Beginning(Protocol):
    """Where the layers find what all rows share."""

    def shared(self, layer_idx: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values (1, kv_heads, P, head_dim), and which of them each query sees, (B, 1, Q, P); None is all."""
        ...


# Not a keyword of the model's: some layers swallow those that they don't know.
_beginning: ContextVar[Beginning | None] = ContextVar("beginning", default=None)


class Part(NamedTuple):
    """Attention over some of the keys: exp(score - highest) @ values, (…, N, head_dim), and what makes it a mean."""

    weighed: Tensor
    highest: Tensor  # (…, N, 1)
    total: Tensor  # (…, N, 1): of exp(score - highest)


def use_parts(model: Any) -> bool:
    """Let ``model`` attend by ``attend``; whether its layers ask for such functions at all."""
    if not model._supports_attention_backend or model.config._attn_implementation not in ("sdpa", "eager", _NAME):
        return False
    model.set_attn_implementation(_NAME)
    return True


@contextmanager
def after(beginning: Beginning | None) -> Iterator[None]:
    """Within this block, rows go on after ``beginning``, if there is one."""
    token = _beginning.set(beginning)
    try:
        yield
    finally:
        _beginning.reset(token)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (B, heads, Q, head_dim) over (B, kv_heads, L, head_dim) → (B, Q, heads, …).

    The mask (B, 1, Q, L) is for the rows' own keys.

    Args:
        softcap: what scores are bent to stay below (Gemma 2).
        s_aux: the sink of each head, (heads,): a score that counts in the softmax and has no value (gpt-oss).

    Raises:
        ModelError: what is shared is not what the layer attends to.
    """
    beginning = _beginning.get()
    if beginning is None and softcap is None and s_aux is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    assert attention_mask is not None and scaling is not None and module.layer_idx is not None
    (rows, heads, length, width), kv_heads = query.shape, key.shape[1]
    group = heads // kv_heads  # query heads that read the same keys, side by side as if they were so many queries
    grouped = (query * scaling).reshape(rows, kv_heads, group * length, width)
    parts = [_part(grouped, key, value, softcap, attention_mask.repeat(1, 1, group, 1))]
    if beginning is not None:
        shared_key, shared_value, seen = beginning.shared(module.layer_idx)
        if shared_key.shape[1:4:2] != key.shape[1:4:2]:  # latents (MLA), which layers expand after reading them
            raise ModelError("layers attend to something else than what they keep of a token")
        seen = None if seen is None else seen.repeat(1, 1, group, 1)
        parts.append(_over_all_rows(grouped, shared_key, shared_value, softcap, seen))
    if s_aux is not None:
        sink = s_aux.float().reshape(1, kv_heads, group, 1, 1).expand(rows, -1, -1, length, -1)
        sink = sink.reshape(rows, kv_heads, group * length, 1)
        parts.append(Part(torch.zeros_like(sink), sink, torch.ones_like(sink)))
    out = _joined(parts).to(value.dtype).reshape(rows, kv_heads, group, length, value.shape[-1])
    return out.permute(0, 3, 1, 2, 4).reshape(rows, length, heads, -1).contiguous(), None


def _part(query: Tensor, key: Tensor, value: Tensor, softcap: float | None, seen: Tensor | None) -> Part:
    scores = (query @ key.transpose(-1, -2)).float()
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if seen is not None:
        scores.masked_fill_(~seen, -torch.inf)
    highest = scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)  # finite where nothing is seen
    weights = scores.sub_(highest).exp_()
    return Part((weights.to(value.dtype) @ value).float(), highest, weights.sum(-1, keepdim=True))


def _over_all_rows(query: Tensor, key: Tensor, value: Tensor, softcap: float | None, seen: Tensor | None) -> Part:
    """All rows' queries (B, kv_heads, N, head_dim) over the shared keys, as one row of them."""
    rows, kv_heads, queries, width = query.shape
    together = query.transpose(0, 1).reshape(1, kv_heads, rows * queries, width)
    at_once = max(1, _SCORES // (kv_heads * key.shape[2]))
    some = together.split(at_once, dim=2)
    if seen is None:
        parts = [_part(queries, key, value, softcap, None) for queries in some]
    else:
        masks = seen.reshape(1, 1, rows * queries, -1).split(at_once, dim=2)
        parts = [_part(queries, key, value, softcap, mask) for queries, mask in zip(some, masks, strict=True)]
    joined = (torch.cat(tensors, dim=2) for tensors in zip(*parts, strict=True))
    return Part(*(tensor.reshape(kv_heads, rows, queries, -1).transpose(0, 1) for tensor in joined))


def _joined(parts: list[Part]) -> Tensor:
    highest = parts[0].highest
    for part in parts[1:]:
        highest = torch.maximum(highest, part.highest)
    scales = [(part.highest - highest).exp() for part in parts]
    weighed = sum(part.weighed * scale for part, scale in zip(parts, scales, strict=True))
    total = sum(part.total * scale for part, scale in zip(parts, scales, strict=True))
    return weighed / total


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
