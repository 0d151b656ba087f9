"""Configurations as the models of the month bring them, at a size that builds in no time."""

from __future__ import annotations

from transformers import AutoConfig, PretrainedConfig

_SMALL = dict(vocab_size=300, hidden_size=64, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2)


def config(kind: str, **changes: object) -> PretrainedConfig:
    """A small one of its kind, with the windows, experts and scalings of its default."""
    return AutoConfig.for_model(kind, **{**_SMALL, **changes})


GEMMA3 = dict(text_config=dict(_SMALL, head_dim=16, num_hidden_layers=6, sliding_window=16),
              vision_config=dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2))


def gemma3() -> PretrainedConfig:
    """One that also sees: its windows stand in ``text_config`` only."""
    return AutoConfig.for_model("gemma3", **GEMMA3)
