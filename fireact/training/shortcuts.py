"""Which of our ways to compute a loss give a model's own numbers, tried on a toy of it before it is tuned.

What is right is the model's own loss of one trajectory after another, and its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from fireact.errors import ModelError
from fireact.models import probe
from fireact.models.probe import Verdict
from fireact.models.shrunken import VOCABULARY
from fireact.training.attention import attend_by_trajectory
from fireact.training.batches import MicroBatch, StepBatches
from fireact.training.module import summed_loss
from fireact.training.rows import Row

_LENGTHS = (14, 9, 6)  # tokens: some longer than the toy's windows
_PAD = 1


@dataclass(frozen=True)
class Shortcuts:
    """How each way of computing a loss did.

    Attributes:
        loss: logits at labels only, instead of the model's own loss over all of them.
        padded: several trajectories in rows of one length.
        packed: several trajectories in one row.
    """

    loss: Verdict
    padded: Verdict
    packed: Verdict

    def lines(self) -> Iterator[str]:
        """A line for everything that is off."""
        if not self.loss.exact:
            yield f"logits at labels only are off, and its own loss is used instead: {self.loss.why}"
        if not self.packed.exact:
            yield f"packing is off, and trajectories are padded instead: {self.packed.why}"
        if not self.padded.exact:
            yield f"padding is off, and each trajectory is a micro-batch of its own: {self.padded.why}"


def found(config: PretrainedConfig, name: str, cache_dir: str, packing: bool = True) -> Shortcuts:
    """What is exact for the backbone called ``name``, of ``config``; without ``packing``, that is not tried.

    Raises:
        ModelError: it can't be tuned: tokens see those after them, or its own loss is not that of the next token.
    """

    def equal(shortcut: str, trial: probe.Trial) -> Verdict:
        return probe.equal(config, shortcut, trial, cache_dir)

    causal = equal("causal", _causal)
    if causal.kind == "off":
        raise ModelError(f"backbone {name} can't be tuned: its tokens see those that follow them; choose a causal one")
    if equal("next token", _next_token).kind == "off":
        raise ModelError(f"backbone {name} can't be tuned: its own loss is not that of the next token; choose a causal "
                         "language model")
    loss = equal("loss", _loss)
    if loss.kind == "fails" and equal("own loss", _own).kind == "fails":
        raise ModelError(f"backbone {name} can't be tuned on text: {loss.why}; choose another")
    padded = equal(f"padded {loss.exact}", lambda toy: _together(toy, False, loss.exact))
    if not packing:
        return Shortcuts(loss, padded, Verdict("exact"))
    return Shortcuts(loss, padded, equal(f"packed {loss.exact}", lambda toy: _together(toy, True, loss.exact)))


def _causal(toy: nn.Module) -> probe.Pairs:
    """The logits of a text's beginning, and those of the beginning alone."""
    ids = _rows()[0].ids.long()[None]
    with torch.no_grad():
        whole, beginning = (toy(input_ids=some, use_cache=False).logits for some in (ids, ids[:, :8]))
    yield whole[:, :8], beginning


def _next_token(toy: nn.Module) -> probe.Pairs:
    """The own loss of a label that nothing precedes, whatever it is: none, unless labels are taken for their place."""
    ids, labels = torch.arange(2, 10)[None], torch.full((2, 1, 8), -100)
    labels[:, 0, 0] = torch.tensor([3, 4])
    with torch.no_grad():
        one, other = (toy(input_ids=ids, labels=some, use_cache=False).loss.nan_to_num() for some in labels)
    yield one, other


def _loss(toy: nn.Module) -> probe.Pairs:
    yield from _both(toy, [_batches(row) for row in _rows()], at_labels=True)


def _own(toy: nn.Module) -> probe.Pairs:
    loss = _own_loss(toy, _rows()[0])
    yield loss, loss


def _together(toy: nn.Module, packing: bool, at_labels: bool) -> probe.Pairs:
    yield from _both(toy, [_batches(*_rows(), packing=packing)], at_labels)


def _both(toy: nn.Module, ours: Sequence[MicroBatch], at_labels: bool) -> probe.Pairs:
    """Our loss and gradients of all rows, and the model's own of each alone."""
    toy.train()
    right = _with_gradients(toy, [_own_loss(toy, row) for row in _rows()])
    if ours[0].bounds is not None:
        attend_by_trajectory(toy)
    yield from zip(_with_gradients(toy, [summed_loss(toy, batch, at_labels) for batch in ours]), right, strict=True)


def _own_loss(toy: nn.Module, row: Row) -> Tensor:
    labels = row.ids.long().masked_fill(~row.targets, -100)[None]
    own: Tensor = toy(input_ids=row.ids.long()[None], labels=labels, use_cache=False).loss
    return own * row.targets[1:].sum()


def _with_gradients(toy: nn.Module, losses: list[Tensor]) -> list[Tensor]:
    """The sum of ``losses``, and its gradient with respect to all weights as one vector."""
    loss: Any = sum(losses)
    weights = [weight for weight in toy.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    return [loss, torch.cat([gradient.flatten() for gradient in gradients])]


def _rows() -> list[Row]:
    """A row of each length; every third token, the first one excepted, is context."""
    draw = torch.Generator().manual_seed(0)
    ids = [torch.randint(2, VOCABULARY, (length,), generator=draw, dtype=torch.int32) for length in _LENGTHS]
    return [Row(str(len(each)), each, torch.arange(len(each)) % 3 > 0) for each in ids]


def _batches(*rows: Row, packing: bool = False) -> MicroBatch:
    (micro,) = StepBatches(rows, len(rows), 1000, _PAD, packing=packing, shuffle=False).epoch(0)
    return micro
