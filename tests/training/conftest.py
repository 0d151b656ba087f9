"""The shortest way to tune the tiny backbone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fireact.training.datamodule import TrajectoryModule
from fireact.training.fit import fit
from fireact.training.optim import Optim
from tests.training.tiny_runs import LORA, TRAINER, make_rows


@pytest.fixture
def exact(tiny):
    """The tiny backbone in float64, where order of summation does not show."""
    return replace(tiny, dtype="float64")


@pytest.fixture
def tune(tiny, tokenizer, tmp_path):
    """``tune(name, ...)`` fits into ``tmp_path/name``; two epochs of three steps unless told otherwise."""

    def run(name="run", backbone=tiny, adapter=LORA, data=None, optim=None, rows=None, trainer=TRAINER, **options):
        data = {"batch_size": 4, "micro_batch_tokens": 40} | (data or {})
        optim = {"lr": 1e-2, "epochs": 2} | (optim or {})
        module = TrajectoryModule(rows or make_rows(), tokenizer, **data)
        return fit(backbone, adapter, module, Optim(**optim), trainer, tmp_path / name, **options)

    return run
