"""Keys and values of many dialogues: of what they all begin with once, of each one's own in a slot, between rounds."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from transformers import DynamicCache

from fireact.lms.huggingface.patterns import Pattern


class KeysValues(NamedTuple):
    """What one layer keeps of one token: keys (heads, key_width) and values (heads, value_width)."""

    heads: int
    key_width: int
    value_width: int


Masks: TypeAlias = torch.Tensor | dict[str, torch.Tensor]  # the latter by kind of layer


@torch.inference_mode()
def layout(model: Any) -> list[KeysValues]:
    """What each layer of ``model`` keeps of a token, by feeding it one."""
    cache = DynamicCache()
    model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), past_key_values=cache, use_cache=True)
    return [KeysValues(of.keys.shape[1], of.keys.shape[-1], of.values.shape[-1]) for of in cache.layers]


def bytes_per_token(layout: Sequence[KeysValues], dtype: torch.dtype) -> int:
    """Bytes that one position of one slot takes over all layers."""
    return dtype.itemsize * sum(of.heads * (of.key_width + of.value_width) for of in layout)


class SlotCache:
    """What a decoder of transformers calls as ``past_key_values``, addressed by slot and place in it.

    Keys and values are kept per layer as (slots, kv_heads, max_context + 1, width); on a CPU, places that were never
    written take no memory. Every row of a forward pass names the slot and the places it writes; a query at place p sees
    the places 0…p of its slot, or the last of them where the layer has a window. So ragged rows need no padding in the
    cache, and whatever lies beyond a slot's length is never seen; the last place takes what would lie beyond the cache.

    A beginning that many dialogues share is kept apart, as (1, kv_heads, P, width), and seen besides (``attend``)
    by the rows of those slots that go on after it: their place 0 is then position P.
    """

    def __init__(
        self, layout: Sequence[KeysValues], pattern: Pattern, slots: int, max_context: int, dtype: torch.dtype,
        device: torch.device,
    ) -> None:  # fmt: skip
        self._last, self._pattern = max_context, pattern
        shapes = [(slots, of.heads, max_context + 1) for of in layout]
        self._keys = [_zeros((*shape, of.key_width), dtype, device) for shape, of in zip(shapes, layout, strict=True)]
        self._values = [_zeros((*shape, of.value_width), dtype, device)
                        for shape, of in zip(shapes, layout, strict=True)]  # fmt: skip
        self._shared: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._beginning = 0  # tokens of it
        self._rows: torch.Tensor | slice | None = None
        self._index: tuple[torch.Tensor, torch.Tensor]
        self._length = 0

    def aim(self, rows: list[int], places: torch.Tensor) -> Masks:
        """Direct the next forward pass at ``rows`` (B slots) and ``places`` (B, Q); its masks are (B, 1, Q, L)."""
        places = places.clamp(max=self._last)
        self._length = int(places.max()) + 1
        slots = torch.tensor(rows, device=places.device)
        # A run of slots from 0 is read in place; anything else has to be gathered.
        self._rows = slice(0, len(rows)) if rows == list(range(len(rows))) else slots
        self._index = (slots.unsqueeze(1), places)
        return self._masks(places)

    def aim_at_shared(self, length: int) -> Masks:
        """Make what the next forward pass, one row of ``length``, writes the beginning that ``shared`` returns."""
        self._rows, self._shared, self._beginning, self._length = None, [], length, length
        device = self._keys[0].device
        return self._masks(torch.arange(length, device=device).unsqueeze(0))

    def shared(self, layer_idx: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Keys and values (1, kv_heads, P, width) of the beginning, and which of them each query sees, (B, 1, Q, P).

        None is all; of a layer with a window, only those are returned that any query can see.
        """
        keys, values = self._shared[layer_idx]
        if (window := self._pattern.windows[self._pattern.kinds[layer_idx]]) is None:
            return keys, values, None
        keys, values = keys[:, :, -window:], values[:, :, -window:]
        positions = torch.arange(self._beginning - keys.shape[2], self._beginning, device=keys.device)
        seen = positions > self._index[1].unsqueeze(-1) + self._beginning - window
        return keys, values, seen.unsqueeze(1)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values (B, kv_heads, Q, width) where ``aim`` said; returns all of the rows' (…, L, …)."""
        if self._rows is None:
            self._shared.append((keys, values))
            return keys, values
        slots, places = self._index
        self._keys[layer_idx][slots, :, places] = keys.transpose(1, 2)
        self._values[layer_idx][slots, :, places] = values.transpose(1, 2)
        seen = (self._rows, slice(None), slice(0, self._length))
        return self._keys[layer_idx][seen], self._values[layer_idx][seen]

    def get_seq_length(self, *_: Any) -> int:
        """Nothing that all rows have in common: positions are given with every pass."""
        return 0

    def _masks(self, places: torch.Tensor) -> Masks:
        """What a query at each of ``places`` (B, Q) sees of its slot, by kind of layer if there are several."""
        keys, queries = torch.arange(self._length, device=places.device), places.unsqueeze(-1)
        full = (keys <= queries).unsqueeze(1)
        masks = {kind: full if window is None else full & (keys > queries - window).unsqueeze(1)
                 for kind, window in self._pattern.windows.items()}  # fmt: skip
        return masks if len(masks) > 1 else next(iter(masks.values()))

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
