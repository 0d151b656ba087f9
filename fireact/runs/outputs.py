"""The files that a finished run's figures were counted from: their digests stand among the figures, so that damage to
them is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fireact.errors import StorageError
from fireact.runs.run_folders import METRICS, Run
from fireact.trajectories.storage.digests import digest

SHA256 = "files_sha256"  # among the figures
PREDICTIONS = "predictions.jsonl"
_PATTERNS = (PREDICTIONS, "trajectories.*json*")


def figures(folder: Path, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``metrics`` with the digests of the files that they are of."""
    files = sorted(file for pattern in _PATTERNS for file in folder.glob(pattern))
    return {**metrics, SHA256: {file.name: digest(file) for file in files}}


def whole(run: Run, journal: Path | None) -> Run:
    """A finished run; or the same to be gone on with, where a file of it is damaged that can be made again: from
    ``journal``, or from the predictions.

    Raises:
        StorageError: the predictions are damaged, and there is no journal.
    """
    recorded = run.metrics.get(SHA256)
    if not isinstance(recorded, dict):  # of before
        return run
    damaged = [name for name, sha256 in recorded.items() if not _is(run.folder / name, sha256)]
    if not damaged:
        return run
    what = f"{run.folder / damaged[0]} is gone or damaged"
    if PREDICTIONS in damaged and (journal is None or not journal.is_file()):
        raise StorageError(f"{what}, and there is no journal to write it again from; to ask again, remove "
                           f"{run.folder / METRICS} and run the same command")
    print(f"{what}; it is written again", flush=True)
    for name in damaged:
        (run.folder / name).unlink(missing_ok=True)
    return run.reopen()


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and not file.is_symlink() and digest(file) == sha256
