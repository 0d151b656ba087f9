"""Micro-batches: exact tensors, whole steps, ranks, packing, and resuming at any step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fireact.errors import ConfigError
from fireact.training.batches import MicroBatch, StepBatches
from fireact.training.rows import Row

PAD, NO = 9, -100


def row(name: str, ids: list[int], targets: list[int]) -> Row:
    return Row(name, torch.tensor(ids, dtype=torch.int32), torch.tensor(targets, dtype=torch.bool))


ROWS = [row("a", [1, 2, 3, 4], [0, 0, 1, 1]), row("b", [5, 6], [0, 1]), row("c", [7, 8, 9], [1, 1, 1])]
MANY = [row(str(n), [n] * (2 + n % 7), [0, *[1] * (1 + n % 7)]) for n in range(50)]


def batches(rows: list[Row], batch_size: int = 3, micro_batch_tokens: int = 8, **options: Any) -> StepBatches:
    return StepBatches(rows, batch_size, micro_batch_tokens, PAD, **options)


def test_padded_tensors() -> None:
    first, second = batches(ROWS, shuffle=False).epoch(0)
    assert first.input_ids.tolist() == [[1, 2, 3, 4], [7, 8, 9, PAD]]
    assert first.labels.tolist() == [[NO, NO, 3, 4], [NO, 8, 9, NO]], "pad is no label, even where it is a real token"
    assert first.attention_mask is not None and first.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert first.position_ids.tolist() == [[0, 1, 2, 3]] * 2
    assert first.before_labels.tolist() == [1, 2, 4, 5] and first.bounds is None
    assert second.input_ids.tolist() == [[5, 6]] and second.labels.tolist() == [[NO, 6]]
    assert [(m.step_targets, m.last_of_step) for m in (first, second)] == [(5, False), (5, True)]


def test_packed_tensors() -> None:
    first, second = batches(ROWS, packing=True, micro_batch_tokens=7, shuffle=False).epoch(0)
    assert first.input_ids.tolist() == [[1, 2, 3, 4, 7, 8, 9]]
    assert first.labels.tolist() == [[NO, NO, 3, 4, NO, 8, 9]], "no trajectory predicts the next one's first token"
    assert first.position_ids.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert first.before_labels.tolist() == [1, 2, 4, 5]
    assert first.attention_mask is None and first.bounds is not None and first.bounds.tolist() == [0, 4, 7]
    assert second.input_ids.tolist() == [[5, 6]] and second.last_of_step


def test_short_rows_fill_packs_up() -> None:
    lengths = [5, 4, 3, 2, 1]
    rows = [row(str(n), [n] * n, [1] * n) for n in lengths]
    packs = batches(rows, batch_size=5, micro_batch_tokens=7, packing=True, shuffle=False).epoch(0)
    assert [pack.input_ids.shape[1] for pack in packs] == [7, 7, 1]


def names(micro: MicroBatch) -> list[int]:
    return micro.input_ids[:, 0].tolist()


def targets(micro: MicroBatch) -> int:
    return int((micro.labels != NO).sum())


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_each_step_is_whole_however_it_is_cut(packing: bool, world_size: int) -> None:
    ranks = [
        list(batches(MANY, 8, 20, packing=packing, seed=3, rank=rank, world_size=world_size).epoch(0))
        for rank in range(world_size)
    ]
    assert len({len(rank) for rank in ranks}) == 1, "all ranks take part in every forward pass"
    seen, learnt, steps = [], 0, 0
    for together in zip(*ranks, strict=True):
        assert len({(m.step_targets, m.last_of_step) for m in together}) == 1
        assert all(m.input_ids.numel() <= 20 for m in together)
        for micro in together:
            learnt += targets(micro)
            if targets(micro):
                seen += sorted(set(micro.input_ids.flatten().tolist()) - {PAD} if packing else set(names(micro)))
        if together[0].last_of_step:
            assert learnt == together[0].step_targets
            learnt, steps = 0, steps + 1
    assert steps == batches(MANY, 8).steps_per_epoch == 7
    assert sorted(seen) == sorted(n for n in range(50) if not (packing and n == PAD))


def test_a_rank_without_members_gets_a_batch_without_labels() -> None:
    first, second = (list(batches(ROWS[:1], rank=rank, world_size=2).epoch(0)) for rank in (0, 1))
    assert len(first) == len(second) == 1
    assert targets(first[0]) == 2 and targets(second[0]) == 0 and second[0].step_targets == 2


def test_a_row_over_the_bound_gets_a_micro_batch_to_itself() -> None:
    assert [names(m) for m in batches(ROWS, micro_batch_tokens=3, shuffle=False).epoch(0)] == [[1], [7], [5]]


def test_epochs_differ_and_are_repeatable() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return [names(m) for m in batches(MANY, 4, seed=seed).epoch(epoch)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 0)


def test_an_epoch_goes_on_at_any_step() -> None:
    whole = list(batches(MANY, 8, 20).epoch(2))
    ends = [at + 1 for at, micro in enumerate(whole) if micro.last_of_step]
    for step, start in enumerate([0, *ends]):
        rest = list(batches(MANY, 8, 20).epoch(2, first_step=step))
        assert [m.input_ids.tolist() for m in rest] == [m.input_ids.tolist() for m in whole[start:]]


def test_to_moves_every_tensor() -> None:
    for packing in (False, True):
        micro = next(batches(ROWS, packing=packing).epoch(0)).to("meta")
        assert micro.input_ids.is_meta and micro.labels.is_meta and micro.position_ids.is_meta
        assert micro.attention_mask is None if packing else micro.attention_mask is not None


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="choose 1 or more"):
        batches(ROWS, batch_size=0)
