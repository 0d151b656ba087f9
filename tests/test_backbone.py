from __future__ import annotations

import json

import bitsandbytes as bnb
import pytest
import torch
from peft import PeftModel

from fireact.backbone import Adapter, Backbone, load_for_acting
from fireact.errors import ConfigError, ModelError

IDS = torch.arange(5, 45).reshape(2, 20)


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


def tuned(backbone: Backbone, adapter: Adapter, folder):
    """A model whose adapter is not the identity, saved to ``folder``."""
    torch.manual_seed(0)
    model = adapter.apply(backbone)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    adapter.save(model, backbone, backbone.tokenizer(), folder)
    return model.eval()


@pytest.mark.parametrize("quantization", [None, "nf4"])
def test_acting_uses_the_function_that_was_trained(tiny, tmp_path, quantization):
    adapter = Adapter("x", "lora", quantization, r=4, targets="all-linear")
    expected = logits(tuned(tiny, adapter, tmp_path))
    for merge in (True, False):
        torch.testing.assert_close(logits(load_for_acting(tiny, str(tmp_path), merge)), expected)
    assert (expected - logits(load_for_acting(tiny, None))).abs().max() > 0.01


def test_plain_peft_loads_the_adapter(tiny, tmp_path):
    expected = logits(tuned(tiny, Adapter("lora", "lora", r=4), tmp_path))
    assert {f.suffix for f in tmp_path.iterdir()} <= {".json", ".safetensors", ".md", ".jinja"}
    torch.testing.assert_close(logits(PeftModel.from_pretrained(tiny.model(), tmp_path)), expected)


def test_qlora_layers_are_real_nf4_and_stay_differentiable_after_evaluation(tiny):
    model = Adapter("qlora", "lora", "nf4", r=4).apply(tiny)
    layers = [layer for layer in model.modules() if isinstance(layer, bnb.nn.Linear4bit)]
    assert len(layers) == 14 and all(layer.weight.quant_type == "nf4" for layer in layers)
    logits(model.eval())
    model.train()(input_ids=IDS, labels=IDS).loss.backward()
    gradients = [p.grad for name, p in model.named_parameters() if "lora_B" in name]
    assert gradients and all(g is not None and g.abs().sum() > 0 for g in gradients)


def test_dequantising_once_is_the_same_function(tiny):
    quantised, dense = tiny.model("nf4"), tiny.model("nf4", dequantize=True)
    assert not any(isinstance(layer, bnb.nn.Linear4bit) for layer in dense.modules())
    torch.testing.assert_close(logits(dense), logits(quantised))
    assert not torch.equal(logits(dense), logits(tiny.model()))


def test_an_adapter_of_another_backbone_is_refused(tiny, tmp_path):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    other = Backbone("other", "fireact/other", path=tiny.path, format="chat")
    with pytest.raises(ModelError, match="was trained on fireact/tiny in chat format, not on fireact/other"):
        load_for_acting(other, str(tmp_path))
    with pytest.raises(ModelError, match="holds no adapter; run train.py first"):
        load_for_acting(tiny, str(tmp_path / "nowhere"))


def test_a_full_model_acts_too(tiny, tmp_path):
    full = Adapter("full", "full")
    model = full.apply(tiny)
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    full.save(model, tiny, tiny.tokenizer(), tmp_path)
    assert json.loads((tmp_path / "fireact.json").read_text())["kind"] == "full"
    torch.testing.assert_close(logits(load_for_acting(tiny, str(tmp_path))), logits(model.eval()))


def test_what_can_not_be_loaded_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = Backbone("llama2_7b", "meta-llama/Llama-2-7b-chat-hf")
    with pytest.raises(ModelError, match=r"is not on this machine .* pass backbone\.path=DIR"):
        hub.tokenizer()
    with pytest.raises(ModelError, match="holds no config.json"):
        Backbone("llama2_7b", "x/y", path=str(tmp_path)).model()
    with pytest.raises(ModelError, match="has no weights to load"):
        Backbone("gpt35", None).tokenizer()
    with pytest.raises(ConfigError, match="quantization=nf3 is unknown"):
        Backbone("x", "x/y", path=str(tmp_path)).model("nf3")
