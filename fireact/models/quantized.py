"""Frozen weights of four or eight bits: how to ask for them, multiply by them and turn them back into dense ones."""

from __future__ import annotations

import logging
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers import BitsAndBytesConfig, PreTrainedModel

from fireact.errors import ConfigError

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of an optional kernel that is never used here


def quantization_config(quantization: str | None, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """What ``from_pretrained`` takes: for "nf4" (QLoRA, Dettmers et al. 2023), "int8" (LLM.int8(), 2022) or None.

    Raises:
        ConfigError: any other ``quantization``.
    """
    if quantization is None:
        return None
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    if quantization == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    raise ConfigError(f"quantization={quantization} is unknown; choose nf4, int8 or null")


class FrozenLinear4bit(bnb.nn.Linear4bit):
    """A four-bit layer of bitsandbytes whose products take a de-quantised copy of the weight, in training and acting.

    bitsandbytes picks a kernel at every call, which takes a GPU's host longer than its product takes the GPU; on a CPU
    in evaluation mode it would repack the weights for a bfloat16 kernel, about 0.3 % off and without a gradient from
    then on. The scales of the blocks are themselves de-quantised once, when the layer is adopted.
    """

    @classmethod
    def adopt(cls, layer: bnb.nn.Linear4bit) -> None:
        """Make ``layer`` one of these, in place."""
        state = layer.weight.quant_state
        if state.nested:
            scales = bnb.functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
            state.absmax, state.nested, state.state2, state.offset = scales.float(), False, None, None
        layer.__class__ = cls

    def forward(self, x: Tensor) -> Tensor:
        state = self.weight.quant_state
        layout = (state.blocksize, state.quant_type, list(state.shape), state.dtype)
        bias = None if self.bias is None else self.bias.to(state.dtype)
        product: Tensor = _Product.apply(x.to(state.dtype), self.weight.data, state.absmax, layout, bias)
        return product.to(x.dtype)


class _Product(torch.autograd.Function):
    """x Wᵀ + bias; only the quantised W is kept for the backward pass, and only x gets a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, scales: Tensor, layout: tuple[Any, ...], bias: Any) -> Tensor:
        ctx.save_for_backward(packed, scales)
        ctx.layout = layout
        return F.linear(x, _dense(packed, scales, *layout), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        return torch.ops.fireact.times_frozen(gradient, *ctx.saved_tensors, *ctx.layout), None, None, None, None


def _dense(packed: Tensor, scales: Tensor, blocksize: int, quant_type: str, shape: list[int], dtype: Any) -> Tensor:
    dense: Tensor = torch.ops.bitsandbytes.dequantize_4bit.default(packed, scales, blocksize, quant_type, shape, dtype)
    return dense


def _times_frozen(gradient: Tensor, *quantised: Any) -> Tensor:
    return gradient @ _dense(*quantised).to(gradient.dtype)  # under autocast they may differ


def _like_times_frozen(gradient: Tensor, *quantised: Any) -> Tensor:
    return gradient.new_empty((*gradient.shape[:-1], quantised[-2][1]))


# One operator, or torch.compile would see the same dense W in both passes and keep it between them.
_OPERATORS = torch.library.Library("fireact", "FRAGMENT")
_OPERATORS.define("times_frozen(Tensor gradient, Tensor packed, Tensor scales, int blocksize, str quant_type, "
                  "SymInt[] shape, ScalarType dtype) -> Tensor")
_OPERATORS.impl("times_frozen", _times_frozen, "CompositeExplicitAutograd")
torch.library.register_fake("fireact::times_frozen", _like_times_frozen)


def frozen(model: PreTrainedModel) -> PreTrainedModel:
    """``model`` with its four-bit layers made ``FrozenLinear4bit``, in place."""
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            FrozenLinear4bit.adopt(layer)
    return model


def dequantized(model: PreTrainedModel) -> PreTrainedModel:
    """Replace every quantised layer by a dense one that holds the same values, in place."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, bnb.nn.Linear4bit):
            weight = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        elif isinstance(layer, bnb.nn.Linear8bitLt):
            weight = layer.weight.data * (layer.weight.SCB.unsqueeze(1) / 127.0)
        else:
            continue
        dense = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        dense.weight = nn.Parameter(weight.to(model.dtype), requires_grad=False)
        dense.bias = layer.bias
        model.set_submodule(name, dense)
    model.is_loaded_in_4bit = model.is_loaded_in_8bit = model.is_quantized = False
    model.hf_quantizer = None
    model.config.quantization_config = None
    return model
