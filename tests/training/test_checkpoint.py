"""Checkpoints outlive kills, full disks and damage: the last good one stays, and a torn one is never gone on from."""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import tempfile
import time
import zipfile
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import ModelParallelStrategy

from fireact.errors import StorageError
from fireact.models.backbone import Adapter
from fireact.training.checkpoint_files import BEST, LAST, PREVIOUS, SafeCheckpointIO, read_checkpoint, write_safely
from tests.training.test_fit import WEIGHTS, At, crash, interrupt
from tests.training.tiny_runs import LORA, TRAINER, make_rows


@pytest.fixture
def crashed(tune, tmp_path):
    """The checkpoints, of steps 3 and 4, of a run that a power cut has ended."""
    with pytest.raises(RuntimeError, match="power cut"):
        tune("run", loggers=[At(5, crash)], save_every=2)
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def goes_on(tune, tmp_path):
    """Go on with what ``crashed`` began, and check that it reaches the weights of a run that nothing stopped."""

    def run():
        tune("whole")
        tune("run", save_every=2)
        assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()

    return run


def steps(folder):
    return {path.name: torch.load(path, weights_only=True)["global_step"] for path in sorted(folder.glob("*.ckpt"))}


def test_the_last_two_are_kept_and_one_when_all_is_done(crashed, goes_on):
    assert steps(crashed) == {LAST: 4, PREVIOUS: 3}
    goes_on()
    assert steps(crashed) == {LAST: 6}


def cut_in_half(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def zero_the_middle(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(64))


def another_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "world")


def another_checkpoint(path):
    torch.save({"state_dict": {}}, path)


def remove(path):
    path.unlink()


DAMAGES = [cut_in_half, empty, zero_the_middle, another_archive, another_checkpoint, remove]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(crashed, goes_on, caplog, damage):
    damage(crashed / LAST)
    goes_on()
    assert caplog.messages == [f"{crashed / LAST} is torn or missing; going on from {PREVIOUS}"]


def test_without_a_whole_checkpoint_a_run_starts_anew(crashed, goes_on, caplog):
    for name in LAST, PREVIOUS:
        cut_in_half(crashed / name)
    goes_on()
    assert caplog.messages == [f"no checkpoint in {crashed} is whole; starting anew"]


def test_a_torn_checkpoint_never_takes_the_place_of_the_good_one_before(crashed, tune):
    cut_in_half(crashed / LAST)
    with pytest.raises(KeyboardInterrupt):
        tune("run", loggers=[At(5, interrupt)])
    assert steps(crashed) == {LAST: 5, PREVIOUS: 3}


def test_a_checkpoint_whose_best_weights_are_torn_is_not_gone_on_from(tune, tmp_path, caplog):
    options = {"rows": make_rows(16), "data": {"validation": 4}, "early_stop": 3, "optim": {"epochs": 3}}
    tune("whole", **options)
    with pytest.raises(RuntimeError, match="power cut"):
        tune("run", loggers=[At(8, crash)], **options)
    cut_in_half(tmp_path / "run" / "checkpoints" / BEST)
    tune("run", **options)
    assert "starting anew" in caplog.text
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.fixture
def small_files():
    """``small_files(size)`` lets no file grow beyond ``size`` bytes: the writes of a full disk, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_costs_no_checkpoint(tune, goes_on, tmp_path, small_files):
    folder = tmp_path / "run" / "checkpoints"
    fill = At(5, lambda: small_files((folder / LAST).stat().st_size // 2))
    with pytest.raises(StorageError) as error:
        tune("run", loggers=[fill], save_every=2)
    assert str(error.value) == (
        f"checkpoint {folder / LAST} can't be written (File too large); free space, and the same command goes on from "
        "the last good one"
    )
    assert (steps(folder), len(list(folder.iterdir()))) == ({LAST: 4, PREVIOUS: 3}, 2)
    small_files(resource.RLIM_INFINITY)
    goes_on()


def test_an_adapter_that_finds_no_room_is_one_sentence(tune, goes_on, tmp_path, small_files):
    class Cramped(Adapter):
        def save(self, *args):
            small_files(9000)
            super().save(*args)

    with pytest.raises(StorageError, match=r"adapter can't be written \(.*; free space, and the same command writes"):
        tune("run", adapter=Cramped(**vars(LORA)))
    small_files(resource.RLIM_INFINITY)
    goes_on()


class Slow:
    """Tells that it is being written, and then takes its time."""

    def __init__(self, begun):
        self.begun = begun

    def __reduce__(self):
        self.begun.set()
        time.sleep(60)
        return int, ()


def test_a_kill_in_the_midst_of_a_write_leaves_the_last_good_one(crashed, goes_on):
    before, here = (crashed / LAST).read_bytes(), multiprocessing.get_context("fork")
    begun = here.Event()
    checkpoint = {"a": torch.ones(100_000), "b": Slow(begun)}
    process = here.Process(target=SafeCheckpointIO(whole=True).save_checkpoint, args=(checkpoint, crashed / LAST))
    process.start()
    assert begun.wait(60)
    process.kill()
    process.join()
    assert len(list(crashed.glob(".last.ckpt.*.tmp"))) == 1
    assert (crashed / LAST).read_bytes() == before and steps(crashed) == {LAST: 4, PREVIOUS: 3}
    goes_on()
    assert [path.name for path in crashed.iterdir()] == [LAST]


def test_no_checkpoint_goes_by_way_of_another_file_system(tune, tmp_path, monkeypatch):
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no other file system here")
    with tempfile.TemporaryDirectory(dir=shm) as elsewhere:
        monkeypatch.setenv("TMPDIR", elsewhere)
        monkeypatch.setattr(tempfile, "tempdir", None)
        touched = os.stat(elsewhere).st_mtime_ns
        time.sleep(0.01)  # longer than the clock of the file system ticks
        tune(optim={"max_steps": 1})
        assert os.stat(elsewhere).st_mtime_ns == touched
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / LAST)


def test_a_user_s_own_writer_stays(tune, tmp_path):
    class Own(TorchCheckpointIO):
        written = 0

        def save_checkpoint(self, *args, **options):
            Own.written += 1
            super().save_checkpoint(*args, **options)

    tune(optim={"max_steps": 1}, trainer=functools.partial(TRAINER, plugins=[Own()]))
    assert Own.written == 1


@pytest.mark.parametrize("strategy", ["auto", "ddp", ModelParallelStrategy(save_distributed_checkpoint=False)])
def test_every_strategy_writes_by_ours(strategy, tmp_path):
    trainer = lightning.Trainer(accelerator="cpu", devices=1, strategy=strategy, barebones=True)
    write_safely(trainer, whole=True)
    for step in range(3):
        trainer.strategy.save_checkpoint({"global_step": step}, tmp_path / LAST)
    assert steps(tmp_path) == {LAST: 2, PREVIOUS: 1}


def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_a_torn_one(tmp_path, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "ZipFile", forbidden)
    with pytest.raises(StorageError, match=r"last.ckpt can't be read \(Permission denied\)"):
        read_checkpoint(tmp_path / LAST)


def test_tuning_leaves_a_folder_of_somebody_else_s_alone(tune, tmp_path):
    theirs = tmp_path / "run" / "adapter" / "weights"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("W")
    with pytest.raises(StorageError, match="run holds files and is no run folder of ours"):
        tune()
    assert theirs.read_text() == "W"
