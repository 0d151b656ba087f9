from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil

import bitsandbytes as bnb
import pytest
import torch
from omegaconf import OmegaConf
from peft import PeftModel
from safetensors.torch import load_file, save_file

from fireact.errors import ConfigError, ModelError
from fireact.formats.segmentwise import SegmentFormat
from fireact.models.adapters import encoding_of, load_for_acting
from fireact.models.backbone import Adapter, Backbone
from fireact.models.weights import shared_model

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


@pytest.mark.parametrize("quantization", [None, "nf4"])
def test_a_backbone_is_loaded_once_and_nobody_changes_it(tiny, tmp_path, quantization, monkeypatch):
    loads, load = [], Backbone.model
    monkeypatch.setattr("fireact.models.weights._kept", {})
    monkeypatch.setattr(Backbone, "model", lambda self, *args, **kwargs: loads.append(args) or load(self, *args))
    untouched = logits(shared_model(tiny, quantization))
    tuned(tiny, Adapter("x", "lora", quantization, r=4, targets="all-linear"), tmp_path)
    model = Adapter("x", "lora", quantization, r=4).apply(tiny).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(input_ids=IDS, labels=IDS).loss.backward()
    optimizer.step()
    for merge in (True, False):
        load_for_acting(tiny, str(tmp_path), merge)
    torch.testing.assert_close(logits(shared_model(tiny, quantization)), untouched, rtol=0, atol=0)
    torch.testing.assert_close(logits(load(tiny, quantization)), untouched, rtol=0, atol=0)
    assert len(loads) == 1


@pytest.mark.parametrize(("targets", "absent"), [
    ("all-linear", None), (["q_proj", "v_proj"], None), (r".*layers\.0.*\.(q|v)_proj", None),
    (["query_key_value"], "query_key_value"), (["q_proj", "k"], "k"), ("q_proj", "q_proj"),
])  # fmt: skip
def test_targets_that_an_architecture_lacks_are_refused_before_it_is_loaded(tiny, targets, absent, monkeypatch):
    monkeypatch.setattr(Backbone, "model", lambda *_: pytest.fail("the weights were loaded"))
    adapter = Adapter("lora", "lora", targets=targets)
    if absent is None:
        adapter.check(tiny)
        return
    with pytest.raises(ConfigError) as refused:
        adapter.check(tiny)
    layers = "down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj"
    assert str(refused.value) == (f"adapter.targets names {absent}, which backbone tiny does not have; its linear "
                                  f"layers are {layers}")


def test_full_tuning_has_weights_of_its_own(tiny):
    untouched = logits(shared_model(tiny))
    with torch.no_grad():
        for parameter in Adapter("full", "full").apply(tiny).parameters():
            parameter.zero_()
    torch.testing.assert_close(logits(shared_model(tiny)), untouched, rtol=0, atol=0)


def test_an_adapter_of_another_backbone_is_refused(tiny, tmp_path):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    other = Backbone("other", "fireact/other", path=tiny.path, format="chat")
    with pytest.raises(ModelError, match="was trained on fireact/tiny in chat format, not on fireact/other"):
        load_for_acting(other, str(tmp_path))
    with pytest.raises(ModelError, match="holds no adapter; run train.py first"):
        load_for_acting(tiny, str(tmp_path / "nowhere"))


def rewritten(file, change) -> None:
    """A safetensors file after ``change`` of its weights, a dictionary."""
    weights = dict(sorted(load_file(file).items()))
    save_file(change(weights), file, metadata={"format": "pt"})


def halved(weights):
    return dict(list(weights.items())[::2])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: {k.replace("base_model.model.model.", "base_model.model.model.language_model."): v
                    for k, v in w.items()}, "8 weights are missing and 8 have no place in it"),
        (lambda w: {f"other.{k}": v for k, v in w.items()}, "8 weights are missing and 8 have no place in it"),
        (halved, r"4 weights are missing and 0 have no place in it \(such as base_model.model.model.layers.0"),
        (lambda w: {**w, "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.ones(4, 32)},
         r"0 weights are missing and 1 have no place in it \(such as .*layers\.9"),
        (lambda w: {k: v[:2] if "lora_A" in k else v for k, v in w.items()}, "does not fit .* of backbone tiny; "),
        (lambda w: {k: v * float("nan") for k, v in w.items()}, "holds numbers that are not finite .*; tune it again"),
    ],
    ids=["another prefix", "nothing matches", "half", "a weight too many", "another shape", "not a number"],
)  # fmt: skip
def test_an_adapter_that_does_not_fit_weight_by_weight_is_refused(tiny, tmp_path, change, reason):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    rewritten(tmp_path / "adapter_model.safetensors", change)
    with pytest.raises(ModelError, match=reason):
        load_for_acting(tiny, str(tmp_path))


@pytest.mark.parametrize(("file", "damage"), [
    ("adapter_model.safetensors", b""),
    ("adapter_model.safetensors", lambda whole: whole[:-100]),
    ("adapter_model.safetensors", None),
    ("adapter_config.json", b"{"),
    ("adapter_config.json", b"[1]"),
    ("fireact.json", b"[1]"),
    ("fireact.json", b"{}"),
])  # fmt: skip
def test_a_damaged_adapter_is_one_sentence(tiny, tmp_path, file, damage):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).unlink()
    if damage is not None:
        (tmp_path / file).write_bytes(damage(whole) if callable(damage) else damage)
    with pytest.raises(ModelError, match=r"(is damaged or not whole|can.t be read) \(.*\); copy or tune it again"):
        load_for_acting(tiny, str(tmp_path))


class _Trap:
    """Unpickled by anything but weights_only, it leaves a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return pathlib.Path.touch, (self.mark,)


def test_pickled_weights_act_alike_and_run_nothing(tiny, tmp_path):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    safe, pickled = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_model.bin"
    expected, weights = logits(load_for_acting(tiny, str(tmp_path))), load_file(safe)
    safe.unlink()
    torch.save(weights, pickled)
    torch.testing.assert_close(logits(load_for_acting(tiny, str(tmp_path))), expected, rtol=0, atol=0)
    torch.save({**weights, "more": _Trap(tmp_path / "sprung")}, pickled)
    with pytest.raises(ModelError, match="holds more than weights, and code is not run; ask for it as"):
        load_for_acting(tiny, str(tmp_path))
    assert not (tmp_path / "sprung").exists()
    pickled.write_bytes(pickled.read_bytes()[:100])
    with pytest.raises(ModelError, match="does not fit|is damaged"):
        load_for_acting(tiny, str(tmp_path))


@pytest.mark.parametrize("said", ["{", "[1]", '{"max_position_embeddings": "many"}', '{"rope_scaling": [1]}', "\ud800"])
def test_a_configuration_that_is_none_is_one_sentence(tmp_path, said):
    said = said if "rope" not in said else said[:-1] + ', "n_positions": 8}'
    (tmp_path / "config.json").write_bytes(said.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"config.json is no configuration of a model \(.*\); copy it there again"):
        Backbone("x", "x/y", path=str(tmp_path)).positions()


def test_template_arguments_of_a_configuration_are_plain_data(tiny):
    given = OmegaConf.create({"date": "2026-01-31", "documents_of": {"a": [1, {"b": None}]}})
    backbone = dataclasses.replace(tiny, template_args=given)
    assert json.loads(json.dumps(backbone.template_args)) == OmegaConf.to_container(given)
    backbone.text_format(backbone.tokenizer())


def test_an_adapter_says_which_prompts_it_was_trained_on(tiny, tmp_path):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    facts = json.loads((tmp_path / "fireact.json").read_text())
    assert (facts["encoding"], facts["thinking"], facts["template_args"]) == ("whole", "none", {})
    assert encoding_of(str(tmp_path)) == encoding_of(None) == encoding_of(str(tmp_path / "none")) == "whole"
    for other in ({"thinking": "keep"}, {"template_args": {"date": "2026-01-31"}}):
        [(key, value)] = other.items()
        with pytest.raises(ModelError, match=re.escape(f"trained with backbone.{key}={facts[key]}, not {value}; set")):
            load_for_acting(dataclasses.replace(tiny, **other), str(tmp_path))


def test_an_adapter_of_before_acts_on_the_stretches_it_was_trained_on(tiny, tmp_path):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    facts = json.loads((tmp_path / "fireact.json").read_text())
    before = {key: facts[key] for key in ("backbone", "hub", "format", "kind", "quantization")}
    (tmp_path / "fireact.json").write_text(json.dumps(before))
    load_for_acting(dataclasses.replace(tiny, thinking="keep"), str(tmp_path))
    assert encoding_of(str(tmp_path)) == "segments"
    assert isinstance(tiny.text_format(tiny.tokenizer(), encoding_of(str(tmp_path))), SegmentFormat)


def test_an_adapter_that_changes_nothing_says_so(tiny, tmp_path, caplog):
    tuned(tiny, Adapter("lora", "lora", r=4), tmp_path)
    load_for_acting(tiny, str(tmp_path))
    assert caplog.messages == []
    rewritten(tmp_path / "adapter_model.safetensors", lambda w: {k: v * ("lora_A" in k) for k, v in w.items()})
    load_for_acting(tiny, str(tmp_path))
    assert caplog.messages == [
        f"the adapter in {tmp_path} changes nothing: all of its lora_B are zero; this is the untuned model"
    ]


def test_an_adapter_from_elsewhere_names_the_folder_or_the_hub_of_its_base(tiny, tmp_path):
    expected = logits(tuned(tiny, Adapter("lora", "lora", r=4), tmp_path))
    (tmp_path / "fireact.json").unlink()
    config = tmp_path / "adapter_config.json"
    facts = json.loads(config.read_text())
    for base in (tiny.hub, tiny.path):
        config.write_text(json.dumps({**facts, "base_model_name_or_path": base}))
        torch.testing.assert_close(logits(load_for_acting(tiny, str(tmp_path))), expected)
    config.write_text(json.dumps({**facts, "base_model_name_or_path": "/models/another"}))
    with pytest.raises(ModelError, match="was trained on /models/another in chat format, not on fireact/tiny"):
        load_for_acting(tiny, str(tmp_path))
    config.write_text("{")
    with pytest.raises(ModelError, match=r"says of its training can't be read \(.*\); copy or tune it again"):
        load_for_acting(tiny, str(tmp_path))


def copied(backbone: Backbone, folder) -> Backbone:
    """``backbone`` from a copy of its files."""
    shutil.copytree(backbone.path, folder)
    return dataclasses.replace(backbone, path=str(folder))


@pytest.mark.parametrize("quantization", [None, "nf4"])
def test_a_model_that_lacks_weights_is_refused_not_made_up(tiny, tmp_path, quantization):
    damaged = copied(tiny, tmp_path / "model")
    rewritten(tmp_path / "model" / "model.safetensors",
              lambda w: {k: v for k, v in w.items() if "layers.1.mlp" not in k})
    with pytest.raises(ModelError, match=r"3 of its weights are missing there .*such as model\.layers\.1\.mlp\.down"):
        damaged.model(quantization)
    rewritten(tmp_path / "model" / "model.safetensors",
              lambda w: {k: v[:7] if k == "model.norm.weight" else v for k, v in w.items()})
    with pytest.raises(ModelError, match=r"4 of its weights are missing there or of another shape"):
        damaged.model(quantization)


def test_weights_beyond_the_model_are_counted_and_tied_ones_are_no_loss(tiny, tmp_path, caplog):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(tiny.path, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tied = dataclasses.replace(tiny, path=str(tmp_path))
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    tied.model()
    assert caplog.messages == []
    rewritten(tmp_path / "model.safetensors", lambda w: {**w, "model.layers.2.mlp.up_proj.weight": torch.ones(64, 32)})
    tied.model()
    assert caplog.messages[-1] == (
        f"backbone tiny: 1 weights in {tmp_path} (such as model.layers.2.mlp.up_proj.weight) are no part of the model "
        "that its config.json describes, and were left out"
    )


def test_a_full_model_that_lacks_weights_is_refused(tiny, tmp_path):
    full = Adapter("full", "full")
    full.save(full.apply(tiny), tiny, tiny.tokenizer(), tmp_path)
    rewritten(tmp_path / "model.safetensors", halved)
    with pytest.raises(ModelError, match=r"tiny can't be loaded from .*: \d+ of its weights are missing there"):
        load_for_acting(tiny, str(tmp_path))


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
