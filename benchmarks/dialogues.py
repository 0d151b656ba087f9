"""Made-up dialogues for the local engine: three turns of 40 tokens with observations of 60 between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.request import Request

ROUNDS, TURN, OBSERVATION, QUESTION = 3, 40, 60, 40


@dataclass
class Dialogue:
    """Its text so far, and how many turns are still to come."""

    ids: list[int]
    shared: int  # tokens at its beginning that all dialogues have
    left: int = ROUNDS

    def request(self) -> Request:
        """The next turn; it ends when it is long enough, whatever it says."""
        self.left -= 1
        return Request(self.ids, lambda _: False, TURN, shared=self.shared)

    def answered(self, said: list[int], draw: torch.Generator) -> None:
        """What was said and a new observation belong to the text."""
        self.ids = [*self.ids, *said, *_drawn(OBSERVATION, draw)]


def _drawn(count: int, draw: torch.Generator) -> list[int]:
    return torch.randint(2, 400, (count,), generator=draw).tolist()


def dialogues(count: int, shared: int) -> tuple[list[Dialogue], torch.Generator]:
    """So many behind one prompt of ``shared`` tokens, and the generator of their observations."""
    draw = torch.Generator().manual_seed(0)
    prompt = _drawn(shared, draw)
    return [Dialogue([*prompt, *_drawn(QUESTION, draw)], shared) for _ in range(count)], draw


def questions_per_s(model: Any, batch: int, count: int, shared: int) -> float:
    """Of the engine, with ``batch`` dialogues in flight."""
    waiting, draw = dialogues(count, shared)
    engine = Engine(model, batch, shared + QUESTION + ROUNDS * (TURN + OBSERVATION))
    started = time.perf_counter()
    pending: dict[Request, Dialogue] = {}
    while waiting or pending:
        while waiting and len(pending) < batch:
            dialogue = waiting.pop()
            pending[request := dialogue.request()] = dialogue
            engine.submit(request)
        for request in engine.step():
            dialogue = pending.pop(request)
            dialogue.answered(request.generated, draw)
            if dialogue.left:
                waiting.append(dialogue)
    return count / (time.perf_counter() - started)


@torch.inference_mode()
def one_at_a_time(model: Any, count: int, shared: int) -> float:
    """Of transformers' ``generate``, which is given the whole prompt at every round."""
    waiting, draw = dialogues(count, shared)
    started = time.perf_counter()
    for dialogue in waiting:
        while dialogue.left:
            prompt = torch.tensor([dialogue.request().prompt], device=model.device)
            said = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, use_cache=True, eos_token_id=None,
                max_new_tokens=TURN, min_new_tokens=TURN,
            )
            dialogue.answered(said[0, prompt.shape[1] :].tolist(), draw)
    return count / (time.perf_counter() - started)
