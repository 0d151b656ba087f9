"""What is tried on a toy of an architecture, when it is tried again, and that nothing untried is used."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoConfig

from fireact.models import probe
from fireact.models.probe import Verdict, equal
from fireact.models.shrunken import VOCABULARY, WINDOW, shrunken
from tests.models.toys import config, gemma3

LLAMA = config("llama", num_hidden_layers=2)


def same(toy):
    yield torch.ones(3), torch.ones(3)


def test_what_agrees_is_exact_and_what_does_not_says_by_how_much(tmp_path):
    assert equal(LLAMA, "a", same, tmp_path) == Verdict("exact")
    off = equal(LLAMA, "b", lambda toy: [(torch.tensor([1.0, 1.01]), torch.ones(2))], tmp_path)
    assert off == Verdict("off", "its numbers are off by 1.0%") and not off.exact


@pytest.mark.parametrize("pairs", [
    [], [(torch.tensor(float("nan")), torch.tensor(float("nan")))], [(torch.ones(2), torch.ones(3))],
])  # fmt: skip
def test_nothing_tried_no_number_and_another_shape_are_never_exact(tmp_path, pairs):
    assert not equal(LLAMA, "a", lambda toy: pairs, tmp_path).exact


def test_an_error_is_a_verdict(tmp_path):
    def broken(toy):
        raise KeyError("head_dim")

    assert equal(LLAMA, "a", broken, tmp_path) == Verdict("fails", "it fails (KeyError: 'head_dim')")
    wrong = config("llama", num_hidden_layers=2, hidden_act="no such")
    assert equal(wrong, "a", same, tmp_path).kind == "untried"


def test_it_is_tried_once_for_a_configuration_and_versions(tmp_path, monkeypatch):
    tries = []

    def counted(toy):
        tries.append(toy)
        return same(toy)

    for _ in range(2):
        assert equal(LLAMA, "a", counted, tmp_path).exact
    assert len(tries) == 1
    (file,) = (tmp_path / "probes").iterdir()
    assert json.loads(file.read_text()) == {"name": "a", "model": "llama", "verdict": {"kind": "exact", "why": ""}}
    equal(config("llama", num_hidden_layers=2, rms_norm_eps=1e-5), "a", counted, tmp_path)
    equal(LLAMA, "another", counted, tmp_path)
    monkeypatch.setattr(probe, "_code", lambda: "changed")
    equal(LLAMA, "a", counted, tmp_path)
    monkeypatch.setattr(probe.importlib.metadata, "version", lambda library: "next")
    equal(LLAMA, "a", counted, tmp_path)
    assert len(tries) == 5
    file.write_text("{")
    monkeypatch.undo()
    assert equal(LLAMA, "a", counted, tmp_path).exact and len(tries) == 6


def test_a_cache_that_can_not_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").write_text("")
    assert equal(LLAMA, "a", same, tmp_path / "file").exact


def test_each_trial_has_a_toy_of_its_own(tmp_path):
    def zeroed(toy):
        before = toy.lm_head.weight.clone()
        toy.lm_head.weight.data.zero_()
        yield before.abs().sum() > 0, torch.tensor(True)

    for name in "ab":
        assert equal(LLAMA, name, zeroed, tmp_path).exact


@pytest.mark.parametrize("big", [
    AutoConfig.for_model("llama"), AutoConfig.for_model("mistral"), AutoConfig.for_model("gpt_oss"),
    AutoConfig.for_model("deepseek_v3"), AutoConfig.for_model("qwen3_moe"), AutoConfig.for_model("gemma3"),
    AutoConfig.for_model("lfm2", layer_types=["conv", "conv", "full_attention"] * 2,
                         num_hidden_layers=6), AutoConfig.for_model("jamba"),
], ids=lambda big: big.model_type)  # fmt: skip
def test_a_toy_is_small_and_of_the_same_kinds_of_layers(big):
    toy = shrunken(big)
    small = toy.config.get_text_config(decoder=True)
    assert sum(weight.numel() for weight in toy.parameters()) < 500_000
    assert small.vocab_size == VOCABULARY and small.num_hidden_layers <= 4
    assert set(getattr(small, "layer_types", None) or []) == set(
        getattr(big.get_text_config(decoder=True), "layer_types", None) or []
    )
    assert {type(module).__name__ for module in toy.modules()} >= {type(toy).__name__}
    assert getattr(small, "sliding_window", None) in (None, WINDOW)


def test_a_toy_is_the_same_every_time_and_leaves_the_random_state():
    state = torch.get_rng_state()
    one, other = (shrunken(gemma3()) for _ in range(2))
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(torch.get_rng_state(), state)
