from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from fireact.errors import ConfigError
from fireact.models.weights import trainable_parameters
from fireact.training.attention import attend_by_trajectory, packed_mask
from fireact.training.batches import StepBatches
from fireact.training.module import summed_loss
from tests.training.tiny_runs import LORA, make_rows

ROWS = make_rows()
SIZES = dict(vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2)


def pack():
    """All rows as one packed micro-batch."""
    (micro,) = StepBatches(ROWS, len(ROWS), 1000, pad_id=0, packing=True).epoch(0)
    return micro


def gradients(model):
    summed_loss(model, pack()).backward()
    found = [parameter.grad.clone() for parameter in trainable_parameters(model)]
    model.zero_grad()
    return found


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradient_is_the_one_under_a_mask_over_the_whole_pack(exact, checkpointing):
    model = replace(LORA, dropout=0.0).apply(exact).train()
    for parameter in trainable_parameters(model):
        torch.nn.init.normal_(parameter, std=0.1)
    expected = gradients(model)
    attend_by_trajectory(model)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    assert packed_mask(model, pack().bounds).flatten().diff().tolist() == sorted(map(len, ROWS), reverse=True)
    for found, wanted in zip(gradients(model), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_padded_rows_are_still_masked():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).double()
    (micro,) = StepBatches(ROWS, len(ROWS), 1000, pad_id=0).epoch(0)
    expected = summed_loss(model, micro)
    attend_by_trajectory(model)
    torch.testing.assert_close(summed_loss(model, micro), expected, rtol=1e-12, atol=0)


def test_a_model_with_a_window_keeps_the_mask_that_holds_it():
    model = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)).double()
    expected = summed_loss(model, pack())
    attend_by_trajectory(model)
    assert packed_mask(model, pack().bounds) is None
    assert summed_loss(model, pack()) == expected


def test_how_it_attended_is_not_saved(tmp_path):
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    attend_by_trajectory(model)
    model.save_pretrained(tmp_path)
    assert LlamaForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_a_model_that_could_not_keep_trajectories_apart_is_refused():
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model._supports_attention_backend = False
    attend_by_trajectory(model)
    with pytest.raises(ConfigError, match="set packing=false"):
        summed_loss(model, pack())
