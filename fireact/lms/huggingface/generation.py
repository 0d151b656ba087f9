"""transformers' own generation, behind the engine's interface: for every architecture that the engine can't run."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from fireact.lms.huggingface.request import Request

_PAD = 0  # any token: it is never seen


class Generation:
    """``generate`` over ``rows`` waiting requests at once, padded on the left; each stops where it says itself."""

    def __init__(self, model: Any, rows: int) -> None:
        model.generation_config = GenerationConfig()  # a turn is what the request says, whatever the model's file adds
        self._model, self._rows = model, rows
        self._waiting: deque[Request] = deque()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting

    def submit(self, request: Request) -> None:
        """Queue a request; it is generated in one of the next calls of ``step``."""
        self._waiting.append(request)

    @torch.inference_mode()
    def step(self) -> list[Request]:
        """Generate the whole turns of those that have waited longest; returns their requests."""
        requests = [self._waiting.popleft() for _ in range(min(self._rows, len(self._waiting)))]
        width = max(len(request.prompt) for request in requests)
        padding = [width - len(request.prompt) for request in requests]
        ids = [[_PAD] * pad + request.prompt for pad, request in zip(padding, requests, strict=True)]
        seen = [[0] * pad + [1] * (width - pad) for pad in padding]
        self._model.generate(
            input_ids=torch.tensor(ids, device=self._model.device),
            attention_mask=torch.tensor(seen, device=self._model.device),
            generation_config=GenerationConfig(
                max_new_tokens=max(request.max_new_tokens for request in requests), do_sample=False, use_cache=True,
                pad_token_id=_PAD,
            ),
            logits_processor=LogitsProcessorList([_Take(requests)]),
            stopping_criteria=StoppingCriteriaList([_Finished(requests)]),
        )  # fmt: skip
        return requests


class _Take(LogitsProcessor):
    """Leaves each row only the token that its request picks, greedy or sampled."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens = [_PAD if r.finished else r.take(row) for r, row in zip(self._requests, scores, strict=True)]
        only = torch.full_like(scores, -torch.inf)
        only[range(len(tokens)), tokens] = 0.0
        return only


class _Finished(StoppingCriteria):
    """Says of each row whether its request is finished."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.tensor([request.finished for request in self._requests], device=input_ids.device)
