"""How a model of a configuration can act: tried on a toy of it (``probe``) against the model's own forward pass.

The toy's texts are longer than any window, its prompts of different lengths at once, all go on in a second round, and
all or none begin alike. Every logit that a token was picked by must be the one of the model itself.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from fireact.errors import ModelError
from fireact.lms.huggingface.attention import use_parts
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.request import Actor, Request
from fireact.models import probe
from fireact.models.shrunken import VOCABULARY

_SHARED = 70  # tokens of a common beginning
_PROMPTS = (23, 9, 14)  # tokens
_NEW = 6
_LONG = 32  # tokens after which rotary positions are stretched: some texts reach it, some don't
_GAIN = 3.0  # of random weights, so that attention is far from even and a fault in it shows


class Trial:
    """Why each way of acting is off; empty where it gives the model's own numbers. Each is tried when it is asked for.

    Args:
        config: the model's, whose weights are not needed.
        max_context: the longest text that there will be, in tokens; None for any length.
        cache_dir: where verdicts are kept.
    """

    def __init__(self, config: PretrainedConfig, max_context: int | None = None, cache_dir: str | Path = ".cache"):
        self._config, self._cache_dir = copy.deepcopy(config), cache_dir
        for part in (self._config, self._config.get_text_config(decoder=True)):
            _reach_limits(part, max_context)

    @cached_property
    def engine(self) -> str:
        """Ours, continuously batched; each dialogue's whole text in its own slot."""
        return self._why("engine", _engine)

    @cached_property
    def shared(self) -> str:
        """The same, with a beginning that is held once for all dialogues."""
        return self.engine or self._why("engine, shared beginning", _engine_after_a_beginning)

    @cached_property
    def together(self) -> str:
        """transformers' own generation of several padded prompts at once, against the same of one at a time."""
        return self._why("padded generation", _padded)

    def _why(self, name: str, try_it: probe.Trial) -> str:
        return probe.equal(self._config, name, try_it, self._cache_dir).why


def _engine(toy: Any) -> probe.Pairs:
    return _against(toy, lambda: Engine(copy.deepcopy(toy), 2, 128, share=False), _own_logits)


def _engine_after_a_beginning(toy: Any) -> probe.Pairs:
    if not use_parts(copy.deepcopy(toy)):
        raise ModelError("layers bring an attention of their own")
    return _against(toy, lambda: Engine(copy.deepcopy(toy), 2, 128), _own_logits, _SHARED)


def _padded(toy: Any) -> probe.Pairs:
    return _against(toy, lambda: Generation(copy.deepcopy(toy), len(_PROMPTS)), _logits_alone)


@dataclass(eq=False)
class _Watched(Request):
    """A request that remembers the logits it picked by."""

    logits: list[Tensor] = field(default_factory=list)

    def take(self, logits: Tensor) -> int:
        self.logits.append(logits.clone())
        return super().take(logits)


def _against(
    toy: Any, make: Callable[[], Actor], right: Callable[[Any, _Watched], Tensor], shared: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Let an actor say two rounds: the logits it picked by and those that are right, for each turn."""
    _spread(toy)
    actor, draw = make(), random.Random(0)
    beginning = [draw.randrange(1, VOCABULARY) for _ in range(shared)]
    prompts = [beginning + [draw.randrange(1, VOCABULARY) for _ in range(length)] for length in _PROMPTS]
    for _ in range(2):
        requests = _said(actor, prompts, shared)
        yield from ((torch.stack(request.logits), right(toy, request)) for request in requests)
        prompts = [[*request.prompt, *request.generated, 5, 6, 7] for request in requests]


def _said(actor: Actor, prompts: list[list[int]], shared: int = 0) -> list[_Watched]:
    requests = [_Watched(prompt, lambda _: False, _NEW, shared=shared) for prompt in prompts]
    for request in requests:
        actor.submit(request)
    while not actor.idle:
        actor.step()
    return requests


@torch.inference_mode()
def _own_logits(toy: Any, request: _Watched) -> Tensor:
    ids = torch.tensor([[*request.prompt, *request.generated[:-1]]])
    logits: Tensor = toy(input_ids=ids, use_cache=False).logits[0, -len(request.generated) :]
    return logits.float()


def _logits_alone(toy: Any, request: _Watched) -> Tensor:
    [alone] = _said(Generation(toy, 1), [request.prompt])
    return torch.stack(alone.logits)


def _reach_limits(config: Any, max_context: int | None) -> None:
    """Where texts may grow longer than what rotary positions were made for, let the toy's grow so too, in place."""
    rope, key = getattr(config, "rope_parameters", None) or {}, "original_max_position_embeddings"
    of_kinds = [part for part in rope.values() if isinstance(part, dict)]  # one for each kind of layer
    for holder in (rope, *of_kinds):
        limit = holder.get(key) or getattr(config, key, None) or getattr(config, "max_position_embeddings", None)
        if holder.get("rope_type", "default") == "default" or (max_context and limit and max_context <= limit):
            continue
        holder[key] = _LONG
        if hasattr(config, key):
            setattr(config, key, _LONG)
        if holder["rope_type"] == "dynamic":
            config.max_position_embeddings = _LONG


@torch.no_grad()
def _spread(toy: Any) -> None:
    """Give ``toy`` random weights that let every part of it show in its logits."""
    draw = torch.Generator().manual_seed(0)
    for parameter in toy.parameters():
        if parameter.dim() > 1 and parameter.is_floating_point():
            parameter.normal_(0.0, _GAIN * parameter[0].numel() ** -0.5, generator=draw)
