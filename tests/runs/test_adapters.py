"""What has become of the adapter of a finished tuning: written again where that can be, else named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fireact.errors import ModelError, StorageError
from fireact.runs import run_folders
from fireact.runs.adapters import check, damage, reopened, weights
from fireact.runs.run_folders import Run, State
from fireact.trajectories.storage.writing import write_json


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = run_folders.open(tmp_path / "run", {"seed": 0})
    adapter = run.folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "last.ckpt").touch()
    run.finish({"adapter_sha256": weights(adapter)})
    return run_folders.open(run.folder, {"seed": 0})


def _gone(adapter: Path) -> None:
    shutil.rmtree(adapter)


def _emptied(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()


def _changed(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"Weights")


CHANGED = "is damaged: adapter_model.safetensors is not what the tuning wrote"


@pytest.mark.parametrize(("harm", "wrong"), [(_gone, "is gone"), (_emptied, CHANGED), (_changed, CHANGED)])
def test_it_is_written_again_from_a_checkpoint_and_never_acts_till_then(
    run: Run, harm: Callable[[Path], None], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = run.folder / "adapter"
    assert (damage(adapter), reopened(run, wanted=True)) == ("", run)
    check(adapter)
    harm(adapter)
    with pytest.raises(ModelError, match=f"{wrong}; the command that tuned it writes it again"):
        check(adapter)
    assert reopened(run, wanted=False).state is State.RESUMING
    assert capsys.readouterr().out == f"{adapter} {wrong}; it is written again from the last checkpoint\n"
    assert run_folders.open(run.folder, {"seed": 0}).state is State.RESUMING


def test_without_a_checkpoint_it_is_named_where_it_is_needed(run: Run) -> None:
    shutil.rmtree(run.folder / "adapter")
    shutil.rmtree(run.folder / "checkpoints")
    assert reopened(run, wanted=False) == run  # all that it was for is done
    with pytest.raises(StorageError, match=r"is gone, and no checkpoint is left; to tune again, remove .*metrics.json"):
        reopened(run, wanted=True)


def test_one_that_lies_elsewhere_is_not_written_in_the_place_of_its_link(run: Run, tmp_path: Path) -> None:
    adapter, elsewhere = run.folder / "adapter", tmp_path / "disk"
    adapter.rename(elsewhere)
    adapter.symlink_to(elsewhere)
    assert (damage(adapter), reopened(run, wanted=True)) == ("", run)
    elsewhere.rename(tmp_path / "unplugged")
    with pytest.raises(StorageError, match="is a link to .*disk, which is not there; put it there, or remove the link"):
        reopened(run, wanted=True)
    assert reopened(run, wanted=False) == run and adapter.is_symlink()


@pytest.mark.parametrize("written", [{}, [], {"adapter_sha256": None}])
def test_of_older_runs_only_the_lack_of_weights_is_known(run: Run, written: object) -> None:
    adapter = run.folder / "adapter"
    write_json(run.folder / "metrics.json", written)
    _changed(adapter)
    assert damage(adapter) == ""
    _emptied(adapter)
    assert damage(adapter) == "holds no weights"


def test_pickled_weights_are_known_by_their_digest_too(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"a")
    (tmp_path / "training_args.bin").write_bytes(b"b")
    assert list(weights(tmp_path)) == ["adapter_model.bin"]
    (tmp_path / "adapter_model.safetensors").write_bytes(b"c")
    assert list(weights(tmp_path)) == ["adapter_model.safetensors"]
    assert weights(None) == {}
