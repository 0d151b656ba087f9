"""Whose a folder is: those that we fill carry a marker, and anybody else's is never written to.

The marker is there from the first moment and its name is nobody else's, so whatever else lies in such a folder under a
name that we write is ours. A folder of the first edition, which had no marker, is known by what its first file says.
Symbolic links are not written through; one that stands in place of a whole folder of ours is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fireact.errors import StorageError
from fireact.trajectories.storage.writing import replace, writing

FORMAT = 1  # of the folders themselves; a marker says with which one its folder was made
FAILED = "failed.txt"  # the sentence in which the last attempt ended
_METRICS = "metrics.json"
_LOGS = {f"{script}.log" for script in ("train", "evaluate", "generate")}
_SCRATCH = re.compile(r"\.lock|.*\.log")  # empty, they are all that an attempt leaves which ended before it began


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Args:
        first: the file that it begins with, which has all of these ``keys``.
        written: every name directly in it that we write.
        fix: what to do about a folder that is somebody else's.
    """

    name: str
    marker: str
    first: str
    keys: frozenset[str]
    written: re.Pattern[str]
    fix: str


RUN = Kind(
    "run folder",
    ".fireact-run.json",
    "config.yaml",
    frozenset({"run_dir", "axes", "cell"}),
    re.compile(r"\.fireact-run\.json|\.lock|.*\.log|config\.yaml|metrics\.json|failed\.txt|predictions\.jsonl"
               r"|trajectories\.(alpaca\.json|(chat\.)?jsonl)|journal\.sqlite(-wal|-shm)?|adapter(\.partial)?"
               r"|checkpoints|logs|wandb|acting"),
    "name a new or an empty folder as run_dir",
)  # fmt: skip
GRID = Kind(
    "grid folder",
    ".fireact-grid.json",
    "grid.json",
    frozenset({"experiment", "command", "cells"}),
    re.compile(r"\.fireact-grid\.json|.*\.(json|md|csv|png|svg|html)|logs|wandb"),
    "move it away, or choose another runs_dir",
)


def claim(folder: str | Path, kind: Kind = RUN) -> None:
    """Make a new or an empty folder ours, or find it so.

    Raises:
        StorageError: it holds files of somebody else's, of which none is touched, or it can't be written.
    """
    folder = Path(folder)
    check(folder, kind)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(folder / kind.marker, "x", encoding="utf-8") as file:
            file.write(json.dumps({"format": FORMAT}) + "\n")


def check(folder: str | Path, kind: Kind = RUN) -> None:
    """Refuse what ``claim`` would, and change nothing.

    Raises:
        StorageError: the folder is somebody else's, or links lie where we would write.
    """
    folder = Path(folder)
    with writing(folder):
        if folder.is_symlink() and not is_ours(folder, kind):
            raise StorageError(f"{folder} is a link to {os.readlink(folder)}, which is no {kind.name} of ours; "
                               f"nothing was touched; remove the link, or {kind.fix}")
        if not os.path.lexists(folder):
            return
        if not is_ours(folder, kind) and not _holds_nothing(folder) and not _marked(folder, kind):
            raise StorageError(f"{folder} holds files and is no {kind.name} of ours, so nothing in it was touched; "
                               f"{kind.fix}")
        for link in _links(folder, kind):
            raise StorageError(f"{link} is a link, which is not written through; put what it leads to in its place, "
                               f"or {kind.fix}")


def is_ours(folder: str | Path, kind: Kind = RUN) -> bool:
    """Whether a folder, or what a link of this name leads to, is of this kind.

    Raises:
        StorageError: a newer version has made it.
    """
    return _marked(Path(folder), kind) or _of_first_edition(Path(folder), kind)


def is_own_log(path: Path) -> bool:
    """Whether a file is Hydra's log of a script of ours, or a log without a word; any other may be the user's."""
    return path.is_file() and not path.is_symlink() and (
        path.name in _LOGS or path.suffix == ".log" and path.stat().st_size == 0
    )


def is_own_link(path: str | Path) -> bool:
    """Whether ``run_folders.link_to_equal`` may have made this link: to something next to it."""
    return os.path.islink(path) and os.path.dirname(os.readlink(path)) == ""


def note_failure(folder: str | Path, sentence: str) -> None:
    """Leave the sentence in which an attempt ended, in a run folder; nowhere else, and not on a full disk."""
    with suppress(OSError, StorageError):
        if is_ours(folder):
            replace(Path(folder, FAILED), [sentence.rstrip("\n") + "\n"])


def forget_failure(folder: str | Path) -> None:
    """Remove what ``note_failure`` left."""
    if is_ours(folder):
        Path(folder, FAILED).unlink(missing_ok=True)


def _marked(folder: Path, kind: Kind) -> bool:
    marker = folder / kind.marker
    if marker.is_symlink() or not marker.is_file():
        return False
    try:
        made_with = json.loads(marker.read_text(encoding="utf-8"))["format"]
    except (ValueError, KeyError, TypeError):  # torn by a kill: its name says enough
        return True
    if made_with != FORMAT:
        raise StorageError(f"{folder} was made by another version of fireact (format {made_with}; this one writes "
                           f"{FORMAT}); use that version, or {kind.fix}")
    return True


def _of_first_edition(folder: Path, kind: Kind) -> bool:
    first = folder / kind.first
    if first.is_symlink() or not first.is_file():
        return False
    parse: Any = json.loads if first.suffix == ".json" else yaml.safe_load
    try:
        found = parse(first.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return False
    return isinstance(found, dict) and kind.keys <= set(found)


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, or holds what an attempt of the first edition left that ended before it began."""
    entries = list(folder.iterdir())
    left = [e for e in entries if _SCRATCH.fullmatch(e.name) and not e.is_symlink() and e.stat().st_size == 0]
    note = [entry for entry in entries if entry.name == FAILED and left and not entry.is_symlink()]
    return len(left) + len(note) == len(entries)


def _links(folder: Path, kind: Kind) -> Iterator[Path]:
    """The links under names that we would write. What a finished run has no more use for may lie elsewhere."""
    moved = {"adapter", "checkpoints"} if (folder / _METRICS).is_file() else set()
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() and kind.written.fullmatch(entry.name) and entry.name not in moved:
            yield entry
        elif entry.name in {"logs", "checkpoints"} - moved and entry.is_dir():
            yield from (below for below in sorted(entry.iterdir()) if below.is_symlink())
