"""A corpus file and its BM25 index on disk, mapped into memory: a search reads what it touches and no more."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import bm25s
import numpy as np

from fireact import textfiles
from fireact.errors import StorageError
from fireact.records import Document

_LINES = "lines.npy"


class Lines(Sequence[Document]):
    """The documents of a JSONL file, each read when it is asked for.

    ``starts`` (N,) int64 holds where each line that is not blank begins, in bytes; ``parse`` makes a document of a line
    and of what to call its place in an error.
    """

    def __init__(self, path: Path, starts: np.ndarray, parse: Callable[[bytes, str], Document]) -> None:
        self._path, self._starts, self._parse = path, starts, parse

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Document]:
        for number, line in textfiles.lines(self._path):
            yield self._parse(line, f"{self._path}, line {number}")

    @overload
    def __getitem__(self, at: int) -> Document: ...
    @overload
    def __getitem__(self, at: slice) -> list[Document]: ...

    def __getitem__(self, at: int | slice) -> Document | list[Document]:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        with self._path.open("rb") as file:
            file.seek(int(self._starts[at]))
            return self._parse(file.readline(), f"{self._path}, document {at + 1}")


def open_mapped(
    path: Path, folder: Path, key: str, parse: Callable[[bytes, str], Document],
    index: Callable[[Sequence[Document]], bm25s.BM25],
) -> tuple[Lines, bm25s.BM25]:
    """The documents of ``path`` and their index, which is made once for every content of the file and every ``key``.

    Raises:
        DataError: from ``parse``, when the index is made.
        StorageError: the index can't be written below ``folder``.
    """
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    place = folder / hashlib.sha256(f"{content} {key} {bm25s.__version__}".encode()).hexdigest()[:16]
    if not place.is_dir():
        try:
            _make(path, place, parse, index)
        except OSError as error:
            raise StorageError(f"the index of {path} can't be written to {place} ({error.strerror}); free space or "
                               "choose another cache_dir") from error
    lines = Lines(path, np.load(place / _LINES, mmap_mode="r"), parse)
    return lines, bm25s.BM25.load(place, mmap=True, show_progress=False)


def _make(
    path: Path, place: Path, parse: Callable[[bytes, str], Document], index: Callable[[Sequence[Document]], bm25s.BM25]
) -> None:
    """Write the index beside its place and move it there, so that a folder of this name is always whole."""
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    starts = _starts(path)
    index(Lines(path, starts, parse)).save(partial, show_progress=False)
    np.save(partial / _LINES, starts)
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)


def _starts(path: Path) -> np.ndarray:
    """Where each line of a file that is not blank begins, in bytes (N,); blank ones have a negative size here."""
    with path.open("rb") as file:
        sizes = np.fromiter((len(line) if line.strip() else -len(line) for line in file), dtype=np.int64)
    return (np.cumsum(np.abs(sizes)) - np.abs(sizes))[sizes > 0]
