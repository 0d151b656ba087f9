"""The unpacked embedded backbone: whatever happens to its folder, it is found and made again to the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from fireact.errors import StorageError
from fireact.models import embedded
from fireact.trajectories.storage import digests

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256))}


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where something was unpacked, in order; what is, are two small files."""
    done = []

    def unpack(folder: Path) -> None:
        done.append(folder)
        folder.mkdir()
        for name, content in FILES.items():
            (folder / name).write_bytes(content)

    monkeypatch.setattr(embedded, "_unpack", unpack)
    monkeypatch.setattr(digests, "_LARGE", 100)  # the weights are large, so their digest is kept
    return done


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in FILES}


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(bytes(range(255))),
        lambda folder: (folder / "model.safetensors").write_bytes(bytes(range(255)) + b"\0"),
        lambda folder: (folder / "config.json").write_bytes(b""),
        lambda folder: (folder / "sha256.json").unlink(),
        lambda folder: (folder / "sha256.json").write_text("[]"),
    ],
)
def test_a_damaged_folder_is_unpacked_again(
    damage: Callable[[Path], None], tmp_path: Path, unpacked: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "backbones" / "smollm2_135m"
    for _ in range(2):
        assert embedded.prepare_embedded(folder) == folder
    assert len(unpacked) == 1
    damage(folder)
    with caplog.at_level(logging.WARNING):
        embedded.prepare_embedded(folder)
    assert (len(unpacked), _content(folder)) == (2, FILES)
    assert "is unpacked again" in caplog.text


def test_what_was_left_half_unpacked_is_removed(tmp_path: Path, unpacked: list[Path]) -> None:
    folder = tmp_path / "backbones" / "smollm2_135m"
    for left in ("smollm2_135m.partial", "smollm2_135m.17.partial"):
        (folder.parent / left).mkdir(parents=True)
    embedded.prepare_embedded(folder)
    assert {path.name for path in folder.parent.iterdir()} == {"smollm2_135m", "smollm2_135m.lock"}


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path, unpacked: list[Path]) -> None:
    (tmp_path / "backbones").write_text("a file")
    with pytest.raises(StorageError, match="can't be unpacked to .*; free space or choose another cache_dir"):
        embedded.prepare_embedded(tmp_path / "backbones" / "smollm2_135m")
