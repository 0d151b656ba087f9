"""The fused LoRA layer: the function and gradients of PEFT's own, and where it leaves PEFT's own in place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn

from fireact.models.weights import trainable_parameters
from fireact.training.batches import StepBatches
from fireact.training.low_rank import LowRankLinear, fuse_low_rank
from fireact.training.module import summed_loss
from tests.training.tiny_runs import LORA, make_rows

IDS = torch.arange(3, 43).view(2, 20)


def tuned(backbone, **options):
    """Its LoRA layers' second factors are not zero, as they would be at the start."""
    torch.manual_seed(0)
    model = replace(LORA, **options).apply(backbone).train()
    for layer in lora_layers(model):
        nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    return model


def lora_layers(model):
    return [layer for layer in model.modules() if isinstance(layer, Linear)]


def logits_and_gradients(model):
    logits = model(input_ids=IDS).logits
    return [logits, *torch.autograd.grad(logits.logsumexp(-1).sum(), trainable_parameters(model))]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_model_keeps_its_logits_and_gradients(exact, checkpointing):
    model = tuned(exact, dropout=0.0)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    expected = logits_and_gradients(model)
    fuse_low_rank(model)
    assert [type(layer) for layer in lora_layers(model)] == [LowRankLinear] * 14
    for found, wanted in zip(logits_and_gradients(model), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_an_output_embedding_may_see_no_position_at_all(exact):
    model = replace(LORA, dropout=0.0, targets=["q_proj", "lm_head"]).apply(exact).train()
    fuse_low_rank(model)
    (micro,) = StepBatches(make_rows(1), 1, 100, pad_id=0, rank=1, world_size=2).epoch(0)
    loss = summed_loss(model, micro)
    loss.backward()
    assert loss == 0 and all((parameter.grad == 0).all() for parameter in trainable_parameters(model))


def test_a_frozen_bias_is_kept(exact):
    model = tuned(exact, dropout=0.0)
    layer = lora_layers(model)[0]
    layer.base_layer.bias = nn.Parameter(torch.randn(layer.out_features).double(), requires_grad=False)
    x = torch.randn(3, 2, layer.in_features).double()
    expected = layer(x)
    fuse_low_rank(model)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=0)


def test_the_same_keys_are_saved(exact):
    model = tuned(exact, dropout=0.0)
    keys = list(model.state_dict())
    fuse_low_rank(model)
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"dropout": 0.0, "quantization": "nf4"}])
def test_dropout_and_quantised_weights_are_left_to_peft(tiny, options):
    model = tuned(tiny, **options)
    fuse_low_rank(model)
    assert not any(isinstance(layer, LowRankLinear) for layer in model.modules())


def test_autocast_and_a_disabled_adapter_are_left_to_peft(tiny):
    model = tuned(tiny, dropout=0.0)

    def three():
        with torch.autocast("cpu", torch.bfloat16):
            mixed = logits_and_gradients(model)
        with model.disable_adapter():
            return [*mixed, model(input_ids=IDS).logits]

    expected = three()
    fuse_low_rank(model)
    assert all(torch.equal(found, wanted) for found, wanted in zip(three(), expected, strict=True))
