"""How a model of a configuration can act: tried out on a toy of it, against the model's own forward pass.

The toy has the same classes and kinds of layers with random weights, in float32 on the CPU. Its texts are longer than
any window, its prompts of different lengths at once, some go on in a second round, and all or none begin alike. Every
logit that a token was picked by must be the one that the toy's own forward pass over that text alone gives, within
``TOLERANCE`` of the logits' spread: rounding stays below a tenth of that, and faults were above it tenfold.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from fireact.errors import FireActError
from fireact.lms.huggingface.attention import use_parts
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.request import Actor, Request
from fireact.models.shrunken import VOCABULARY, shrunken

TOLERANCE = 3e-4  # of the logits' standard deviation
_SHARED = 70  # tokens of a common beginning
_PROMPTS = (23, 9, 14)  # tokens
_NEW = 6
_LONG = 32  # tokens after which rotary positions are stretched: some texts reach it, some don't
_GAIN = 3.0  # of random weights, so that attention is far from even and a fault in it shows


@dataclass(eq=False)
class _Watched(Request):
    """A request that remembers the logits it picked by."""

    logits: list[torch.Tensor] = field(default_factory=list)

    def take(self, logits: torch.Tensor) -> int:
        self.logits.append(logits.clone())
        return super().take(logits)


Reference = Callable[[_Watched], torch.Tensor]


class Trial:
    """Why each way of acting is off; empty where it gives the model's own numbers. Each is tried when it is asked for.

    Args:
        config: the model's, whose weights are not needed.
        max_context: the longest text that there will be, in tokens; None for any length.
    """

    def __init__(self, config: PretrainedConfig, max_context: int | None = None) -> None:
        self._config = copy.deepcopy(config)
        for part in (self._config, self._config.get_text_config(decoder=True)):
            _reach_limits(part, max_context)

    @cached_property
    def engine(self) -> str:
        """Ours, continuously batched; each dialogue's whole text in its own slot."""
        return self._compared(lambda: Engine(self._toy(), 2, 128, share=False), self._own_logits)

    @cached_property
    def shared(self) -> str:
        """The same, with a beginning that is held once for all dialogues."""
        if self.engine:
            return self.engine
        if not use_parts(self._toy()):
            return "layers bring an attention of their own"
        return self._compared(lambda: Engine(self._toy(), 2, 128), self._own_logits, _SHARED)

    @cached_property
    def together(self) -> str:
        """transformers' own generation of several padded prompts at once, against the same of one at a time."""
        return self._compared(lambda: Generation(self._toy(), len(_PROMPTS)), self._alone)

    def _toy(self) -> PreTrainedModel:
        model = shrunken(self._config)
        _spread(model)
        return model

    @cached_property
    def _own(self) -> Any:
        return self._toy()

    def _compared(self, make: Callable[[], Actor], reference: Reference, shared: int = 0) -> str:
        """Let an actor say two rounds; empty where its logits are those of the reference, else what went wrong."""
        draw = random.Random(0)
        beginning = [draw.randrange(1, VOCABULARY) for _ in range(shared)]
        prompts = [beginning + [draw.randrange(1, VOCABULARY) for _ in range(length)] for length in _PROMPTS]
        try:
            actor = make()
            first = _said(actor, prompts, shared)
            again = [[*request.prompt, *request.generated, 5, 6, 7] for request in first]
            said = [*first, *_said(actor, again, shared)]
            worst = float(torch.stack([_distance(reference, request) for request in said]).max())
        except FireActError as error:
            return str(error)
        except Exception as error:  # whatever an architecture that we don't know raises
            return f"there was {type(error).__name__} ({(str(error).splitlines() or [''])[0]})"
        return "" if worst <= TOLERANCE else f"logits are off by {worst:.2g} of their spread"

    @torch.inference_mode()
    def _own_logits(self, request: _Watched) -> torch.Tensor:
        ids = torch.tensor([[*request.prompt, *request.generated[:-1]]])
        logits: torch.Tensor = self._own(input_ids=ids, use_cache=False).logits[0, -len(request.generated) :]
        return logits.float()

    def _alone(self, request: _Watched) -> torch.Tensor:
        [alone] = _said(Generation(self._own, 1), [request.prompt], 0)
        return torch.stack(alone.logits)


_trials: dict[tuple[str, str, int | None], Trial] = {}


def trial(config: PretrainedConfig, max_context: int | None = None) -> Trial:
    """The ``Trial`` of a configuration, remembered for the rest of the process."""
    key = (config.to_json_string(use_diff=False), str(config._attn_implementation), max_context)
    if key not in _trials:
        _trials[key] = Trial(config, max_context)
    return _trials[key]


def _reach_limits(config: Any, max_context: int | None) -> None:
    """Where texts may grow longer than what rotary positions were made for, let the toy's grow so too, in place."""
    rope = getattr(config, "rope_parameters", None) or {}
    of_kinds = [part for part in rope.values() if isinstance(part, dict)]  # one for each kind of layer
    for holder in (rope, *of_kinds):
        key = "original_max_position_embeddings"
        limit = holder.get(key) or getattr(config, key, None) or getattr(config, "max_position_embeddings", None)
        if holder.get("rope_type", "default") == "default" or (max_context and limit and max_context <= limit):
            continue
        holder[key] = _LONG
        if hasattr(config, key):
            setattr(config, key, _LONG)
        if holder["rope_type"] == "dynamic":
            config.max_position_embeddings = _LONG


def _said(actor: Actor, prompts: Sequence[list[int]], shared: int) -> list[_Watched]:
    requests = [_Watched(prompt, lambda _: False, _NEW, shared=shared) for prompt in prompts]
    for request in requests:
        actor.submit(request)
    while not actor.idle:
        actor.step()
    return requests


def _distance(reference: Reference, request: _Watched) -> torch.Tensor:
    """The largest difference between what a request picked by and the reference's logits, by their spread."""
    logits = reference(request)
    return (torch.stack(request.logits) - logits).abs().max() / logits.std()


@torch.no_grad()
def _spread(model: PreTrainedModel) -> None:
    """Random weights of ``model`` that let every part of it show in its logits."""
    draw = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1 and parameter.is_floating_point():
            parameter.normal_(0.0, _GAIN * parameter[0].numel() ** -0.5, generator=draw)
