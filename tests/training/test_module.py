from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import Gemma2Config, Gemma2ForCausalLM

from fireact.models.weights import trainable_parameters
from fireact.training.batches import StepBatches
from fireact.training.module import summed_loss
from fireact.training.optim import Optim
from tests.training.tiny_runs import LORA, make_rows

ROWS = make_rows()


def steps(**options):
    """The optimizer steps of one epoch, each a list of micro-batches."""
    dealt, step = [], []
    for micro in StepBatches(ROWS, **{"batch_size": 12, "micro_batch_tokens": 1000, "pad_id": 0, **options}).epoch(0):
        step.append(micro)
        if micro.last_of_step:
            dealt.append(step)
            step = []
    return dealt


def mean_loss(model, rows):
    """The definition: the mean over target tokens, one row at a time, with logits everywhere."""
    losses = []
    for row in rows:
        logits = model(input_ids=row.ids.long()[None]).logits[0, :-1]
        losses.append(F.cross_entropy(logits, row.ids[1:].long(), reduction="none")[row.targets[1:]])
    return torch.cat(losses).mean()


@pytest.mark.parametrize("cut", [{}, {"micro_batch_tokens": 30}, {"micro_batch_tokens": 60, "packing": True}])
def test_gradient_is_that_of_the_mean_over_the_steps_target_tokens(exact, cut):
    model = replace(LORA, dropout=0.0).apply(exact)
    for parameter in trainable_parameters(model):
        torch.nn.init.normal_(parameter, std=0.1)
    expected = torch.autograd.grad(mean_loss(model, ROWS), trainable_parameters(model))
    (step,) = steps(**cut)
    assert (len(step) > 1) == bool(cut)
    for micro in step:
        (summed_loss(model, micro) / micro.step_targets).backward()
    for parameter, gradient in zip(trainable_parameters(model), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


def test_loss_keeps_what_the_architecture_does_to_its_logits():
    model = Gemma2ForCausalLM(Gemma2Config(
        vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, final_logit_softcapping=0.01,
    )).eval()
    ((batch,),) = steps()
    whole = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels).loss
    ours = summed_loss(model, batch) / batch.step_targets
    torch.testing.assert_close(ours, whole)
    gradients = (torch.autograd.grad(loss, list(model.parameters())) for loss in (ours, whole))
    torch.testing.assert_close(*gradients)


def test_a_batch_without_labels_costs_nothing(tiny):
    model = LORA.apply(tiny)
    ((batch,),) = steps()
    loss = summed_loss(model, replace(batch, before_labels=batch.before_labels[:0]))
    loss.backward()
    assert loss == 0
    assert all((parameter.grad == 0).all() for parameter in trainable_parameters(model))


@pytest.mark.parametrize("cut", [{"micro_batch_tokens": 1000}, {"micro_batch_tokens": 30, "packing": True}])
def test_fit_gives_the_adapter_of_a_plain_loop(exact, tune, tmp_path, cut):
    adapter, optim = replace(LORA, dropout=0.0), Optim(lr=1e-2, epochs=2, warmup_steps=1, clip_norm=0.5)
    results = tune(backbone=exact, adapter=adapter, data=cut, optim=vars(optim), rows=ROWS)

    torch.manual_seed(0)
    model = adapter.apply(exact)
    adamw = torch.optim.AdamW(trainable_parameters(model), lr=1.0, weight_decay=0.0)
    deal = StepBatches(ROWS, 4, 1000, pad_id=0)
    for number in range(6):
        members = deal._order(number // 3)[number % 3 * 4 : number % 3 * 4 + 4]
        loss = mean_loss(model, [ROWS[i] for i in members])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable_parameters(model), 0.5)
        adamw.param_groups[0]["lr"] = optim.rate(number, 6)
        adamw.step()
        adamw.zero_grad()

    tuned = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    for name, weight in model.state_dict().items():
        if "lora_" in name:
            torch.testing.assert_close(tuned[name.replace(".default", "")], weight, rtol=1e-8, atol=1e-10)
    assert results["steps"] == 6
    assert results["tokens"] == 2 * sum(map(len, ROWS))
    assert results["targets"] == 2 * sum(int(row.targets[1:].sum()) for row in ROWS)
