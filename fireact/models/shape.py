"""How large a model is, and what tuning it and acting with it take, from its ``config.json`` alone.

Estimates: against what was measured with Llama-2-7B's shape on an H100 (docs/performance.md), LoRA and QLoRA come out
within 2 %, plain and compiled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIB = 2**30
_TARGETS = 0.55  # of a trajectory's tokens, for which logits are made: HotpotQA's in docs/performance.md
_COMPILED = 0.77  # of the activations stay where layers are compiled: (27.8 - 12.6) / (32.5 - 12.6) GiB, LoRA at 7B
_NF4 = 0.5 + 1 / 16  # bytes a weight: four bits, and a float32 scale for every 64
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_ADAM = 4 * (1 + 1 + 2)  # bytes a trained parameter: itself, its gradient and AdamW's two moments


@dataclass(frozen=True)
class Shape:
    """A decoder with gated feed-forward layers, as Llama, Qwen and SmolLM are; sizes count units, not bytes."""

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_width: int
    tied: bool = False
    experts: int = 0  # a layer, whose weights are fused; 0 where its feed-forward layer is one

    @classmethod
    def of(cls, folder: Path | None) -> Shape | None:
        """The shape of the model in ``folder``; None where its ``config.json`` is missing or tells another kind."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
        except (OSError, ValueError):
            return None
        return cls.of_config(config)

    @classmethod
    def of_config(cls, config: Any) -> Shape | None:
        """The shape of the language model that ``config`` describes; None where it tells another kind."""
        try:
            text = config.get("text_config") or config
            heads, hidden = text["num_attention_heads"], text["hidden_size"]
            experts = next((text[key] for key in _EXPERTS if text.get(key)), 0)
            width = text.get("moe_intermediate_size") if experts else None
            return cls(
                hidden, width or text["intermediate_size"], text["num_hidden_layers"], text["vocab_size"], heads,
                text.get("num_key_value_heads") or heads, text.get("head_dim") or hidden // heads,
                bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings"))), experts,
            )
        except (KeyError, TypeError, AttributeError):
            return None

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear map of a layer, by its usual name."""
        wide, narrow = self.heads * self.head_width, self.kv_heads * self.head_width
        attention = {
            "q_proj": (self.hidden, wide), "k_proj": (self.hidden, narrow), "v_proj": (self.hidden, narrow),
            "o_proj": (wide, self.hidden),
        }  # fmt: skip
        if self.experts:
            return attention
        inwards = (self.hidden, self.intermediate)
        return {**attention, "gate_proj": inwards, "up_proj": inwards, "down_proj": inwards[::-1]}

    @property
    def fused(self) -> int:
        """Weights of fused experts, which quantisation leaves as they are."""
        return self.layers * self.experts * 3 * self.hidden * self.intermediate

    @property
    def in_layers(self) -> int:
        """Weights of the layers' linear maps: those that quantisation makes smaller."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices.values())

    @property
    def outside(self) -> int:
        """All other weights: embeddings, norms and experts."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + self.hidden * (2 * self.layers + 1) + self.fused

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.in_layers + self.outside

    def low_rank(self, r: int, targets: str | Sequence[str]) -> int:
        """The weights of a LoRA of rank ``r`` on those of the ``targets`` that there are; a text stands for all."""
        chosen = [m for name, m in self.matrices.items() if isinstance(targets, str) or name in targets]
        return self.layers * r * sum(rows + columns for rows, columns in chosen)


LLAMA2_7B = Shape(4096, 11_008, 32, 32_000, 32, 32, 128)  # stands in for a model whose shape nobody knows yet


@dataclass(frozen=True)
class Tuning:
    """What of an ``adapter`` and of the backbone's dtype decides how much memory a tuning takes.

    ``width`` is the bytes of a number in arithmetic: 4 in float32, 2 in bfloat16. ``dense`` says that quantised weights
    are kept de-quantised.
    """

    kind: str
    width: int
    quantization: str | None = None
    dense: bool = False
    r: int = 8
    targets: str | Sequence[str] = ("q_proj", "v_proj")

    @classmethod
    def of(cls, adapter: Mapping[str, Any], width: int) -> Tuning:
        """Of an ``adapter`` as it is configured; what it lacks, or has no number for, is as by default."""
        given = {key: adapter[key] for key in ("quantization", "r", "targets") if adapter.get(key) is not None}
        given = {key: value for key, value in given.items() if key != "r" or isinstance(value, int)}
        return cls(adapter["kind"], width, dense=bool(adapter.get("dequantize_once")), **given)

    def trained(self, shape: Shape) -> int:
        """How many parameters learn."""
        return shape.parameters if self.kind == "full" else shape.low_rank(self.r, self.targets)


def weight_bytes(shape: Shape, width: int, quantization: str | None = None) -> int:
    """Bytes of the weights, the embeddings' and experts' always of ``width`` bytes a number."""
    each = {"nf4": _NF4, "int8": 1.0}.get(quantization or "", width)
    return int(shape.in_layers * each) + shape.outside * width


def training_bytes(shape: Shape, tuning: Tuning, micro_batch_tokens: int, compiled: bool = False) -> int:
    """Bytes at the height of an optimizer step: weights, what learns with its moments, activations and logits."""
    full = tuning.kind == "full"
    frozen = 0 if full else weight_bytes(shape, tuning.width, None if tuning.dense else tuning.quantization)
    # Of each layer the backward pass needs some 9 rows of the hidden and 4 of the feed-forward width.
    kept = shape.layers * (9 * shape.hidden + 4 * shape.intermediate) * tuning.width
    logits = _TARGETS * shape.vocabulary * (4 + tuning.width)
    activations = micro_batch_tokens * (kept * (_COMPILED if compiled else 1.0) + logits)
    return int(frozen + tuning.trained(shape) * _ADAM + activations)


def bytes_per_position(shape: Shape, width: int) -> int:
    """Bytes of keys and values that one token of one dialogue takes over all layers."""
    return 2 * shape.layers * shape.kv_heads * shape.head_width * width


def acting_bytes(shape: Shape, width: int, dialogues: int, context: int, cache_gib: float) -> int:
    """Bytes of the weights, as adapters are merged into them, and of the room for keys and values."""
    room = dialogues * (context + 1) * bytes_per_position(shape, width)
    return weight_bytes(shape, width) + min(room, int(cache_gib * GIB))


def checkpoint_bytes(shape: Shape, tuning: Tuning) -> int:
    """Bytes on disk of a tuning: the adapter, and a checkpoint (weights and two moments) while the next is written."""
    return 4 * tuning.trained(shape) * (1 + 2 * 3)
