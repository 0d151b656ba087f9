"""Writing files so that a kill or a full disk leaves each as it was or whole, and never through a link."""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from fireact.errors import StorageError

_LONE_SURROGATES = "backslashreplace"  # JSON can hold them and UTF-8 cannot: they become their JSON escapes
_TEMPORARY = re.compile(r"\.(.+)\.\d+\.tmp")


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


def replace(path: Path, texts: Iterable[str]) -> None:
    """Write a file so that ``path`` holds either what it held or all of the new text. OSError is the caller's."""
    with replacing(path) as file:
        file.writelines(texts)


@contextmanager
def replacing(path: Path, mode: str = "x", keep: Path | None = None) -> Iterator[IO[Any]]:
    """A file beside ``path`` that is synced and takes its place when the block ends well, and goes when it does not.

    What ``path`` held is gone then, or lies at ``keep``. ``mode`` is ``x`` for text, ``xb`` for bytes. OSError is the
    caller's.
    """
    # The process id keeps two ranks of one run out of each other's temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # _TEMPORARY reads it
    temporary.unlink(missing_ok=True)
    encoding, errors = (None, None) if "b" in mode else ("utf-8", _LONE_SURROGATES)
    try:
        with open(temporary, mode, encoding=encoding, errors=errors) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def remove_unfinished(folder: Path, written: re.Pattern[str] = re.compile(".+")) -> None:
    """Remove what processes that were killed while they wrote files of these names have left beside them.

    Nobody else may be writing there.
    """
    for left in folder.glob(".*.tmp"):
        if (name := _TEMPORARY.fullmatch(left.name)) and written.fullmatch(name[1]):
            left.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring new names to the disk, on file systems that can sync a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def appending(path: Path) -> TextIO:
    """A file to append to; OSError where a link lies in its place."""
    return open(path, "a", encoding="utf-8", errors=_LONE_SURROGATES, opener=_through_no_link)


@contextmanager
def writing(path: Path, instead: str = "choose another run folder") -> Iterator[None]:
    """Turn the OSError of a block that writes ``path`` into a sentence; ``instead`` is what else a user may do.

    Raises:
        StorageError: what the block could not do.
    """
    try:
        yield
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise StorageError(
            f"cannot write {path} ({why}); free or fix that place, or {instead}"
        ) from error


def _through_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
