from __future__ import annotations

import csv
import functools
import io
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.loggers import Logger
from peft import PeftModel
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from fireact.errors import ConfigError, ModelError, Terminated
from fireact.models.backbone import Adapter
from fireact.models.weights import device
from fireact.training.csv_logger import MetricsCSV
from fireact.training.module import Tuner
from fireact.training.progress import Progress
from tests.training.tiny_runs import LORA, TRAINER, make_rows

WEIGHTS = "adapter/adapter_model.safetensors"


class At(Logger):
    """Calls ``act`` when optimizer step ``step`` is logged: the way a test gets into a running fit."""

    name, version = "at", ""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        if step == self.step and "loss" in metrics:
            self.act()


def last_checkpoint(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def crash():
    raise RuntimeError("power cut")


@pytest.mark.parametrize("validation", [0, 3])
@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5])
def test_a_stopped_run_goes_on_to_the_very_same_weights(tune, tmp_path, stop_at, validation):
    options = {"rows": make_rows(12 + validation), "data": {"validation": validation}}
    whole = tune("whole", **options)
    with pytest.raises(KeyboardInterrupt, match=f"step {stop_at}"):
        tune("stopped", loggers=[At(stop_at, interrupt if stop_at % 2 else terminate)], **options)
    assert not (tmp_path / "stopped" / "adapter").exists()
    resumed = tune("stopped", **options)
    assert (tmp_path / "stopped" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert {k: resumed[k] for k in ("train_loss", "val_loss", "steps", "tokens", "targets")} == {
        k: whole[k] for k in ("train_loss", "val_loss", "steps", "tokens", "targets")
    }


@pytest.mark.parametrize("moment", [
    "setup", "on_fit_start", "on_train_start", "on_train_batch_start", "on_train_batch_end", "on_validation_start",
    "on_validation_batch_end", "on_validation_end", "on_train_epoch_end", "on_train_end", "on_save_checkpoint",
])  # fmt: skip
def test_sigterm_at_any_moment_leaves_what_the_same_command_goes_on_from(tune, tmp_path, monkeypatch, moment):
    """Lightning ends a fit by an exit of its own, with code 0, where it hears the signal between hooks."""
    options = {"rows": make_rows(15), "data": {"validation": 3}, "save_every": 2}
    tune("whole", **options)
    hook = getattr(Tuner, moment)
    with monkeypatch.context() as patched, pytest.raises(Terminated) as stopped:
        patched.setattr(Tuner, moment, lambda *arguments, **named: (terminate(), hook(*arguments, **named))[1])
        tune("stopped", **options)
    steps = last_checkpoint(tmp_path / "stopped")["global_step"]
    assert str(stopped.value) in (f"stopped after optimizer step {steps}", "stopped after the last optimizer step")
    tune("stopped", **options)
    assert (tmp_path / "stopped" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("crash_at", [3, 5])
def test_a_crashed_run_goes_on_from_its_last_checkpoint(tune, tmp_path, crash_at):
    tune("whole")
    with pytest.raises(RuntimeError, match="power cut"):
        tune("crashed", loggers=[At(crash_at, crash)], save_every=2)
    tune("crashed", save_every=2)
    assert (tmp_path / "crashed" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


def test_the_seed_decides_the_weights(tune, tmp_path):
    for name, seed in ("a", 1), ("b", 1), ("c", 2):
        tune(name, optim={"max_steps": 1}, seed=seed)
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in "abc")
    assert a == b != c


def test_a_checkpoint_holds_no_base_weights(tune, tmp_path):
    tune()
    checkpoint = last_checkpoint(tmp_path / "run")
    assert checkpoint["state_dict"] and all("lora_" in name for name in checkpoint["state_dict"])
    assert checkpoint["global_step"] == 6


def test_plain_peft_loads_the_adapter(tune, tiny_folder, tmp_path):
    tune()
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    tuned = PeftModel.from_pretrained(base, str(tmp_path / "run" / "adapter")).state_dict()
    trained = last_checkpoint(tmp_path / "run")["state_dict"]
    for name, weight in trained.items():
        assert torch.equal(tuned[name.removeprefix("model.")], weight)


@pytest.mark.parametrize("adapter", [
    Adapter("full", "full"),
    replace(LORA, name="qlora", quantization="nf4"),
    replace(LORA, name="qlora", quantization="nf4", dequantize_once=True),
], ids=["full", "qlora", "qlora_dequantized"])
def test_every_adapter_learns_and_saves(tune, tmp_path, adapter):
    before, after = (
        tune(str(epochs), adapter=adapter, optim={"lr": 3e-2, "epochs": epochs}, rows=make_rows(4))["train_loss"]
        for epochs in (1, 9)
    )
    assert after < before - 0.1
    assert list((tmp_path / "9" / "adapter").glob("*model.safetensors"))


def test_gradient_checkpointing_changes_nothing(tune, tmp_path):
    tune("plain", adapter=replace(LORA, dropout=0.0))
    tune("checkpointed", adapter=replace(LORA, dropout=0.0), optim={"gradient_checkpointing": True})
    assert (tmp_path / "plain" / WEIGHTS).read_bytes() == (tmp_path / "checkpointed" / WEIGHTS).read_bytes()


def test_early_stop_keeps_the_best_weights(tune, tmp_path):
    results = tune(optim={"lr": 0.3, "epochs": 50}, data={"validation": 4}, early_stop=2)
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert results["steps"] == best["global_step"] + 2 * 2 < 100  # two steps an epoch, patience of two epochs
    assert results["val_loss"] == best["totals"]["val_loss"]
    again = tune(optim={"lr": 0.3, "epochs": 50}, data={"validation": 4}, early_stop=2)
    assert again["steps"] == results["steps"]


def test_early_stop_without_validation_rows_is_refused(tune):
    with pytest.raises(ConfigError, match="early_stop needs a validation loss"):
        tune(early_stop=1)


def test_max_steps_end_inside_an_epoch_and_are_validated(tune):
    results = tune(optim={"max_steps": 2}, rows=make_rows(15), data={"validation": 3})
    assert results["steps"] == 2
    assert results["val_loss"] is not None


def test_a_loss_that_is_not_finite_is_one_sentence(tune):
    with pytest.raises(ModelError, match=r"^the loss is .* at optimizer step 2; lower optim\.lr=1e\+30 or lengthen"):
        tune(optim={"lr": 1e30})


def test_everything_is_written_into_the_run_folder(tune, tiny, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    tune(backbone=replace(tiny, cache_dir=str(tmp_path / "cache")))
    assert not list((tmp_path / "elsewhere").iterdir())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".fireact-run.json", "adapter", "checkpoints"]


def test_metrics_are_logged_by_optimizer_step_and_across_a_crash(tune, tmp_path):
    path = tmp_path / "metrics.csv"
    options = {"rows": make_rows(15), "data": {"validation": 3}, "save_every": 2}
    with pytest.raises(RuntimeError, match="power cut"):
        tune(loggers=[MetricsCSV(path), At(5, crash)], **options)
    results = tune(loggers=[MetricsCSV(path)], **options)
    rows = list(csv.DictReader(path.open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert [row["step"] for row in rows if row["val_loss"]] == ["3", "6"]
    assert float(rows[-1]["val_loss"]) == results["val_loss"]
    assert [float(row["lr"]) for row in rows if row["lr"]] == pytest.approx([1e-2 * (6 - i) / 6 for i in range(6)])
    assert all(float(row["tokens_per_s"]) > 0 for row in rows if row["loss"])


def test_plain_lines_where_there_is_no_terminal(tune):
    said = io.StringIO()
    progress = Progress(Console(file=said), interval=0)
    with_progress = lambda callbacks, **options: TRAINER(callbacks=[progress, *callbacks], **options)  # noqa: E731
    tune(trainer=with_progress, optim={"max_steps": 2})
    first, last = said.getvalue().splitlines()
    assert first.startswith("step 1/2, epoch 1, loss 5.") and "tokens/s" in first
    assert last.startswith("step 2/2") and last.endswith("0:00:00 left")


@pytest.fixture
def one_thread():
    """A forked process must not use the thread pool of its parent: its threads are not there, and it would hang."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("packing", [False, True])
def test_two_processes_give_the_weights_of_one(one_thread, exact, tune, tmp_path, packing):
    """Thirteen rows: the last step of an epoch has one row, so one of the ranks has nothing to learn from."""
    options = {
        "backbone": exact, "adapter": replace(LORA, dropout=0.0), "rows": make_rows(15),
        "data": {"packing": packing, "validation": 2},
    }
    two = functools.partial(TRAINER, devices=2, strategy="ddp_fork")
    tune("alone", **options)
    tune("together", trainer=two, **options)
    alone, together = (load_file(tmp_path / name / WEIGHTS) for name in ("alone", "together"))
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-9, atol=1e-12)
    alone, together = (last_checkpoint(tmp_path / name)["totals"] for name in ("alone", "together"))
    for name in "epoch_loss", "val_loss", "tokens", "targets":
        assert together[name] == pytest.approx(alone[name], rel=1e-9)


class Placed(Exception):
    """Where a model would have been loaded."""


class Where(Adapter):
    def apply(self, backbone):
        raise Placed(device())


def test_a_trainer_on_the_cpu_has_its_model_there_though_a_gpu_is_near(tune, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    with pytest.raises(Placed) as placed:
        tune(adapter=Where("lora", "lora"))
    assert (placed.value.args, device()) == ((torch.device("cpu"),), torch.device("cuda", 0))


def test_every_rank_has_its_model_where_its_strategy_computes(tune, monkeypatch):
    """Not where LOCAL_RANK says, which SLURM does not set."""
    current = []
    monkeypatch.setattr(torch.cuda, "device", lambda place: nullcontext(current.append(place)))
    third = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda", 3)))
    with pytest.raises(Placed) as placed:
        tune(adapter=Where("lora", "lora"), trainer=lambda **_: third)
    assert (placed.value.args, current) == ((torch.device("cuda", 3),), [torch.device("cuda", 3)])


def test_a_trainer_that_needs_what_is_not_there_is_one_sentence(tune):
    with pytest.raises(ConfigError, match=r"^this trainer does not suit this machine \(.*\); choose trainer=auto or"):
        tune(trainer=functools.partial(lightning.Trainer, accelerator="tpu", devices=1))


def test_the_embedded_backbone_learns_by_qlora(smollm2, tune, tmp_path):
    adapter = Adapter("qlora", "lora", quantization="nf4", r=4)
    path = tmp_path / "metrics.csv"
    tune(backbone=smollm2, adapter=adapter, rows=make_rows(2), optim={"max_steps": 3}, loggers=[MetricsCSV(path)])
    first, _, last = (float(row["loss"]) for row in csv.DictReader(path.open()))
    assert last < first
    assert list((tmp_path / "run" / "adapter").glob("adapter_model.safetensors"))
