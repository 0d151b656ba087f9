"""Adapters: put on a backbone to be trained, saved, and loaded weight by weight to act."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fireact.errors import ConfigError, ModelError
from fireact.formats import SEGMENTS, WHOLE
from fireact.formats.templates import named_template
from fireact.models import probe
from fireact.models.backbone import Adapter, Backbone
from fireact.models.shrunken import auto_class
from fireact.models.weights import configuration, first, shared_model

log = logging.getLogger(__name__)
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")  # PEFT still asks for it
TRAINED_WITH = "fireact.json"  # beside the adapter: what plain PEFT does not record


def check(adapter: Adapter, backbone: Backbone) -> None:
    """See ``Adapter.check``."""
    config = configuration(backbone)
    if adapter.targets != "all-linear":
        _check_targets(backbone, config, adapter.targets)
    verdict = merges(adapter, backbone, config)
    if "lora_dropout" in verdict.why:
        raise ConfigError(f"adapter.dropout={adapter.dropout} can't reach the fused experts of backbone "
                          f"{backbone.name}; set adapter.dropout=0, or adapter.targets to layers of its attention")
    if verdict.kind == "fails" and adapter.targets == "all-linear":
        raise ConfigError(f"backbone {backbone.name} can't take low-rank factors: {verdict.why}; choose another, or "
                          "adapter=full")


def merges(adapter: Adapter, backbone: Backbone, config: PretrainedConfig) -> probe.Verdict:
    """Whether such an adapter, merged into the weights of models of ``config``, is the same function."""
    name = f"merged {adapter.targets} {bool(adapter.dropout)}"
    small = dataclasses.replace(adapter, r=4)
    return probe.equal(config, name, lambda toy: _merged(toy, _lora(small, toy)), backbone.cache_dir)


def _check_targets(backbone: Backbone, config: PretrainedConfig, targets: str | Sequence[str]) -> None:
    """What PEFT makes of one text is a pattern of whole names, of a list the ends of names."""
    with torch.device("meta"):
        model = auto_class(config).from_config(config, trust_remote_code=backbone.trust_remote_code)
    outside = re.compile(outside_language(model) or r"(?!)")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    names = [name for name in linear if not outside.fullmatch(name)]
    if isinstance(targets, str):
        absent = [] if any(re.fullmatch(targets, name) for name in names) else [targets]
    else:
        absent = [end for end in targets if not any(name == end or name.endswith(f".{end}") for name in names)]
    if absent:
        layers = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        raise ConfigError(f"adapter.targets names {', '.join(absent)}, which backbone "
                          f"{backbone.name} does not have; its linear layers are {layers}")


def outside_language(model: Any) -> str | None:
    """A pattern of the names of all modules but the language model's, such as a vision tower's; None where it is all.

    PEFT looks for targets by the ends of their names, and would find q_proj in a vision tower too.
    """
    if model.config.get_text_config(decoder=True) is model.config:
        return None
    names = {id(module): name for name, module in model.named_modules()}
    language, head = names[id(model.get_decoder())], names.get(id(model.get_output_embeddings()))
    inside = re.compile(rf"({re.escape(language)}\..*)|({re.escape(head or language)})")
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D))
    return rf"(?!{inside.pattern}$).*" if language and not all(map(inside.fullmatch, linear)) else None


def trainable(adapter: Adapter, backbone: Backbone) -> nn.Module:
    """See ``Adapter.apply``."""
    if adapter.kind == "full":  # an optimizer's small updates would be lost in bfloat16 weights
        return dataclasses.replace(backbone, dtype="float32").model()
    base = shared_model(backbone, adapter.quantization, adapter.dequantize_once)
    peft = get_peft_model(base, _lora(adapter, base))
    peft.peft_config["default"].base_model_name_or_path = backbone.hub
    return peft


def _lora(adapter: Adapter, base: Any) -> LoraConfig:
    return LoraConfig(
        r=adapter.r, lora_alpha=adapter.alpha, lora_dropout=adapter.dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
        exclude_modules=outside_language(base),
    )  # fmt: skip


def _merged(toy: Any, config: PeftConfig) -> probe.Pairs:
    """The logits of ``toy`` with an adapter merged into its weights, and with the adapter beside them."""
    ids = torch.arange(2, 16)[None]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        plain = toy(input_ids=ids, use_cache=False).logits
        peft = get_peft_model(toy, config).eval()
        for name, weight in peft.named_parameters():
            if "lora_" in name:
                weight.normal_(0.0, 0.1)
        beside = peft(input_ids=ids, use_cache=False).logits
        assert not torch.equal(beside, plain), "low-rank factors do not show in its logits"
        yield peft.merge_and_unload(safe_merge=True)(input_ids=ids, use_cache=False).logits, beside


def save(adapter: Adapter, model: Any, backbone: Backbone, tokenizer: Any, folder: Path) -> None:
    """See ``Adapter.save``."""
    # Without the option, PEFT would ask the hub whether the vocabulary has grown.
    options = {} if adapter.kind == "full" else {"save_embedding_layers": False}
    model.save_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    facts = {"backbone": backbone.name, "hub": backbone.hub, "format": backbone.format, "kind": adapter.kind,
             "quantization": adapter.quantization, "encoding": WHOLE, "thinking": backbone.thinking,
             "template_args": dict(backbone.template_args)}
    facts |= {} if backbone.chat_template is None else {"chat_template": named_template(backbone.chat_template)}
    (folder / TRAINED_WITH).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def load_for_acting(backbone: Backbone, adapter: str | None, merge: bool = True) -> PreTrainedModel:
    """The backbone, with the tuned ``adapter`` folder applied if one is given, in evaluation mode.

    An adapter trained on quantised weights acts on those same quantised values. Merging adds the low-rank product to
    the de-quantised base, the only merge that is exact on NF4.

    Raises:
        ModelError: the folder holds no adapter, one of another backbone, or one that does not fit weight by weight.
    """
    if adapter is None:
        return shared_model(backbone).eval()
    facts = _trained_with(backbone, Path(adapter))
    if facts["kind"] == "full":
        return dataclasses.replace(backbone, path=adapter).model().eval()
    merge = merge and _can_merge(backbone, adapter)
    tuned = _adapted(shared_model(backbone, facts["quantization"], dequantize=merge), backbone, adapter)
    return (tuned.merge_and_unload(safe_merge=True) if merge else tuned).eval()  # safe: into copies of the weights


def _can_merge(backbone: Backbone, adapter: str) -> bool:
    """Whether merging an adapter such as this gives the same function; a line where it does not."""
    _require_whole(Path(adapter))
    config = PeftConfig.from_pretrained(adapter)
    config.inference_mode = False
    said = json.dumps({key: value for key, value in config.to_dict().items() if "path" not in key}, default=sorted,
                      sort_keys=True)
    of = configuration(backbone)
    verdict = probe.equal(of, f"merged {said}", lambda toy: _merged(toy, config), backbone.cache_dir)
    if not verdict.exact:
        log.warning(f"the adapter in {adapter} is not merged into the weights of backbone {backbone.name}, which is "
                    f"slower: {verdict.why}")
    return verdict.exact


def _require_whole(adapter: Path) -> None:
    """Refuse an adapter folder whose files can't be read: it is damaged, whatever backbone it is for."""
    weights = adapter / "adapter_model.safetensors"
    try:
        if not isinstance(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")), dict):
            raise ValueError("adapter_config.json holds no object")
        if weights.is_file() or not weights.with_suffix(".bin").is_file():
            with safe_open(weights, framework="pt"):
                pass
        else:
            log.warning(f"the weights in {adapter} are pickled; to write them as safetensors beside that, run: "
                        f"python -m fireact.models.pickled {adapter}")
    except (OSError, ValueError, SafetensorError) as error:
        why = f"is damaged or not whole ({error})"
        raise ModelError(f"the adapter in {adapter} {why}; copy or tune it again") from error


def _adapted(base: PreTrainedModel, backbone: Backbone, adapter: str) -> PeftModel:
    """``base`` with every weight of the adapter in its place and none missing; PEFT alone would only warn."""
    _require_whole(Path(adapter))
    try:
        with warnings.catch_warnings(action="ignore"):
            tuned = PeftModel.from_pretrained(base, adapter)
            loaded = tuned.load_adapter(adapter, "default")  # once more, since this says which weights found no place
    except UnpicklingError as error:  # PEFT reads a .bin with weights_only=True, which nothing but tensors passes
        raise ModelError(f"the adapter in {adapter} is damaged, or its adapter_model.bin holds more than weights, and "
                         "code is not run; ask for it as adapter_model.safetensors") from error
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"the adapter in {adapter} does not fit the weights of backbone {backbone.name}; "
                         "evaluate it with the backbone that it was trained on") from error
    if astray := [*loaded.unexpected_keys, *loaded.missing_keys]:
        raise ModelError(
            f"the adapter in {adapter} does not fit the weights of backbone {backbone.name}: "
            f"{len(loaded.missing_keys)} weights are missing and {len(loaded.unexpected_keys)} have no place in it "
            f"({first(astray)}); evaluate it with the backbone that it was trained on"
        )
    weights = {name: weight for name, weight in tuned.named_parameters() if "lora_" in name}
    if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
        raise ModelError(f"the adapter in {adapter} holds numbers that are not finite ({first(broken)}); "
                         "tune it again")
    raised = [weight for name, weight in weights.items() if "lora_B" in name or "lora_embedding_B" in name]
    if raised and not any(weight.any() for weight in raised):
        log.warning(f"the adapter in {adapter} changes nothing: all of its lora_B are zero; this is the untuned model")
    return tuned


def _trained_with(backbone: Backbone, adapter: Path) -> dict[str, Any]:
    """What the adapter folder says of its training, checked against ``backbone``."""
    try:
        if (adapter / TRAINED_WITH).is_file():
            said = json.loads((adapter / TRAINED_WITH).read_text(encoding="utf-8"))
            facts = {key: said[key] for key in ("hub", "format", "kind", "quantization")}
            _require_same_prompts(backbone, adapter, said)
        elif (adapter / "adapter_config.json").is_file():  # a PEFT adapter from elsewhere
            base = PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
            hub = backbone.hub if backbone.path is not None and base == backbone.path else base
            facts = {"hub": hub, "kind": "lora", "quantization": None, "format": backbone.format}
        else:
            raise ModelError(f"{adapter} holds no adapter; run train.py first or name its adapter folder")
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"what {adapter} says of its training can't be read ({error}); copy or tune it again"
        ) from error
    if (facts["hub"], facts["format"]) != (backbone.hub, backbone.format):
        raise ModelError(f"the adapter in {adapter} was trained on {facts['hub']} in {facts['format']} format, not on "
                         f"{backbone.hub} in {backbone.format} format; choose the backbone it was trained on")
    return facts


def _require_same_prompts(backbone: Backbone, adapter: Path, said: Mapping[str, Any]) -> None:
    """Refuse to act with other prompts than those of the training; adapters of before say nothing of these keys."""
    for key in ("thinking", "template_args"):
        if key in said and said[key] != (ours := getattr(backbone, key)):
            raise ModelError(f"the adapter in {adapter} was trained with backbone.{key}={said[key]}, not {ours}; set "
                             "that one")
    template = None if backbone.chat_template is None else named_template(backbone.chat_template)
    if said.get("chat_template") != template:
        raise ModelError(f"the adapter in {adapter} was trained with another chat template than backbone.chat_template="
                         f"{backbone.chat_template}; set the one it was trained with")


def encoding_of(adapter: str | None) -> str:
    """How the prompts that an adapter was trained on were encoded: as ``text_format`` calls it."""
    facts = None if adapter is None else Path(adapter) / TRAINED_WITH
    if facts is None or not facts.is_file():
        return WHOLE
    try:
        return str(json.loads(facts.read_text(encoding="utf-8")).get("encoding", SEGMENTS))
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{facts} can't be read ({error}); copy or tune the adapter again") from error
