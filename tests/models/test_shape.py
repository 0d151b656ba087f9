"""How large models are, against those that were counted, and what they take, against what was measured."""

from __future__ import annotations

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from fireact.models.shape import GIB, LLAMA2_7B, Shape, Tuning, acting_bytes, checkpoint_bytes, training_bytes


def test_a_model_s_weights_are_counted_as_it_has_them(tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    shape = Shape.of(tiny_folder)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.in_layers == sum(p.numel() for name, p in model.named_parameters() if "proj" in name)


@pytest.mark.parametrize("kind, sizes, parameters", [
    ("llama", dict(hidden_size=4096, intermediate_size=11_008, num_hidden_layers=32, vocab_size=32_000,
                   num_attention_heads=32), 6_738_415_616),
    ("llama", dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, vocab_size=49_152,
                   num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True), 134_515_008),
])  # fmt: skip
def test_the_shapes_of_known_models(tmp_path, kind, sizes, parameters):
    AutoConfig.for_model(kind, **sizes).save_pretrained(tmp_path)
    assert Shape.of(tmp_path).parameters == parameters


def test_an_adapter_s_weights_are_counted_as_peft_makes_them(tiny_folder):
    from peft import LoraConfig, get_peft_model

    for targets in (["q_proj", "v_proj"], "all-linear"):
        model = AutoModelForCausalLM.from_pretrained(tiny_folder)
        peft = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
        trained = sum(parameter.numel() for parameter in peft.parameters() if parameter.requires_grad)
        assert Tuning("lora", 4, r=4, targets=targets).trained(Shape.of(tiny_folder)) == trained


@pytest.mark.parametrize("quantization, tokens, compiled, measured", [
    (None, 4096, False, 32.5), (None, 4096, True, 27.8), ("nf4", 2048, False, 13.9), ("nf4", 2048, True, 11.6),
])  # fmt: skip
def test_what_was_measured_on_a_card_is_estimated_within_a_fiftieth(quantization, tokens, compiled, measured):
    estimate = training_bytes(LLAMA2_7B, Tuning("lora", 2, quantization), tokens, compiled) / GIB
    assert estimate == pytest.approx(measured, rel=0.02)


def test_keys_and_values_take_no_more_than_their_room():
    weights = LLAMA2_7B.parameters * 2
    assert acting_bytes(LLAMA2_7B, 2, dialogues=4, context=2047, cache_gib=40) == weights + 4 * GIB
    assert acting_bytes(LLAMA2_7B, 2, dialogues=64, context=2047, cache_gib=40) == weights + 40 * GIB


def test_what_peft_will_refuse_is_not_refused_here_by_a_trace():
    odd = {"kind": "lora", "r": "many", "targets": ["query_key_value", "q_proj"]}
    assert Tuning.of(odd, 2).trained(LLAMA2_7B) == 32 * 8 * (4096 + 4096)


def test_what_a_tuning_leaves_on_the_disk():
    assert checkpoint_bytes(LLAMA2_7B, Tuning("lora", 2)) == 4 * 4_194_304 * 7


@pytest.mark.parametrize("config", [None, "{", "[]", json.dumps({"hidden_size": 8}), json.dumps({"n_embd": 8})])
def test_a_model_of_another_kind_has_no_known_shape(tmp_path, config):
    if config:
        (tmp_path / "config.json").write_text(config)
    assert Shape.of(tmp_path) is None and Shape.of(None) is None
