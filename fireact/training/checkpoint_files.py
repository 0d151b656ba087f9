"""Files of checkpoints: written whole or not at all, the last good one kept, and a torn one told from a whole one.

Lightning's own writer goes by way of TMPDIR and copies where that is on another file system, so that a kill or a full
disk in the midst of the copy leaves half a checkpoint in the place of a whole one.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import lightning
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fireact.errors import StorageError
from fireact.trajectories.storage.writing import replacing

LAST, PREVIOUS, BEST = "last.ckpt", "last.previous.ckpt", "best.ckpt"
# What Lightning and our own module go on from.
_PARTS = {"state_dict", "optimizer_states", "loops", "global_step", "callbacks", "totals", "rng"}


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it, and only then moves it there (see ``replacing``).

    The ``last.ckpt`` that a new one replaces stays as ``last.previous.ckpt``: so there are two on the disk, and three
    while one is written.

    Args:
        whole: whether the ``last.ckpt`` that is there already, if any, can be gone on from; else it is not kept.
    """

    def __init__(self, whole: bool) -> None:
        self._whole = whole

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` to ``path``; whatever fails, what was there before is there still.

        Raises:
            OSError: it can't be written.
            TypeError: there are ``storage_options``, of which a local file has none.
        """
        if storage_options is not None:
            raise TypeError(f"a local checkpoint takes no storage_options, not {storage_options}")
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_last = path.name == LAST
        with replacing(path, "xb", keep=path.with_name(PREVIOUS) if is_last and self._whole else None) as file:
            _write(checkpoint, file)
        self._whole = self._whole or is_last


def write_safely(trainer: lightning.Trainer, whole: bool) -> None:
    """Let whatever strategy ``trainer`` has write its checkpoints so, unless a user has chosen another writer."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = SafeCheckpointIO(whole)


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """A checkpoint that can be gone on from, its tensors mapped and not read; None for one that is torn.

    The digest of each part (CRC-32, which ``torch.save`` writes) tells a torn file, even one of the right length.

    Raises:
        StorageError: it may not be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except PermissionError as error:
        raise StorageError(f"checkpoint {path} can't be read ({error.strerror}); allow that, or remove it") from None
    except Exception:  # there is no end to what the readers of a damaged file raise
        return None
    return checkpoint if isinstance(checkpoint, dict) and set(checkpoint) >= _PARTS else None


def _write(checkpoint: dict[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:  # torch finds its archive unfinished, and so hides what the file said
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
