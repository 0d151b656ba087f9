"""Run folders: one configuration each, resumable, refused to any other, and never left half-written.

A folder holds our marker and ``config.yaml`` from its first moment and ``metrics.json`` from its last; in between,
records are appended line by line, so whatever was finished when a run was killed stays usable.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from fireact.errors import StorageError
from fireact.runs import editions
from fireact.runs.result_keys import IGNORED, config_hash, result_keys
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED, RUN
from fireact.trajectories.storage.writing import appending, repair_lines, replace, write_json, writing

CONFIG, METRICS = "config.yaml", "metrics.json"
APPENDED = ("predictions.jsonl",)  # what a kill may leave with half a line at its end
_ABSENT = "absent"
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


class State(StrEnum):
    """What was found in the folder."""

    NEW = "new"
    RESUMING = "resuming"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Run:
    """An opened run folder. ``config_hash`` is the same for every configuration that gives the same results."""

    folder: Path
    config_hash: str
    state: State

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``finish`` wrote; only a finished run has it."""
        metrics: dict[str, Any] = json.loads((self.folder / METRICS).read_text(encoding="utf-8"))
        return metrics

    def reopen(self) -> Run:
        """The run without its metrics: it goes on where it stopped."""
        (self.folder / METRICS).unlink()
        return dataclasses.replace(self, state=State.RESUMING)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``, which marks the folder as finished."""
        write_json(self.folder / METRICS, {**metrics, "config_hash": self.config_hash})


def open(folder: str | Path, config: Mapping[str, Any], ignore: Sequence[str] = IGNORED) -> Run:
    """Make the folder this configuration's own, or find it so.

    An attempt that ended before it did anything, as where a file was missing, leaves the folder to whatever comes next.

    Args:
        config: the resolved configuration: plain dictionaries, lists and scalars.
        ignore: keys, or ends of dotted keys, that do not shape results and enter neither the comparison nor
            ``config_hash``.

    Raises:
        StorageError: the folder cannot be written, is somebody else's, or was made by another configuration.
    """
    folder = Path(folder)
    shaped = result_keys(config, ignore)
    for key, value in shaped.items():
        if isinstance(value, str) and _PASSWORD.search(value):
            raise StorageError(f"{key} holds a password, which would be kept in {folder / CONFIG}; give it by an "
                               "environment variable")
    folders.claim(folder)
    with writing(folder):
        resuming = (folder / CONFIG).exists() and any(map(_is_begun, folder.iterdir()))
        if resuming:
            _refuse_another(folder, shaped, ignore)
        else:
            replace(folder / CONFIG, [yaml.safe_dump(dict(config), sort_keys=True, allow_unicode=True)])
        for lines in (folder / name for name in APPENDED):
            if lines.exists():
                repair_lines(lines)
    finished = State.FINISHED if (folder / METRICS).exists() else State.RESUMING
    return Run(folder, config_hash(shaped), finished if resuming else State.NEW)


def is_first_rank() -> bool:
    """Whether this process is not one of the helpers of a fit on several devices or machines; they write nothing."""
    return all(os.environ.get(rank, "0") == "0" for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def adopt(folder: str | Path, config: Mapping[str, Any]) -> None:
    """Make a new ``folder`` a link to a finished run beside it that came from the same configuration, if any did.

    Two sweeps may name one run differently (``loss_on=targets`` is the default anyway); it is still paid for once. A
    folder that holds nothing but our marker and logs is new.

    Raises:
        StorageError: the link cannot be made, or the folder is somebody else's.
    """
    folders.check(folder)
    folder, wanted = Path(folder), config_hash(result_keys(config))
    if folder.is_symlink() or folder.exists() and any(_is_work(path) for path in folder.iterdir()):
        return
    for metrics in sorted(folder.parent.glob(f"*/{METRICS}")):
        if not metrics.parent.is_symlink() and _hash_in(metrics) == wanted and folders.is_ours(metrics.parent):
            print(f"{folder} is the same run as {metrics.parent}", flush=True)
            with writing(folder):
                if _make_way(folder):
                    folder.symlink_to(metrics.parent.name)
            return


def _is_work(path: Path) -> bool:
    """Whether a file of a run folder is more than what an attempt of ours leaves that ended before its work began."""
    return path.is_symlink() or not folders.is_own_log(path) and path.name not in (RUN.marker, FAILED)


def _is_begun(path: Path) -> bool:
    """Whether a file of a run folder is more than the configuration of an attempt that ended before its work began."""
    is_empty_folder = path.is_dir() and not any(path.iterdir())
    return _is_work(path) and path.name not in (CONFIG, ".lock") and path.suffix != ".log" and not is_empty_folder


def _make_way(folder: Path) -> bool:
    """Remove a folder that holds no work; False where another process begins to work there meanwhile."""
    if folder.exists():
        for path in [*filter(folders.is_own_log, folder.iterdir()), folder / FAILED, folder / RUN.marker]:
            path.unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            folders.claim(folder)
            return False
    return True


def _hash_in(metrics: Path) -> str | None:
    """The configuration's hash in a ``metrics.json``, which may be somebody else's file of that name."""
    with suppress(OSError, ValueError, AttributeError):
        found: str | None = json.loads(metrics.read_text(encoding="utf-8")).get("config_hash")
        return found
    return None


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the folder for this process: another one that wants it (a cell of a parallel sweep) waits its turn.

    Raises:
        StorageError: the folder cannot be written, or is somebody else's.
    """
    folders.claim(folder)
    path = Path(folder, ".lock")
    with writing(path):
        file = appending(path)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that works in {folder}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_another(folder: Path, shaped: Mapping[str, Any], ignore: Sequence[str]) -> None:
    try:
        saved = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except yaml.YAMLError:
        saved = None
    if not isinstance(saved, dict):
        raise StorageError(f"{folder / CONFIG} is not a configuration; remove {folder} or choose another run folder")
    there = result_keys(saved, ignore)
    for key in sorted({*there, *shaped}, key=lambda key: (key not in editions.ABSENT, key)):
        theirs, ours = (leaves.get(key, editions.ABSENT.get(key, _ABSENT)) for leaves in (there, shaped))
        if theirs != ours:
            raise StorageError(
                f"{folder} was made with {key}={theirs}, not {key}={ours}; choose another run folder or remove that one"
            )
