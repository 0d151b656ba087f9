"""The adapter that a finished tuning has left: its digest is among the run's figures, so damage to it is found."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fireact.errors import ModelError, StorageError
from fireact.runs.run_folders import METRICS, Run
from fireact.trajectories.storage.digests import digest

SHA256 = "adapter_sha256"  # among the figures of a tuning
_CHECKPOINTS = ("last.ckpt", "last.previous.ckpt")


def weights(adapter: str | Path | None) -> dict[str, str]:
    """The digest of every weight file of an adapter folder: of its pickled ones where there are no others."""
    if not adapter:
        return {}
    files = sorted(Path(adapter).glob("*.safetensors")) or sorted(Path(adapter).glob("*model*.bin"))
    return {file.name: digest(file) for file in files}


def damage(adapter: Path) -> str:
    """What has become of the adapter of a finished tuning, if it is not as that wrote it; empty where it is, or where
    nothing says how that was.
    """
    if adapter.is_symlink() and not adapter.exists():
        return f"is a link to {os.readlink(adapter)}, which is not there"
    if not adapter.is_dir():
        return "is gone"
    written: Any = None
    with suppress(OSError, ValueError):
        written = json.loads((adapter.parent / METRICS).read_text(encoding="utf-8"))
    recorded = written.get(SHA256) if isinstance(written, dict) else None
    found = weights(adapter)
    if not isinstance(recorded, dict):
        return "" if found else "holds no weights"
    wrong = [name for name, sha256 in recorded.items() if found.get(name) != sha256]
    return f"is damaged: {wrong[0]} is not what the tuning wrote" if wrong else ""


def check(adapter: Path) -> None:
    """Refuse to act with an adapter that is not as its tuning wrote it.

    Raises:
        ModelError: what has become of it.
    """
    if adapter.name == "adapter" and (adapter.parent / METRICS).is_file() and (wrong := damage(adapter)):
        raise ModelError(f"{adapter} {wrong}; the command that tuned it writes it again from its last checkpoint")


def reopened(run: Run, wanted: bool) -> Run:
    """A finished tuning; or the same to be gone on with, where its adapter can be written again from a checkpoint.

    Args:
        wanted: whether its adapter is still needed.

    Raises:
        StorageError: it is needed, and lost.
    """
    adapter = run.folder / "adapter"
    wrong = damage(adapter)
    if not wrong:
        return run
    if adapter.is_symlink():
        if wanted:
            raise StorageError(f"{adapter} {wrong}; put it there, or remove the link, and run the same command again")
    elif any((run.folder / "checkpoints" / name).is_file() for name in _CHECKPOINTS):
        print(f"{adapter} {wrong}; it is written again from the last checkpoint", flush=True)
        return run.reopen()
    elif wanted:
        raise StorageError(f"{adapter} {wrong}, and no checkpoint is left; to tune again, remove "
                           f"{run.folder / METRICS} and run the same command")
    return run
