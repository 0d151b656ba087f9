"""What is off for which architecture, and that a tuning then computes the model's own numbers without it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fireact.errors import ModelError
from fireact.models.backbone import Adapter, Backbone
from fireact.models.probe import Verdict
from fireact.training import shortcuts
from fireact.training.batches import StepBatches
from fireact.training.module import summed_loss
from tests.models.toys import config, gemma3
from tests.training.tiny_runs import make_rows

ROWS = make_rows()
CONV = ["conv", "full_attention", "conv"]


@pytest.mark.parametrize("kind, changes", [
    ("llama", {}), ("mistral", {"sliding_window": 16}), ("granite", {"logits_scaling": 8.0}),
    ("cohere", {"logit_scale": 0.06}), ("gemma2", {"head_dim": 16}), ("qwen3", {"head_dim": 16}),
])  # fmt: skip
def test_all_is_exact(tmp_path, kind, changes):
    found = shortcuts.found(config(kind, num_hidden_layers=2, **changes), kind, str(tmp_path))
    assert list(found.lines()) == []


def test_a_model_that_also_sees_keeps_its_windows_in_a_pack(tmp_path):
    assert shortcuts.found(gemma3(), "gemma3", str(tmp_path)).packed == Verdict("exact")


@pytest.mark.parametrize("kind, changes", [
    ("gpt_oss", {"num_hidden_layers": 2, "head_dim": 16, "num_local_experts": 4, "sliding_window": 16}),
    ("lfm2", {"num_hidden_layers": 3, "layer_types": CONV}),
    ("recurrent_gemma", {"num_hidden_layers": 3, "num_key_value_heads": 1}),
])  # fmt: skip
def test_packing_is_off_where_trajectories_would_see_each_other(tmp_path, kind, changes):
    found = shortcuts.found(config(kind, **changes), kind, str(tmp_path))
    assert (found.loss, found.padded, found.packed.kind) == (Verdict("exact"), Verdict("exact"), "off")
    (line,) = found.lines()
    assert line.startswith("packing is off, and trajectories are padded instead: its numbers are off by ")


def test_what_is_not_causal_is_refused(tmp_path):
    with pytest.raises(ModelError, match="^backbone bert can't be tuned: its tokens see those that follow them; "):
        shortcuts.found(AutoConfig.for_model("bert"), "bert", str(tmp_path))
    with pytest.raises(ModelError, match="^backbone bart can't be tuned: its own loss is not that of the next token; "):
        shortcuts.found(AutoConfig.for_model("bart"), "bart", str(tmp_path))


def test_a_loss_of_its_own_is_used_where_ours_is_another(tmp_path):
    """Experts that are to be used alike add to the loss."""
    sizes = dict(num_hidden_layers=2, num_local_experts=4, router_aux_loss_coef=0.5, output_router_logits=True)
    router = config("mixtral", **sizes)
    found = shortcuts.found(router, "mixtral", str(tmp_path))
    assert found.loss.kind == "off"
    model = AutoModelForCausalLM.from_config(router)
    (batch,) = StepBatches(ROWS[:1], 1, 1000, pad_id=0).epoch(0)
    own = model(input_ids=batch.input_ids, labels=batch.labels).loss * batch.step_targets
    torch.testing.assert_close(summed_loss(model, batch, at_labels=False), own)
    assert (summed_loss(model, batch) - own).abs() > 0.1
    empty = replace(batch, before_labels=batch.before_labels[:0], labels=torch.full_like(batch.labels, -100))
    assert summed_loss(model, empty, at_labels=False) == 0


def test_a_tuning_says_what_is_off_and_gives_the_adapter_of_rows_that_are_padded(tmp_path, tune, tokenizer, caplog):
    sizes = dict(vocab_size=len(tokenizer), num_hidden_layers=3, layer_types=CONV)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config("lfm2", **sizes)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    lfm2 = Backbone("lfm2", "x/lfm2", path=str(tmp_path / "model"), format="chat", cache_dir=str(tmp_path))
    adapter = Adapter("lora", "lora", targets=["q_proj"])
    losses = [tune(str(packing), lfm2, adapter, {"packing": packing})["train_loss"] for packing in (True, False)]
    assert losses[0] == losses[1]
    assert [message[:60] for message in caplog.messages if "lfm2" in message] == [
        "backbone lfm2: packing is off, and trajectories are padded instead"[:60]
    ]
    assert json.loads((tmp_path / "True" / "adapter" / "fireact.json").read_text())["backbone"] == "lfm2"
