"""SHA-256 of files; that of a large one is kept, and computed again as soon as the file changes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fireact.trajectories.storage.writing import replace

_LARGE = 64 * 2**20  # bytes; smaller files are read in no time
_SETTLED_S = 2.0  # a file that was changed just now may change again within one tick of its clock


def digest(path: str | Path, cache_dir: str | Path | None = None) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    That of a large file is kept below ``cache_dir``, if one is given, and holds as long as the file's place, size and
    times (of its content and of its entry, to the nanosecond) stay the same.
    """
    path = Path(path).resolve()
    before = _state(path)
    if cache_dir is None or path.stat().st_size < _LARGE:
        return _read(path)
    known = Path(cache_dir, "digests", f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.json")
    with suppress(OSError, ValueError, TypeError):
        state, found = json.loads(known.read_text("utf-8"))
        if state == before:
            return str(found)
    started, found = time.time(), _read(path)
    if _state(path) == before and max(before[2:]) < (started - _SETTLED_S) * 1e9:
        with suppress(OSError):  # it is only read again
            known.parent.mkdir(parents=True, exist_ok=True)
            replace(known, [json.dumps([before, found])])
    return found


def digests(leaves: Mapping[str, Any], cache_dir: str | Path | None = None) -> dict[str, str]:
    """The SHA-256 of every file that the leaves of a configuration name."""
    files = {key: leaf for key, leaf in leaves.items() if isinstance(leaf, str) and os.path.isfile(leaf)}
    return {key: digest(file, cache_dir) for key, file in files.items()}


def _state(path: Path) -> list[Any]:
    stat = path.stat()
    return [os.fspath(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
