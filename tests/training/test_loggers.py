"""Whoever watches a tuning sees the same figures under the same names."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from fireact.errors import StorageError
from fireact.runs.dashboard import WandbRun, opened
from fireact.training.csv_logger import COLUMNS, MetricsCSV
from tests.training.tiny_runs import make_rows
from tests.wandb_file import written

Scalars = dict[tuple[str, int], float]
# An epoch is logged with every step, where it is the same.
SHOWN = {"loss", "val_loss", "lr", "grad_norm", "tokens_per_s", "epoch"}


def by_csv(path: Path) -> Scalars:
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    return {(key, int(row["step"])): float(row[key]) for row in rows for key in SHOWN if row[key]}


def by_tensorboard(folder: Path) -> Scalars:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {(key, e.step): e.value for key in events.Tags()["scalars"] for e in events.Scalars(key)}


def by_wandb(folder: Path) -> Scalars:
    [run] = written(folder)
    return {(key, row["step"]): row[key] for row in run.history for key in row if key != "step" and key[0] != "_"}


def test_csv_tensorboard_and_w_and_b_show_the_same_scalars(tune, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb_places"))
    lightnings = [MetricsCSV(tmp_path / "metrics.csv"), TensorBoardLogger(tmp_path, "logs", "")]
    with opened(WandbRun(tmp_path / "cell", offline=True), {}, "train") as dashboard:
        tune(rows=make_rows(15), data={"validation": 3}, loggers=[*lightnings, dashboard])
    shown = by_wandb(tmp_path / "cell")
    assert {key for key, _ in shown} == SHOWN == {*COLUMNS} - {"step"}
    assert {step for key, step in shown if key == "val_loss"} == {3, 6}
    assert shown == pytest.approx(by_csv(tmp_path / "metrics.csv"), rel=1e-9)
    assert shown == pytest.approx(by_tensorboard(tmp_path / "logs"), rel=1e-6)  # which keeps float32


def test_a_file_that_is_no_log_of_ours_is_left_as_it_is(tmp_path):
    (tmp_path / "theirs.csv").write_text("step,score\n1,2\n")
    with pytest.raises(StorageError, match="theirs.csv is no log of a tuning; name another file as logger.path"):
        MetricsCSV(tmp_path / "theirs.csv").log_metrics({"loss": 1.0}, step=1)
    assert (tmp_path / "theirs.csv").read_text() == "step,score\n1,2\n"
