"""Run folders: one configuration each, resumable, refused to any other, and never left half-written.

A folder holds our marker and ``config.yaml`` from its first moment and ``metrics.json`` from its last; in between,
records are appended line by line, so whatever was finished when a run was killed stays usable.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from fireact import editions, folders
from fireact.errors import StorageError
from fireact.folders import FAILED, RUN, appending, replace, writing

CONFIG, METRICS = "config.yaml", "metrics.json"
APPENDED = ("predictions.jsonl",)  # what a kill may leave with half a line at its end
# Keys that say where a run happens and how it is watched, not what comes out of it: at any depth, with all below them.
IGNORED = (
    "act",
    "at_most",  # whether too few trajectories are refused
    "axes",
    "cache_dir",
    "cell",
    "contact",
    "data.released",  # what is there anyway, and checked against
    "experiment",
    "journal",
    "limits",
    "lm.adapter",
    "lm.api_key_env",
    "lm.budget_usd",
    "lm.cache_gib",
    "lm.concurrency",
    "lm.max_retries",
    "lm.prices",
    "lm.requests_per_minute",
    "lm.stream",
    "lm.timeout_s",
    "lm.tokens_per_minute",
    "logger",
    "plan",
    "process_per_cell",
    "run_dir",
    "recipe",
    "runs_dir",
    "save_every",
    "scored",
    "then_act",
    "trainer.log_every_n_steps",
    "tuned",  # a place; what is in it counts, and whoever opens the run adds its digest
)
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
    shaped = shaping(config, ignore)
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
    return Run(folder, _hash(shaped), finished if resuming else State.NEW)


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
    folder, wanted = Path(folder), _hash(shaping(config))
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


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON so that ``path`` holds either the old text or the whole new one.

    Raises:
        StorageError: the file cannot be written.
    """
    with writing(path):
        replace(path, [json.dumps(value, indent=2, ensure_ascii=False) + "\n"])


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON line per row so that ``path`` holds either the old lines or all of the new ones.

    Raises:
        StorageError: the file cannot be written.
    """
    with writing(path):
        replace(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_line(path: Path, value: Any) -> None:
    """Append ``value`` as one JSON line that survives a kill right after the call.

    It is not synced to the disk, which can take a second where others use it and would hold up every dialogue in
    flight: a power cut may take the last lines with it, and they are made again.

    Raises:
        StorageError: the file cannot be written.
    """
    with writing(path), appending(path) as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def repair_lines(path: Path) -> None:
    """Cut off a last line that a kill left unfinished. Its record was never committed, so it is made again."""
    size = path.stat().st_size
    if size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        end = text.rfind(b"\n") + 1
    if end < size:
        os.truncate(path, end)


def shaping(config: Mapping[str, Any], ignore: Sequence[str] = IGNORED) -> dict[str, Any]:
    """The leaves of a configuration, by dotted key, that decide what comes out: all but the ignored ones."""
    ignored = [f".{key}." for key in ignore]
    leaves = _leaves(editions.without_effect(config))
    return {key: leaf for key, leaf in leaves if not any(part in f".{key}." for part in ignored)}


def digests(leaves: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of every file that the leaves of a configuration name."""
    return {key: digest(leaf) for key, leaf in leaves.items() if isinstance(leaf, str) and os.path.isfile(leaf)}


def digest(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | list | tuple) and value:
        for name, below in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _hash(shaped: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()


def _refuse_another(folder: Path, shaped: Mapping[str, Any], ignore: Sequence[str]) -> None:
    try:
        saved = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except yaml.YAMLError:
        saved = None
    if not isinstance(saved, dict):
        raise StorageError(f"{folder / CONFIG} is not a configuration; remove {folder} or choose another run folder")
    there = shaping(saved, ignore)
    for key in sorted({*there, *shaped}, key=lambda key: (key not in editions.ABSENT, key)):
        theirs, ours = (leaves.get(key, editions.ABSENT.get(key, _ABSENT)) for leaves in (there, shaped))
        if theirs != ours:
            raise StorageError(
                f"{folder} was made with {key}={theirs}, not {key}={ours}; choose another run folder or remove that one"
            )
