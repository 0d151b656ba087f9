"""Weights and tokenizer of a backbone: loaded one way for training and for acting."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from fireact.errors import ModelError
from fireact.models import hub
from fireact.models.backbone import Backbone
from fireact.models.quantized import dequantized, frozen, quantization_config
from fireact.models.shrunken import auto_class

log = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()
# Its table of weights that are missing or left over: ``_require_all`` says the same in a sentence.
logging.getLogger("transformers.modeling_utils").addFilter(lambda record: "LOAD REPORT" not in record.getMessage())


def load(backbone: Backbone, cls: Any, fetch: bool = True, **kwargs: Any) -> Any:
    """What ``cls`` makes of the backbone's folder; without ``fetch``, of what of it is here already.

    Raises:
        ModelError: it can't be loaded from there.
    """
    folder = (None if fetch else hub.local_folder(dataclasses.asdict(backbone))) or backbone.folder()
    try:
        return cls.from_pretrained(
            folder, trust_remote_code=backbone.trust_remote_code, local_files_only=True, **kwargs
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"backbone {backbone.name} can't be loaded from {folder}: {reason}") from error


def configuration(backbone: Backbone) -> PretrainedConfig:
    """The backbone's configuration, of which its ``config.json`` is enough: no weights are fetched.

    Raises:
        ModelError: it can't be had.
    """
    if backbone.path or backbone.embedded or hub.local_folder(dataclasses.asdict(backbone)) or not backbone.hub:
        return load(backbone, AutoConfig, fetch=False)
    try:
        return AutoConfig.from_pretrained(
            backbone.hub, revision=backbone.revision, trust_remote_code=backbone.trust_remote_code,
            local_files_only=not hub.hub_answers(),
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ModelError(f"backbone {backbone.name}: the config.json of {backbone.hub} can't be had or read "
                         f"({str(error).strip().splitlines()[0]}); pass backbone.path=DIR") from error


def model(backbone: Backbone, quantization: str | None, dequantize: bool) -> PreTrainedModel:
    """See ``Backbone.model``."""
    config = quantization_config(quantization, backbone.torch_dtype())
    extra = {} if config is None else {"quantization_config": config}
    loaded, facts = load(
        backbone, auto_class(configuration(backbone)), dtype=backbone.torch_dtype(), device_map={"": device()},
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
            f"or of another shape ({first(made_up)}); fetch or save the model again"
        )
    if left_out := facts["unexpected_keys"]:
        log.warning(f"backbone {backbone.name}: {len(left_out)} weights in {place} ({first(left_out)}) are no part of "
                    "the model that its config.json describes, and were left out")


def dtype(name: str) -> torch.dtype:
    """See ``Backbone.torch_dtype``."""
    if name == "auto":
        return torch.bfloat16 if device().type == "cuda" else torch.float32
    return getattr(torch, name)


@functools.lru_cache(maxsize=2)
def tokenizer(backbone: Backbone) -> Any:
    """See ``Backbone.tokenizer``."""
    source = backbone
    if (other := backbone.tokenizer_from) is not None:
        place = {"path": other} if Path(other).is_dir() else {"path": None, "hub": other, "revision": None}
        source = dataclasses.replace(backbone, tokenizer_from=None, embedded=False, **place)
    folder = Path(source.folder())
    try:
        return load(source, AutoTokenizer, padding_side="right")
    except ModelError:
        if (folder / "tokenizer.json").is_file() or not (folder / "config.json").is_file():
            raise
        raise ModelError(f"backbone {backbone.name}: {folder} holds no tokenizer.json, and no tokenizer can be made of "
                         "what it holds; save one there with transformers, or pip install sentencepiece tiktoken "
                         "for a folder that holds only tokenizer.model") from None



def first(names: Iterable[str]) -> str:
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


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer should see."""
    return [p for p in model.parameters() if p.requires_grad]
