"""What is said of a backbone before its weights are touched: by a command, and before a tuning."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForImageTextToText

from fireact.errors import ConfigError, ModelError
from fireact.models import adapters, check, probe
from fireact.models.backbone import Adapter, Backbone
from fireact.models.shape import Shape
from fireact.models.shrunken import auto_class, shrunken
from tests.models.toys import config, gemma3

EVERYWHERE = Adapter("lora", "lora", r=4, targets="all-linear")


@pytest.fixture
def named(tmp_path):
    """``named(config)`` is a backbone of which there is only a ``config.json``."""

    def make(made):
        folder = tmp_path / made.model_type
        made.save_pretrained(folder)
        return Backbone(made.model_type, "x/y", path=str(folder), cache_dir=str(tmp_path))

    return make


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "deepseek_v3"])
def test_a_configuration_alone_is_enough(named, kind):
    assert check.check(named(AutoConfig.for_model(kind)), EVERYWHERE, packing=False) == []


def test_what_is_off_is_a_line_each(named):
    lines = check.check(named(config("gpt_oss", num_hidden_layers=2, head_dim=16)), EVERYWHERE, packing=True)
    assert [line[:35] for line in lines] == ["backbone gpt_oss: packing is off, a"]


def test_what_can_not_act_is_refused_before_it_is_tuned(named, monkeypatch):
    monkeypatch.setattr(check, "generated", lambda toy: toy.no_such_thing)
    with pytest.raises(ModelError, match="^backbone llama could be tuned but not act: it fails .* when it generates"):
        check.check(named(config("llama", num_hidden_layers=2)), EVERYWHERE, packing=False)


def test_experts_that_stay_dense_are_counted(named):
    mixtral = config("mixtral", num_hidden_layers=2, num_local_experts=4)
    quantised = replace(EVERYWHERE, name="qlora", quantization="nf4")
    (line,) = check.check(named(mixtral), quantised, packing=False)
    assert line == ("backbone mixtral: 98,304 of its weights are fused experts, which adapter=qlora leaves dense: "
                    "0.0 GiB")
    model = auto_class(mixtral).from_config(mixtral)
    fused = [weight for name, weight in model.named_parameters() if "experts" in name]
    assert sum(weight.numel() for weight in fused) == Shape.of_config(mixtral.to_dict()).fused == 98_304
    assert check.check(named(mixtral), EVERYWHERE, packing=False) == []


def test_dropout_on_fused_experts_is_one_sentence(named):
    with pytest.raises(ConfigError, match=r"^adapter.dropout=0.1 can't reach the fused experts of .* mixtral; set"):
        check.check(named(config("mixtral", num_hidden_layers=2)), replace(EVERYWHERE, dropout=0.1), packing=False)
    attention = replace(EVERYWHERE, dropout=0.1, targets=("q_proj",))
    assert check.check(named(config("mixtral", num_hidden_layers=2)), attention, packing=False) == []


def test_weights_that_are_quantised_already_are_not_quantised_again(named):
    awq = config("llama", num_hidden_layers=2, quantization_config={"quant_method": "awq", "bits": 4})
    with pytest.raises(ConfigError, match=r"are quantised already \(awq\), .* choose adapter=lora"):
        check.check(named(awq), replace(EVERYWHERE, quantization="nf4"), packing=False)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "v_proj")])
def test_factors_stay_in_the_language_model(targets):
    toy = shrunken(gemma3())
    peft = get_peft_model(toy, adapters._lora(replace(EVERYWHERE, targets=targets), toy))
    names = [name for name, weight in peft.named_parameters() if weight.requires_grad]
    assert names and all(name.startswith("base_model.model.model.language_model.layers.") for name in names)
    assert adapters.outside_language(shrunken(config("llama", num_hidden_layers=2))) is None


def test_what_also_sees_and_has_no_class_for_text_alone_is_loaded(tmp_path, tokenizer):
    made = AutoConfig.for_model("mistral3", text_config=config("mistral", num_hidden_layers=1).to_dict(),
                                vision_config=dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                                                   num_attention_heads=2, head_dim=16))  # fmt: skip
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(made).save_pretrained(tmp_path)
    model = Backbone("mistral3", "x/y", path=str(tmp_path), cache_dir=str(tmp_path)).model()
    assert model(input_ids=torch.arange(2, 10)[None]).logits.shape == (1, 8, 300)


def test_an_adapter_whose_merging_is_another_function_acts_unmerged(tiny, tmp_path, monkeypatch, caplog):
    tiny = replace(tiny, cache_dir=str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = EVERYWHERE.apply(tiny)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    EVERYWHERE.save(model, tiny, tiny.tokenizer(), tmp_path / "adapter")
    monkeypatch.setattr(probe, "_distance", lambda found, right: 2.0)
    acting = adapters.load_for_acting(tiny, str(tmp_path / "adapter"))
    assert any("lora_A" in name for name, _ in acting.named_parameters())
    assert caplog.messages[-1].endswith("which is slower: its numbers are off by 200.0%")


def test_the_command(named, tmp_path, capsys):
    backbone = named(config("llama", num_hidden_layers=2))
    assert check.main([f"backbone={backbone.path}", f"cache_dir={tmp_path}"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["llama: llama, LlamaConfig", "exact: logits at labels only, padding, packing, generation",
                        "exact: an adapter merged into the weights"]  # fmt: skip
    assert said[3] == "weights: 0.00 billion, about" and len(said) == 7
    assert check.main(["backbone=no_such"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    file = tmp_path / "llama" / "config.json"
    file.write_text(json.dumps({"model_type": "no such"}))
    assert check.main([f"backbone={backbone.path}", f"cache_dir={tmp_path}"]) == 1
    assert "backbone llama can't be loaded from" in capsys.readouterr().err
