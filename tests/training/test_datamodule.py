"""The LightningDataModule in a real Trainer: epochs, validation, and going on where a fit stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from fireact.errors import ConfigError
from fireact.training.batches import MicroBatch, StepBatches
from fireact.training.datamodule import TrajectoryModule, split
from fireact.training.rows import Row

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning has much to say to a module of four lines

ROWS = [
    Row(str(n // 2), torch.full((2 + n % 7,), n, dtype=torch.int32), torch.ones(2 + n % 7, dtype=torch.bool))
    for n in range(40)
]
TOKENIZER = SimpleNamespace(pad_token_id=None, eos_token_id=99)


class Recorder(lightning.LightningModule):
    """Runs the loop of a trained module and notes what it was given; fails in the middle of step ``fail_in``."""

    def __init__(self, fail_in: int | None = None) -> None:
        super().__init__()
        self.fail_in = fail_in
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []
        self.validated: list[int] = []

    def training_step(self, micro: MicroBatch) -> None:
        if self.global_step == self.fail_in and not micro.last_of_step:
            raise InterruptedError
        self.seen.append(micro.input_ids[:, 0].tolist())
        self.manual_backward(self.weight * micro.step_targets)
        if micro.last_of_step:
            self.optimizers().step()

    def validation_step(self, micro: MicroBatch) -> None:
        self.validated.append(micro.step_targets)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(**options: Any) -> TrajectoryModule:
    return TrajectoryModule(ROWS, TOKENIZER, **{"batch_size": 6, "micro_batch_tokens": 16, "seed": 1, **options})


def fit(folder: Path, module: Recorder, datamodule: TrajectoryModule, checkpoint: Path | None = None, **options: Any):
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, **options,
    )  # fmt: skip
    trainer.fit(module, datamodule, ckpt_path=checkpoint)
    return trainer


def test_every_epoch_is_dealt_in_full(tmp_path: Path) -> None:
    module, datamodule = Recorder(), data()
    trainer = fit(tmp_path, module, datamodule, max_epochs=3)
    dealer = StepBatches(ROWS, 6, 16, pad_id=99, seed=1)
    expected = [micro.input_ids[:, 0].tolist() for epoch in range(3) for micro in dealer.epoch(epoch)]
    assert module.seen == expected
    assert datamodule.steps_per_epoch == 7 and trainer.global_step == 21
    assert module.validated == []


@pytest.mark.parametrize("steps", [3, 7, 10])
@pytest.mark.parametrize("length", [{"max_epochs": 2}, {"max_steps": 14, "max_epochs": -1}])
def test_a_resumed_fit_goes_on_with_the_next_step(tmp_path: Path, steps: int, length: dict[str, int]) -> None:
    whole, first, second = Recorder(), Recorder(fail_in=steps), Recorder()
    fit(tmp_path, whole, data(), **length)
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=1)
    with pytest.raises(InterruptedError):
        fit(tmp_path, first, data(), **length, callbacks=[saver])
    resumed = fit(tmp_path, second, data(), Path(saver.best_model_path), **length)
    assert resumed.global_step == 14
    assert first.seen + second.seen == whole.seen


def test_validation_is_one_whole_step(tmp_path: Path) -> None:
    module, datamodule = Recorder(), data(validation=0.2)
    held = datamodule.validation_rows
    assert len(held) == 8 and not {row.question for row in held} & {row.question for row in datamodule.train_rows}
    fit(tmp_path, module, datamodule, max_epochs=1, num_sanity_val_steps=0)
    assert len(module.validated) > 1
    assert set(module.validated) == {sum(len(row) - 1 for row in held)}


def test_split_is_seeded_and_by_question() -> None:
    for wanted, count in ((0, 0), (0.1, 4), (3, 4), (10, 10)):
        training, held = split(ROWS, wanted, seed=5)
        assert len(held) == count and len(training) == 40 - count
        assert not {row.question for row in training} & {row.question for row in held}
    assert [row.question for row in split(ROWS, 10, 5)[1]] == [row.question for row in split(ROWS, 10, 5)[1]]
    assert [row.question for row in split(ROWS, 10, 5)[1]] != [row.question for row in split(ROWS, 10, 6)[1]]


@pytest.mark.parametrize("validation", [40, 39, -1])
def test_split_leaves_something_to_learn_from(validation: float) -> None:
    with pytest.raises(ConfigError, match="leaves none to learn from"):
        split(ROWS, validation, seed=0)


def test_packed_and_padded_logits_agree(tiny_folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
    rows = [Row(str(n), torch.arange(n, 3 * n + 4), torch.ones(2 * n + 4, dtype=torch.bool)) for n in (8, 3, 5)]
    found = {}
    for packing in (False, True):
        (micro,) = StepBatches(rows, 3, 100, pad_id=0, packing=packing, shuffle=False).epoch(0)
        with torch.no_grad():
            logits = model(
                input_ids=micro.input_ids, attention_mask=micro.attention_mask, position_ids=micro.position_ids,
                use_cache=False,
            ).logits  # fmt: skip
        found[packing] = logits[micro.labels != -100]
    assert torch.allclose(found[True], found[False], atol=1e-5)
