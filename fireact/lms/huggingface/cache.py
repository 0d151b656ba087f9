"""Keys and values of many dialogues: of what they all begin with once, of each one's own in a slot, between rounds."""

from __future__ import annotations

import math
import mmap
from typing import Any

import torch


class SlotCache:
    """What a decoder of transformers calls as ``past_key_values``, addressed by slot and place in it.

    Keys and values are kept per layer as (slots, kv_heads, max_context + 1, head_dim); on a CPU, places that were never
    written take no memory. Every row of a forward pass names the slot and the places it writes; a query at place p sees
    exactly the places 0…p of its slot. So ragged rows need no padding in the cache, and whatever lies beyond a slot's
    length is never seen; the last place takes what would lie beyond the cache.

    A beginning that many dialogues share is kept apart, as (1, kv_heads, P, head_dim), and seen besides (``attend``)
    by the rows of those slots that go on after it: their place 0 is then position P.
    """

    def __init__(self, config: Any, slots: int, max_context: int, dtype: torch.dtype, device: torch.device) -> None:
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape, layers = (slots, config.num_key_value_heads, max_context + 1, width), range(config.num_hidden_layers)
        self._last = max_context
        self._keys = [_zeros(shape, dtype, device) for _ in layers]
        self._values = [_zeros(shape, dtype, device) for _ in layers]
        self._shared: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._rows: torch.Tensor | slice | None = None
        self._index: tuple[torch.Tensor, torch.Tensor]
        self._length = 0

    @staticmethod
    def bytes_per_token(config: Any, dtype: torch.dtype) -> int:
        """Bytes that one position of one slot takes over all layers."""
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return 2 * config.num_hidden_layers * config.num_key_value_heads * width * dtype.itemsize

    def aim(self, rows: list[int], places: torch.Tensor) -> torch.Tensor:
        """Direct the next forward pass at ``rows`` (B slots) and ``places`` (B, Q); its mask is (B, 1, Q, L)."""
        places = places.clamp(max=self._last)
        self._length = int(places.max()) + 1
        slots = torch.tensor(rows, device=places.device)
        # A run of slots from 0 is read in place; anything else has to be gathered.
        self._rows = slice(0, len(rows)) if rows == list(range(len(rows))) else slots
        self._index = (slots.unsqueeze(1), places)
        seen = torch.arange(self._length, device=places.device) <= places.unsqueeze(-1)
        return seen.unsqueeze(1)

    def aim_at_shared(self) -> None:
        """Make what the next forward pass, one causal row, writes the beginning that ``shared`` returns."""
        self._rows, self._shared = None, []

    def shared(self, layer_idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (1, kv_heads, P, head_dim) of the beginning."""
        return self._shared[layer_idx]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values (B, kv_heads, Q, head_dim) where ``aim`` said; returns all of the rows' (…, L, …)."""
        if self._rows is None:
            self._shared.append((keys, values))
            return keys, values
        slots, places = self._index
        self._keys[layer_idx][slots, :, places] = keys.transpose(1, 2)
        self._values[layer_idx][slots, :, places] = values.transpose(1, 2)
        seen = (self._rows, slice(None), slice(0, self._length))
        return self._keys[layer_idx][seen], self._values[layer_idx][seen]

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot ``target`` the first ``length`` places of slot ``source``."""
        for tensor in (*self._keys, *self._values):
            tensor[target, :, :length] = tensor[source, :, :length]

    def swap(self, a: int, b: int, length: int) -> None:
        """Exchange the first ``length`` places of two slots."""
        for tensor in (*self._keys, *self._values):
            tensor[[a, b], :, :length] = tensor[[b, a], :, :length]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    # fresh pages of the system's are zero, and there only once they are written; torch would write them all
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=dtype).view(shape)
