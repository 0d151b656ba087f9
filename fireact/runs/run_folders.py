"""Run folders: one configuration each, resumable, refused to any other, and never left half-written.

A folder holds our marker and ``config.yaml`` from its first moment and ``metrics.json`` from its last; in between,
records are appended line by line, so whatever was finished when a run was killed stays usable.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from fireact.cli import secrets
from fireact.errors import StorageError
from fireact.runs.result_keys import DEFAULTS, config_hash, defaults, differences, result_keys
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED, RUN
from fireact.trajectories.storage.writing import remove_unfinished, repair_lines, replace, write_json, writing

CONFIG, METRICS = "config.yaml", "metrics.json"
APPENDED = ("predictions.jsonl",)  # what a kill may leave with half a line at its end


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


def open(folder: str | Path, config: Mapping[str, Any]) -> Run:
    """Make the folder this configuration's own, or find it so.

    An attempt that ended before it did anything, as where a file was missing, leaves the folder to whatever comes next.

    Args:
        config: the resolved configuration: plain dictionaries, lists and scalars. Only its result keys enter the
            comparison and ``config_hash``.

    Raises:
        ConfigError: the configuration holds a key or a password.
        StorageError: the folder cannot be written, is somebody else's, or was made by another configuration.
    """
    folder = Path(folder)
    shaped = result_keys(config)
    secrets.refuse(config)
    folders.claim(folder)
    with writing(folder):
        resuming = (folder / CONFIG).exists() and any(map(_is_begun, folder.iterdir()))
        if resuming:
            _refuse_another(folder, config)
        else:
            saved = {**config, **({DEFAULTS: left_out} if (left_out := defaults(config)) else {})}
            replace(folder / CONFIG, [yaml.safe_dump(saved, sort_keys=True, allow_unicode=True)])
        for lines in (folder / name for name in APPENDED):
            if lines.exists():
                repair_lines(lines)
        if (folder / METRICS).exists() and not _is_whole(folder / METRICS):
            print(f"{folder / METRICS} is damaged; the run goes on, and writes it again", flush=True)
            (folder / METRICS).unlink(missing_ok=True)  # another rank may have
    finished = State.FINISHED if (folder / METRICS).exists() else State.RESUMING
    return Run(folder, config_hash(shaped), finished if resuming else State.NEW)


def _is_whole(metrics: Path) -> bool:
    """Whether a file holds what ``Run.finish`` writes."""
    try:
        return "config_hash" in json.loads(metrics.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        return False


def is_first_rank() -> bool:
    """Whether this process is not one of the helpers of a fit on several devices or machines; they write nothing."""
    return all(os.environ.get(rank, "0") == "0" for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def link_to_equal(folder: str | Path, config: Mapping[str, Any]) -> None:
    """Make a new ``folder`` a link to a finished run next to it that came from the same configuration, if any did.

    Two sweeps may name one run differently (``loss_on=targets`` is the default anyway); it is still paid for once. A
    folder that holds nothing but our marker and logs is new.

    Raises:
        StorageError: the link cannot be made, or the folder is somebody else's.
    """
    folders.check(folder)
    folder = Path(folder)
    if folder.is_symlink() or folder.exists() and any(_is_work(path) for path in folder.iterdir()):
        return
    for other in (metrics.parent for metrics in sorted(folder.parent.glob(f"*/{METRICS}"))):
        saved = None if other.is_symlink() or not folders.is_ours(other) else _saved(other)
        if saved is not None and not any(differences(saved, config)):
            print(f"{folder} is the same run as {other}", flush=True)
            with writing(folder):
                if _make_way(folder):
                    folder.symlink_to(other.name)
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


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the folder for this process: another one that wants it (a cell of a parallel sweep) waits its turn.

    What a process that was killed there left unfinished is removed.

    Raises:
        StorageError: the folder cannot be written, or is somebody else's.
    """
    folders.claim(folder)
    path = Path(folder, ".lock")
    with writing(path):
        lock = FileLock(path)
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            print(f"waiting for another process that works in {folder}", flush=True)
            held = lock.acquire()
    with held:
        with writing(path):
            remove_unfinished(Path(folder), RUN.written)
        yield


def _refuse_another(folder: Path, config: Mapping[str, Any]) -> None:
    if (saved := _saved(folder)) is None:
        raise StorageError(f"{folder / CONFIG} is not a configuration; remove {folder} or choose another run folder")
    for key, theirs, ours in differences(saved, config):
        raise StorageError(
            f"{folder} was made with {key}={theirs}, not {key}={ours}; choose another run folder or remove that one"
        )


def _saved(folder: Path) -> dict[str, Any] | None:
    """The configuration that a run folder was begun with; None where that is not readable."""
    with suppress(OSError, ValueError, yaml.YAMLError):
        saved = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return saved if isinstance(saved, dict) else None
    return None
