"""Pickled adapters as safetensors: the same bits, nothing run, the old file left."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fireact.errors import ModelError, StorageError
from fireact.models.pickled import convert
from tests.conftest import ROOT

SHARED = torch.arange(6, dtype=torch.float32)
WEIGHTS = {
    "a.lora_A.weight": torch.tensor([[1.5, float("nan")], [-0.0, 3e-40]]),
    "a.lora_B.weight": torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16),
    "b.lora_A.weight": SHARED[:4].reshape(2, 2).T,
    "b.lora_B.weight": SHARED[2:],
}


def test_every_tensor_is_written_bit_for_bit_and_the_old_file_stays(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "adapter_model.bin")
    before = (tmp_path / "adapter_model.bin").read_bytes()
    command = [sys.executable, "-m", "fireact.models.pickled", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/adapter_model.safetensors\n")
    written = load_file(tmp_path / "adapter_model.safetensors")
    assert written.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        assert written[name].dtype == weight.dtype
        assert written[name].contiguous().view(torch.uint8).tolist() == weight.contiguous().view(torch.uint8).tolist()
    assert (tmp_path / "adapter_model.bin").read_bytes() == before
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (
        1, f"{tmp_path}/adapter_model.safetensors is there already, and it is what is read; nothing was changed\n"
    )


class _Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return pathlib.Path.touch, (self.mark,)


def test_what_is_no_tensor_is_refused_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.bin"
    with pytest.raises(ModelError, match="is no file"):
        convert(tmp_path)
    torch.save({**WEIGHTS, "more": _Trap(tmp_path / "sprung")}, file)
    with pytest.raises(ModelError, match="holds more than weights, and code is not run"):
        convert(tmp_path)
    torch.save({"a": 1}, file)
    with pytest.raises(ModelError, match="something else than tensors"):
        convert(tmp_path)
    torch.save(WEIGHTS, file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelError, match="is damaged"):
        convert(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter_model.bin"]


def test_a_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    torch.save(WEIGHTS, elsewhere / "weights.bin")
    (tmp_path / "adapter_model.bin").symlink_to(elsewhere / "weights.bin")
    with pytest.raises(ModelError, match="is no file"):
        convert(tmp_path)
    (tmp_path / "adapter_model.safetensors").symlink_to(elsewhere / "new")
    with pytest.raises(StorageError, match="is there already"):
        convert(tmp_path)
    assert [path.name for path in elsewhere.iterdir()] == ["weights.bin"]
