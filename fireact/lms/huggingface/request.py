"""One turn that a model is asked for, and what takes such requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch

from fireact.lms.huggingface.lookup import Lookup


@dataclass(eq=False)
class Request:
    """One turn to generate. ``stop`` is asked after every token; a sampled request brings its own generator.

    The first ``shared`` tokens of the prompt are those of many other prompts too.
    """

    prompt: list[int]
    stop: Callable[[list[int]], bool]
    max_new_tokens: int
    temperature: float = 0.0
    generator: torch.Generator | None = None
    shared: int = 0
    generated: list[int] = field(default_factory=list)
    slot: int = -1
    lookup: Lookup = field(default_factory=Lookup)

    def take(self, logits: torch.Tensor) -> int:
        """Pick the next token by its logits (V,) and append it to ``generated``."""
        if self.temperature == 0:
            token = int(logits.argmax())
        else:
            weights = torch.softmax(logits / self.temperature, dim=-1).cpu()
            token = int(torch.multinomial(weights, 1, generator=self.generator))
        self.generated.append(token)
        return token

    @property
    def finished(self) -> bool:
        """Whether the turn is over, by its length or by what ``stop`` says."""
        long = len(self.generated) >= self.max_new_tokens
        return long or (bool(self.generated) and self.stop(self.generated))


class Actor(Protocol):
    """What generates: the engine, or transformers' own generation."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        ...

    def submit(self, request: Request) -> None:
        """Queue a request."""
        ...

    def step(self) -> list[Request]:
        """Go on with those that are to be generated; returns the requests that this finished."""
        ...
