"""Which way a model acts: the fastest of those that a trial shows to give its own numbers."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from typing import Any

import torch

from fireact.errors import ConfigError, ModelError
from fireact.lms.huggingface.cache import bytes_per_token, layout
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.request import Actor
from fireact.lms.huggingface.trial import Trial
from fireact.models.backbone import Backbone

log = logging.getLogger(__name__)


def actor_of(
    model: Any, backbone: Backbone, concurrency: int, max_context: int, cache_gib: float
) -> tuple[Actor, int]:
    """What generates for ``model``, and how many dialogues it may be given at once; says which shortcuts are off.

    Raises:
        ConfigError: ``cache_gib`` does not hold one dialogue of ``max_context`` tokens.
        ModelError: there is no memory for what it does hold.
    """
    ways, name = Trial(model.config, max_context, backbone.cache_dir), backbone.name
    if ways.engine:
        fixed, per_token = _growth(model)
        slots = min(concurrency, _fitting(cache_gib, fixed, per_token, max_context))
        rows = 1 if ways.together else slots
        several = f"one dialogue at a time, since in a batch {ways.together}" if ways.together else "dialogues padded"
        _say(f"backbone {name} acts through transformers' own generation, {several}: in the local engine {ways.engine}")
        return Generation(model, rows), slots
    if ways.shared:
        _say(f"backbone {name} acts without holding a few-shot prompt once for all dialogues: there {ways.shared}")
    slots = min(concurrency, _fitting(cache_gib, 0, bytes_per_token(layout(model), model.dtype), max_context))
    try:
        return Engine(model, slots, max_context, share=not ways.shared), slots
    except (RuntimeError, OSError) as error:  # torch on a GPU, the system on a CPU
        raise ModelError(f"there is no memory for lm.cache_gib={cache_gib} of keys and values beside the model; "
                         "lower it") from error


@functools.cache
def _say(line: str) -> None:
    """Once: a sweep makes a model for every cell."""
    log.warning(line)


def _fitting(cache_gib: float, fixed: int, per_token: int, max_context: int) -> int:
    """How many dialogues of ``max_context`` tokens fit, each of so many bytes."""
    per_dialogue = fixed + per_token * (max_context + 1)
    slots = int(cache_gib * 2**30 // per_dialogue)
    if slots < 1:
        raise ConfigError(f"lm.cache_gib={cache_gib} does not hold one dialogue of lm.max_context={max_context} tokens "
                          f"({per_dialogue / 2**30:.2f} GiB); raise the one or lower the other")
    return slots


@torch.inference_mode()
def _growth(model: Any) -> tuple[int, int]:
    """Bytes that the model's own cache takes for one dialogue whatever its length, and for every token of it."""
    sizes = []
    for tokens in (1, 2):
        output = model(input_ids=torch.zeros(1, tokens, dtype=torch.long, device=model.device), use_cache=True)
        parts = [part for name, part in output.items() if name != "logits"]
        sizes.append(sum(tensor.nbytes for tensor in _tensors(parts, set())))
    per_token = max(1, sizes[1] - sizes[0])
    return max(0, sizes[0] - per_token), per_token


def _tensors(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """Every tensor in a cache, once, whatever the cache is made of."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    held = value if isinstance(value, list | tuple | dict) else getattr(value, "__dict__", {})
    for part in held.values() if isinstance(held, dict) else held:
        yield from _tensors(part, seen)
