"""What each layer of a decoder sees of the text before a token: all of it, or a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers.cache_utils import get_layer_types_and_kwargs

from fireact.errors import ModelError

_FULL, _SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class Pattern:
    """The kind of every layer, and how many tokens back a kind sees, itself included; None is all of them."""

    kinds: tuple[str, ...]
    windows: Mapping[str, int | None]

    @classmethod
    def of(cls, config: Any) -> Pattern:
        """As transformers reads the configuration of a model.

        Raises:
            ModelError: a layer does something else than attend to the text or to a window of it.
        """
        kinds, options = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
        if others := sorted({*kinds} - {_FULL, _SLIDING}):
            raise ModelError(f"there are layers of {' and '.join(others)}")
        windows = {kind: some.get("sliding_window") for kind, some in zip(kinds, options, strict=True)}
        return cls(tuple(kinds), windows)
