"""The LightningDataModule: rows, their validation split, and loaders that deal whole optimizer steps."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning
from torch.utils.data import DataLoader, IterableDataset

from fireact.errors import ConfigError
from fireact.training.batches import MicroBatch, StepBatches
from fireact.training.rows import Row


class TrajectoryModule(lightning.LightningDataModule):
    """Rows to learn from, and to validate on.

    The training loader has no length (epochs differ in micro-batches, and Lightning would cut the longer ones); use
    ``steps_per_epoch``. It starts at the trainer's ``global_step``, which a checkpoint restores, so a resumed fit goes
    on with the very next optimizer step.

    Args:
        rows: all of them, as ``RowMaker`` makes them.
        batch_size: trajectories per optimizer step, over all ranks.
        micro_batch_tokens: most tokens, padding included, in one forward pass.
        tokenizer: only its pad token is used (its end token where it has none: labels are -100 there anyway).
        validation: how much is held out: a fraction of the rows below 1, or a number of rows. Rows of one question go
            the same way, so a few more may be held out.
        packing: lay trajectories end to end instead of padding them.
        seed: of the split and the shuffles.

    Raises:
        ConfigError: nothing would be left to train on.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        tokenizer: Any,
        batch_size: int,
        micro_batch_tokens: int,
        validation: float = 0,
        packing: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train_rows, self.validation_rows = split(rows, validation, seed)
        pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._options = dict(micro_batch_tokens=micro_batch_tokens, pad_id=pad_id, packing=packing, seed=seed)
        self._batch_size = batch_size
        self._unattached = StepBatches(self.train_rows, batch_size, **self._options)

    @property
    def packing(self) -> bool:
        """Whether trajectories are laid end to end."""
        return bool(self._options["packing"])

    def lay_out(self, packing: bool, padding: bool) -> None:
        """Go on without what is not exact for a model: each trajectory is a micro-batch where neither is."""
        self._options["packing"] = self.packing and packing
        if not (self.packing or padding):
            self._options["micro_batch_tokens"] = 1

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return self._unattached.steps_per_epoch

    def train_dataloader(self) -> DataLoader[MicroBatch]:
        """This rank's micro-batches; each iteration goes on where ``global_step`` stands, to the end of that epoch."""
        batches = self._batches(self.train_rows, self._batch_size)
        return DataLoader(_Stream(lambda: batches.epoch(*self._position())), batch_size=None)

    def val_dataloader(self) -> DataLoader[MicroBatch] | list[Any]:
        """The held-out rows as one step, so ``step_targets`` counts all their labels; empty if there are none."""
        if not self.validation_rows:
            return []
        batches = self._batches(self.validation_rows, len(self.validation_rows), shuffle=False)
        return DataLoader(_Stream(lambda: batches.epoch(0)), batch_size=None)

    def _position(self) -> tuple[int, int]:
        """(epoch, optimizer steps done in it)."""
        return divmod(self.trainer.global_step if self.trainer else 0, self.steps_per_epoch)

    def _batches(self, rows: Sequence[Row], batch_size: int, **options: Any) -> StepBatches:
        ranks = dict(rank=self.trainer.global_rank, world_size=self.trainer.world_size) if self.trainer else {}
        return StepBatches(rows, batch_size, **self._options, **ranks, **options)


class _Stream(IterableDataset[MicroBatch]):
    """An iterable data set, which Lightning neither measures nor splits over ranks again."""

    def __init__(self, start: Callable[[], Iterator[MicroBatch]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[MicroBatch]:
        return self._start()


def split(rows: Sequence[Row], validation: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(training rows, validation rows), each in the order given; drawn by question, so that none is in both.

    Raises:
        ConfigError: ``validation`` is negative or leaves nothing to train on.
    """
    wanted = round(validation * len(rows)) if validation < 1 else int(validation)
    sizes = Counter(row.question for row in rows)
    questions = random.Random(seed).sample(sorted(sizes), len(sizes))
    before = itertools.accumulate((sizes[question] for question in questions), initial=0)
    held = {question for question, count in zip(questions, before, strict=False) if count < wanted}
    if wanted < 0 or len(held) == len(questions):
        raise ConfigError(f"validation={validation} of {len(rows)} trajectories leaves none to learn from; lower it")
    return [row for row in rows if row.question not in held], [row for row in rows if row.question in held]
