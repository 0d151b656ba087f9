"""Whatever the architecture, what a dialogue says among others is what its model's own generation says alone."""

from __future__ import annotations

import random

import pytest
import torch

from fireact.errors import ConfigError
from fireact.lms.huggingface import attention
from fireact.lms.huggingface.choice import _say, actor_of
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.head import Head
from fireact.lms.huggingface.patterns import Pattern
from fireact.lms.huggingface.request import Request
from fireact.lms.huggingface.trial import Trial
from fireact.models.backbone import Backbone
from tests.lms.architectures import CONFIGS, VOCABULARY, WINDOW, alone, built

OFTEN = ("mistral", "gemma2", "gpt_oss", "deepseek_v3", "mamba")
NAMES = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS]
OWN_GENERATION = {"mamba", "jamba", "qwen3_next", "gpt_neo", "phi3_longrope"}
NOT_SHARED = {"deepseek_v3", "diffllama"}
LENGTHS, NEW = (3 * WINDOW, 9, 26), 6
_DRAW = random.Random(7)
BEGINNING = [_DRAW.randrange(1, VOCABULARY) for _ in range(70)]
PROMPTS = [[_DRAW.randrange(1, VOCABULARY) for _ in range(length)] for length in LENGTHS]


@pytest.fixture
def toy(tmp_path):
    """A backbone in name, under which nothing has been tried yet."""
    return Backbone("toy", None, cache_dir=str(tmp_path))


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
def test_dialogues_at_once_say_what_each_says_alone(name, toy):
    own = built(name)
    actor, _ = actor_of(built(name), toy, concurrency=3, max_context=256, cache_gib=1.0)
    assert type(actor) is (Generation if name in OWN_GENERATION else Engine)
    if isinstance(actor, Engine):
        assert actor._can_share == (name not in NOT_SHARED)
    expected = [alone(own, prompt, NEW) for prompt in PROMPTS]
    assert said(actor, PROMPTS) == expected
    again = [[*prompt, *words, 5, 6, 7] for prompt, words in zip(PROMPTS, expected, strict=True)]
    assert said(actor, again) == [alone(own, prompt, NEW) for prompt in again]
    after = [[*BEGINNING, *prompt] for prompt in PROMPTS]
    assert said(actor, after, shared=len(BEGINNING)) == [alone(own, prompt, NEW) for prompt in after]


@pytest.mark.parametrize("name", ["granite", "cohere", "gemma2"])
def test_sampled_tokens_are_drawn_from_the_models_own_logits(name, toy):
    own = built(name)
    actor, _ = actor_of(built(name), toy, concurrency=3, max_context=256, cache_gib=1.0)
    sampled = said(actor, PROMPTS, temperature=0.7)
    for seed, (prompt, words) in enumerate(zip(PROMPTS, sampled, strict=True)):
        draw, ids = torch.Generator().manual_seed(seed), list(prompt)
        for _ in range(NEW):
            with torch.inference_mode():
                logits = own(input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(torch.multinomial(torch.softmax(logits / 0.7, dim=-1), 1, generator=draw)))
        assert words == ids[len(prompt) :]


@pytest.mark.parametrize("name", ["granite", "cohere", "gemma2", "opt"])
def test_the_head_gives_the_models_own_logits_at_any_few_places(name):
    model, ids = built(name), torch.tensor([PROMPTS[2]])
    with torch.inference_mode():
        hidden = model.get_decoder()(input_ids=ids).last_hidden_state[0, [3, 11]]
        torch.testing.assert_close(Head(model)(hidden), model(input_ids=ids).logits[0, [3, 11]])


@pytest.mark.parametrize("change", [None, -1, 1])
def test_a_wrong_window_is_found(change, monkeypatch, tmp_path):
    config, of = built("phi3").config, Pattern.of
    assert Trial(config, cache_dir=tmp_path / "right").engine == ""

    def wrong(config):
        pattern = of(config)
        windows = {kind: change and window + change for kind, window in pattern.windows.items()}
        return Pattern(pattern.kinds, windows)

    monkeypatch.setattr(Pattern, "of", wrong)
    wrong = Trial(config, cache_dir=tmp_path / "wrong")
    assert wrong.engine.startswith("its numbers are off by") and wrong.shared == wrong.engine


def test_a_missing_soft_cap_or_scaling_is_found(monkeypatch, tmp_path):
    gemma, granite = built("gemma2").config, built("granite").config
    part = attention._part
    monkeypatch.setattr(attention, "_part", lambda query, key, value, _, seen: part(query, key, value, None, seen))
    monkeypatch.setattr(Head, "__call__", lambda head, hidden: head._shell.lm_head(hidden).float())
    assert Trial(gemma, cache_dir=tmp_path).engine.startswith("its numbers are off by")
    assert Trial(granite, cache_dir=tmp_path).engine.startswith("its numbers are off by")


def test_rotary_positions_that_change_with_the_length_keep_the_engine_where_no_text_reaches_it(tmp_path):
    config = built("phi3_longrope").config
    config.original_max_position_embeddings = config.rope_parameters["original_max_position_embeddings"] = 4096
    assert Trial(config, 4096, tmp_path).engine == ""
    assert Trial(config, 4097, tmp_path).engine.startswith("its numbers are off by")


def test_a_line_says_once_which_way_a_model_acts_and_why(caplog, toy):
    _say.cache_clear()
    for _ in range(2):
        actor_of(built("mamba"), toy, concurrency=3, max_context=256, cache_gib=1.0)
        actor_of(built("diffllama"), toy, concurrency=3, max_context=256, cache_gib=1.0)
    own, shared = (record.getMessage() for record in caplog.records if record.name.startswith("fireact"))
    assert own == ("backbone toy acts through transformers' own generation, dialogues padded: in the local engine "
                   "it fails (ModelError: there are layers of linear_attention)")
    assert shared.startswith("backbone toy acts without holding a few-shot prompt once for all dialogues: there its "
                             "numbers are off by")


def test_what_a_cache_of_transformers_takes_bounds_the_dialogues(toy):
    model = built("jamba")  # one layer of states of a fixed size, one of keys and values
    _, slots = actor_of(model, toy, concurrency=64, max_context=255, cache_gib=10 * (2048 + 128 * 256) / 2**30)
    assert slots == 10
    with pytest.raises(ConfigError, match=r"lm.cache_gib=1e-06 does not hold one dialogue of lm.max_context=255"):
        actor_of(model, toy, concurrency=64, max_context=255, cache_gib=1e-6)
