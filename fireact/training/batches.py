"""Rows → whole optimizer steps, cut into micro-batches.

An optimizer step takes ``batch_size`` trajectories of the epoch's shuffle. Its micro-batches only bound memory: each
knows the target tokens of the whole step, over all ranks, so ``loss_sum / step_targets`` summed over them is the mean
over the step's target tokens, however it is cut.

Everything is a function of (seed, epoch), so any step can be dealt again: resuming needs the number of steps done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch.nn import functional as F

from fireact.errors import ConfigError
from fireact.training.rows import Row

IGNORED = -100


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Part of an optimizer step; B rows padded on the right to T tokens, or B = 1 row of packed trajectories.

    Attributes:
        input_ids: (B, T) long.
        labels: (B, T) long, aligned with ``input_ids`` (the loss shifts): the token itself on targets, -100 elsewhere.
            The first token of a trajectory is never a label, for nothing of its own precedes it.
        attention_mask: (B, T) long, 1 on tokens and 0 on padding; None if packed, where ``position_ids`` alone keep
            trajectories apart (call the model with ``use_cache=False``).
        position_ids: (B, T) long, from 0 in every trajectory.
        before_labels: (N,) long, the places in the flattened (B, T) whose next token is a label. Found here, because
            a GPU's host would have to wait for an answer whose size it does not know.
        bounds: (n + 1,) int32, where the n packed trajectories begin and where the last ends; None if padded.
        step_targets: labels of the whole optimizer step, over all its micro-batches and ranks.
        last_of_step: the optimizer steps after this one.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    attention_mask: torch.Tensor | None
    position_ids: torch.Tensor
    before_labels: torch.Tensor
    bounds: torch.Tensor | None
    step_targets: int
    last_of_step: bool

    def to(self, device: torch.device | str, **kwargs: Any) -> MicroBatch:
        """A copy on ``device``; ``kwargs`` are ``Tensor.to``'s."""
        tensors = {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), torch.Tensor)}
        return replace(self, **{name: tensor.to(device, **kwargs) for name, tensor in tensors.items()})


@dataclass(frozen=True)
class StepBatches:
    """Deals ``rows`` out as optimizer steps of ``batch_size`` trajectories; the last step of an epoch may be smaller.

    A micro-batch holds at most ``micro_batch_tokens`` tokens, padding included, except that a longer row gets one to
    itself. Each of ``world_size`` ranks gets its share of a step's members and equally many micro-batches: where it has
    no more members, one without labels, so that no rank waits for ever.

    Raises:
        ConfigError: a size is not positive.
    """

    rows: Sequence[Row]
    batch_size: int
    micro_batch_tokens: int
    pad_id: int
    seed: int = 0
    packing: bool = False
    shuffle: bool = True
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.micro_batch_tokens < 1:
            raise ConfigError("batch_size and micro_batch_tokens count trajectories and tokens; choose 1 or more")

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch, the last, smaller one included."""
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[MicroBatch]:
        """This rank's micro-batches of an epoch, from optimizer step ``first_step`` of it on."""
        order = self._order(epoch)
        for start in range(first_step * self.batch_size, len(order), self.batch_size):
            yield from self._step(order[start : start + self.batch_size])

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(len(self.rows)))
        # a seed of its own for every epoch, so that an epoch can be dealt without the ones before it
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.rows), generator=generator).tolist()

    def _step(self, members: list[int]) -> Iterator[MicroBatch]:
        rows = sorted((self.rows[i] for i in members), key=len, reverse=True)
        targets = sum(int(row.targets[1:].sum()) for row in rows)
        groups = [self._groups(rows[rank :: self.world_size]) for rank in range(self.world_size)]
        rounds = max(map(len, groups))
        for number in range(rounds):
            group = groups[self.rank][number] if number < len(groups[self.rank]) else [_unlabelled(rows[-1])]
            tensors = _packed(group) if self.packing else _padded(group, self.pad_id)
            before = F.pad(tensors["labels"][:, 1:] != IGNORED, (0, 1)).flatten().nonzero().squeeze(1)
            last = number == rounds - 1
            yield MicroBatch(**tensors, before_labels=before, step_targets=targets, last_of_step=last)

    def _groups(self, rows: list[Row]) -> list[list[Row]]:
        """Group rows, longest first, within the bound: neighbours pad little, and short rows fill packs up."""
        groups: list[list[Row]] = []
        for row in rows:
            open_groups = groups if self.packing else groups[-1:]
            fitting = (group for group in open_groups if self._cost([*group, row]) <= self.micro_batch_tokens)
            if group := next(fitting, None):
                group.append(row)
            else:
                groups.append([row])
        return groups

    def _cost(self, group: list[Row]) -> int:
        return sum(map(len, group)) if self.packing else len(group) * len(group[0])


def _padded(rows: list[Row], pad_id: int) -> dict[str, Any]:
    """Tensors of (B, T) for rows sorted longest first."""
    shape = len(rows), len(rows[0])
    ids = torch.full(shape, pad_id, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row.ids
        labels[at, : len(row)] = _labels(row)
        mask[at, : len(row)] = 1
    positions = torch.arange(shape[1]).expand(shape).contiguous()
    return dict(input_ids=ids, labels=labels, attention_mask=mask, position_ids=positions, bounds=None)


def _packed(rows: list[Row]) -> dict[str, Any]:
    """Tensors of (1, T) for rows laid end to end, and where they begin and end."""
    ids = torch.cat([row.ids for row in rows]).long()
    labels = torch.cat([_labels(row) for row in rows])
    positions = torch.cat([torch.arange(len(row)) for row in rows])
    bounds = F.pad(torch.tensor([len(row) for row in rows]).cumsum(0), (1, 0)).int()
    return dict(
        input_ids=ids[None], labels=labels[None], attention_mask=None, position_ids=positions[None], bounds=bounds
    )


def _labels(row: Row) -> torch.Tensor:
    labels = row.ids.long().masked_fill(~row.targets, IGNORED)
    labels[0] = IGNORED
    return labels


def _unlabelled(row: Row) -> Row:
    return replace(row, targets=torch.zeros_like(row.targets))
