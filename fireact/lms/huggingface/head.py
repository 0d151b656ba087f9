"""A model's own way from hidden states to logits, whatever it does there: scalings, soft caps, biases."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from fireact.errors import ModelError


class Head:
    """The model's own forward pass around a decoder that only returns hidden states which are there already.

    So Granite's ``logits_scaling``, Cohere's ``logit_scale``, Gemma's soft cap and all that comes after them need no
    list here, and a large vocabulary is still paid for at a few positions only.

    Raises:
        ModelError: the model has no decoder apart from its output layer.
    """

    def __init__(self, model: Any) -> None:
        decoder = model.get_decoder()
        names = [name for name, child in model.named_children() if any(part is decoder for part in child.modules())]
        if not names:
            raise ModelError("there is no decoder apart from the output layer")
        self._given = _Given()
        self._shell = copy.copy(model)  # its weights are the model's
        self._shell._modules = {**model._modules, names[0]: self._given}
        self._ids = torch.zeros(1, 1, dtype=torch.long, device=model.device)

    def __call__(self, hidden: Tensor) -> Tensor:
        """The logits (N, V), float32, of hidden states (N, H)."""
        self._given.hidden = hidden.unsqueeze(0)
        logits: Tensor = self._shell.forward(input_ids=self._ids, use_cache=False).logits
        return logits.squeeze(0).float()


class _Given:
    """In a decoder's place: takes anything, returns ``hidden`` as its output would, and None for all else."""

    hidden: Tensor

    @property
    def decoder(self) -> _Given:
        """Of a model whose head asks for the decoder within the decoder, as OPT's."""
        return self

    def __call__(self, *_: Any, **__: Any) -> _Output:
        return _Output((self.hidden,))


class _Output(tuple[Tensor, ...]):
    """A decoder's output: its first part by place and by name."""

    @property
    def last_hidden_state(self) -> Tensor:
        return self[0]

    def __getattr__(self, _: str) -> None:
        return None
