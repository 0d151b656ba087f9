"""The contenders of rollout.py, each run as ``python benchmarks/actors.py NAME OVERRIDE …`` (of evaluate.py)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import torch

from benchmarks.turns import Facts, Seat
from fireact import cli
from fireact.agent.rollout import Rollout
from fireact.lms.huggingface import HuggingFace, room
from fireact.lms.huggingface.request import Request
from fireact.models.adapters import load_for_acting
from fireact.models.backbone import Backbone
from fireact.trajectories.dialogue import STOP
from fireact.trajectories.records import Question, Trajectory


class OneAtATime(HuggingFace):
    """The paper's way of acting: one question at a time, and transformers' own generation, until the stop string, from
    the whole prompt at every round."""

    def __init__(self, backbone: Backbone, adapter: str | None = None, **kwargs: Any) -> None:
        super().__init__(backbone, adapter, **kwargs)
        self.concurrency, self._model = 1, load_for_acting(backbone, adapter)

    async def _generate(self, request: Request) -> None:
        prompt = torch.tensor([request.prompt])
        said = self._model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, use_cache=True, tokenizer=self._tokenizer,
            max_new_tokens=request.max_new_tokens, stop_strings=[STOP], temperature=None, top_p=None, top_k=None,
        )[0, prompt.shape[1] :].tolist()
        ends = (end for end in range(1, len(said)) if request.stop(said[:end]))
        request.generated = said[: next(ends, len(said))]  # the stop string comes a few tokens after the turn's end


def cache_bytes(lm: HuggingFace) -> int:
    """What the engine's keys and values take, those of a shared beginning included."""
    cache = lm._actor._cache
    shared = (tensor for pair in cache._shared for tensor in pair)
    return sum(tensor.nbytes for tensor in (*cache._keys, *cache._values, *shared))


def act(lm: HuggingFace, cfg: cli.Config, questions: list[Question]) -> list[Trajectory]:
    """All questions acted out, in the order in which they finish."""
    rollout = Rollout(cli.build(cfg.method), lm, cli.build(cfg.search), cli.build(cfg.task).score, {})

    async def run() -> list[Trajectory]:
        trajectories = [trajectory async for trajectory in rollout.run(questions)]
        await lm.aclose()
        return trajectories

    return asyncio.run(run())


def said(trajectory: Trajectory) -> Facts:
    """Everything the model said to one question."""
    return {trajectory.question.id: [[step.thought, step.action, step.argument] for step in trajectory.steps]}


def main(name: str, *overrides: str) -> None:
    baseline = [f"lm._target_={__name__}.OneAtATime"] if name == "theirs" else []
    seat, cfg = Seat(), cli.compose("evaluate", [*overrides, *baseline])
    lm, questions = cli.build(cfg.lm), cli.build(cfg.task).questions()
    seat.ready()
    trajectories = act(lm, cfg, questions)
    texts = {id: words for trajectory in trajectories for id, words in said(trajectory).items()}
    bound = (cfg.lm.cache_gib or room(torch.device("cpu"))) * 2**30
    seat.done(texts=texts, cache=cache_bytes(lm), bound=bound)
    seat.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
