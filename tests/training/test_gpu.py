"""What only a CUDA card computes: its own attention over packs, compiled layers, NF4, and a whole tuning and acting."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from fireact.models.adapters import load_for_acting
from fireact.models.backbone import Adapter
from fireact.models.weights import trainable_parameters
from fireact.training.attention import attend_by_trajectory, packed_mask
from fireact.training.batches import StepBatches
from fireact.training.module import summed_loss
from tests.training.tiny_runs import TRAINER, make_rows

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
SIZES = dict(vocab_size=300, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=1)
GPU = {"accelerator": "gpu", "precision": "bf16-mixed"}


def pack():
    (micro,) = StepBatches(make_rows(), 12, 1000, pad_id=0, packing=True).epoch(0)
    return micro.to("cuda")


def gradient(model):
    """Of the loss over a pack, as one vector."""
    summed_loss(model, pack()).backward()
    found = torch.cat([parameter.grad.flatten().double() for parameter in trainable_parameters(model)])
    model.zero_grad()
    return found


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


def test_the_kernel_for_packs_is_as_near_to_float64_as_the_mask_is():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).to("cuda")
    exact = gradient(model.double())
    masked = gradient(model.bfloat16())
    attend_by_trajectory(model)
    assert packed_mask(model, pack().bounds).is_cuda
    packed = gradient(model)
    assert relative(packed, exact) < 1.2 * relative(masked, exact) < 0.02


def test_nothing_in_a_micro_batch_waits_for_the_card(tiny):
    model = Adapter("x", "lora", "nf4", r=4, targets="all-linear").apply(tiny).train()
    attend_by_trajectory(model)
    gradient(model)
    micro = pack()
    torch.cuda.set_sync_debug_mode("error")
    try:
        summed_loss(model, micro).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def with_factors(backbone, quantization):
    """``backbone`` under an adapter that is not zero; the same weights at every call."""
    torch.manual_seed(0)
    model = Adapter("x", "lora", quantization, r=4, targets="all-linear").apply(backbone).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    attend_by_trajectory(model)
    return model


@pytest.mark.parametrize("quantization", [None, "nf4"])
def test_compiled_layers_are_as_near_to_float32_as_plain_ones(tiny, quantization):
    exact = gradient(with_factors(replace(tiny, dtype="float32"), quantization))
    model = with_factors(tiny, quantization)
    with torch.autocast("cuda", torch.bfloat16):
        plain = gradient(model)
        for layer in model.get_base_model().model.layers:
            layer.compile(dynamic=True)
        assert relative(gradient(model), exact) < 1.2 * relative(plain, exact) < 0.05


@pytest.mark.parametrize(("kind", "compiled"), [
    ({"kind": "lora"}, False), ({"kind": "lora", "quantization": "nf4"}, True), ({"kind": "full"}, False),
], ids=["lora", "qlora", "full"])
def test_tuning_learns_and_what_it_leaves_acts(tiny, tune, kind, compiled, tmp_path):
    adapter = Adapter("x", targets="all-linear", **kind) if kind["kind"] == "lora" else Adapter("full", **kind)
    trainer = functools.partial(TRAINER, **GPU)
    optim = {"epochs": 20, "lr": 2e-2, "compile": compiled}
    results = tune(adapter=adapter, trainer=trainer, data={"packing": True}, optim=optim)
    assert results["train_loss"] < 5.5  # ln 300 = 5.7 before
    model = load_for_acting(tiny, str(tmp_path / "run" / "adapter"))
    merged = model(input_ids=pack().input_ids).logits.float()
    apart = load_for_acting(tiny, str(tmp_path / "run" / "adapter"), merge=False)(input_ids=pack().input_ids).logits
    assert relative(merged, apart) < 0.02


def test_float32_on_a_card_is_the_cpus_function(tiny):
    ids = torch.arange(5, 45).reshape(2, 20)
    with torch.inference_mode():
        on_card = replace(tiny, dtype="float32").model()(input_ids=ids.to("cuda")).logits.cpu()
        on_cpu = replace(tiny, dtype="float32").model().to("cpu")(input_ids=ids).logits
    torch.testing.assert_close(on_card, on_cpu, rtol=1e-3, atol=1e-4)
