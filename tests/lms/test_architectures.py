"""Whatever the architecture, what a dialogue says among others is what its model's own generation says alone."""

from __future__ import annotations

import random

import pytest
import torch

from fireact.lms.huggingface.choice import actor_of
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.request import Request
from fireact.lms.huggingface.trial import Trial, trial
from tests.lms.architectures import CONFIGS, VOCABULARY, WINDOW, alone, built

OFTEN = ("mistral", "gemma2", "gpt_oss", "deepseek_v3", "mamba")
NAMES = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS]
OWN_GENERATION = {"mamba", "jamba", "qwen3_next", "gpt_neo", "phi3_longrope"}
NOT_SHARED = {"deepseek_v3", "diffllama", "nemotron"}
LENGTHS, NEW = (3 * WINDOW, 9, 26), 6
_DRAW = random.Random(7)
BEGINNING = [_DRAW.randrange(1, VOCABULARY) for _ in range(70)]
PROMPTS = [[_DRAW.randrange(1, VOCABULARY) for _ in range(length)] for length in LENGTHS]


def said(actor, prompts, shared=0, temperature=0.0):
    """What an actor says after each of the prompts, given all at once."""
    requests = [
        Request(prompt, lambda _: False, NEW, temperature, torch.Generator().manual_seed(i), shared)
        for i, prompt in enumerate(prompts)
    ]
    for request in requests:
        actor.submit(request)
    while not actor.idle:
        actor.step()
    return [request.generated for request in requests]


@pytest.mark.parametrize("name", NAMES)
def test_dialogues_at_once_say_what_each_says_alone(name):
    own = built(name)
    actor, _ = actor_of(built(name), name, concurrency=3, max_context=256, cache_gib=1.0)
    assert type(actor) is (Generation if name in OWN_GENERATION else Engine)
    if isinstance(actor, Engine):
        assert actor._can_share == (name not in NOT_SHARED)
    expected = [alone(own, prompt, NEW) for prompt in PROMPTS]
    assert said(actor, PROMPTS) == expected
    again = [[*prompt, *words, 5, 6, 7] for prompt, words in zip(PROMPTS, expected, strict=True)]
    assert said(actor, again) == [alone(own, prompt, NEW) for prompt in again]
    after = [[*BEGINNING, *prompt] for prompt in PROMPTS]
    assert said(actor, after, shared=len(BEGINNING)) == [alone(own, prompt, NEW) for prompt in after]
