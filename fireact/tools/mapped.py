"""Documents and their BM25 index on disk, mapped into memory: a search reads what it touches and no more."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import bm25s
import numpy as np
from filelock import FileLock

from fireact.errors import StorageError
from fireact.tools.postings import Postings, merge, write_blocks
from fireact.trajectories.records import Document
from fireact.trajectories.storage import reading
from fireact.trajectories.storage.digests import digest
from fireact.trajectories.storage.watching import Watch
from fireact.trajectories.storage.writing import write_json

_DOCUMENTS, _BLOCKS, _LINES = "documents.jsonl", "blocks", "lines.npy"
_MANIFEST = "sha256.json"  # of all other files of an index
_FORMAT = "postings 1"  # of the files of an index
log = logging.getLogger(__name__)

Parse = Callable[[bytes, str], Document]


class Lines(Sequence[Document]):
    """The documents of a JSONL file, each read when it is asked for.

    ``starts`` (N,) int64 holds where each line that is not blank begins, in bytes; ``parse`` makes a document of a line
    and of what to call its place in an error.
    """

    def __init__(self, path: Path, starts: np.ndarray, parse: Parse) -> None:
        self._path, self._starts, self._parse = path, starts, parse

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Document]:
        return self.since(0)

    def since(self, first: int) -> Iterator[Document]:
        """The documents from number ``first`` on."""
        for number, line in itertools.islice(reading.lines(self._path), first, None):
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


def line_of(document: Document) -> bytes:
    """A document as a line of JSON; half of a surrogate pair, which no reader takes, becomes U+FFFD."""
    row = json.dumps({"title": document.title, "text": document.text}, ensure_ascii=False)
    return f"{reading.joined(row)}\n".encode()


def place_of(folder: Path, content: str, key: str) -> Path:
    """Where below ``folder`` the index of a content, told by its digest, lies; another ``key`` is another index."""
    return folder / hashlib.sha256(f"{content} {key} {_FORMAT} {bm25s.__version__}".encode()).hexdigest()[:16]


def open_mapped(
    place: Path, source: Path | Callable[[Path], None], parse: Parse, text_of: Callable[[Document], str]
) -> tuple[Lines, Postings]:
    """The documents of ``source`` and the index of their texts in ``place``, where it is made if it is not there whole.

    Args:
        source: a JSONL file, used where it lies; or what writes one to the path it is given, which then lies with the
            index. It is called again after an interruption, and goes on with what it finds there.
        parse: see ``Lines``.
        text_of: what of a document is indexed.

    Raises:
        DataError: from ``source`` and ``parse``, when the index is made.
        StorageError: the index can't be written.
    """
    try:
        if damage(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_name(f"{place.name}.lock")):  # cells of a grid may want it at once
                if (wrong := damage(place)) and place.is_dir():
                    log.warning(f"the search index in {place} is made again: {wrong}")
                    shutil.rmtree(place)
                if wrong:
                    _make(place, source, parse, text_of)
    except OSError as error:
        raise StorageError(f"the search index can't be written to {place} ({error.strerror or error}); free space "
                           "or choose another cache_dir") from error
    lines = Lines(_file(place, source), np.load(place / _LINES, mmap_mode="r"), parse)
    return lines, Postings(place)


def _make(
    place: Path, source: Path | Callable[[Path], None], parse: Parse, text_of: Callable[[Document], str]
) -> None:
    """Make the index beside its place and move it there, so that a folder of this name is always whole."""
    partial = place.with_name(f"{place.name}.partial")
    partial.mkdir(exist_ok=True)
    if not isinstance(source, Path):
        source(partial / _DOCUMENTS)
    file = _file(partial, source)
    starts, blocks = _starts(file), partial / _BLOCKS

    def index() -> None:
        with Watch(f"indexing {file}", len(starts)) as watch:
            write_blocks(lambda first: _texts(Lines(file, starts, parse), first, text_of, watch), blocks)
        merge(blocks, partial)

    try:
        index()
    except (ValueError, EOFError):  # a block that a power cut has left half written
        shutil.rmtree(blocks)
        index()
    shutil.rmtree(blocks)
    np.save(partial / _LINES, starts)
    write_json(partial / _MANIFEST, {file.name: digest(file) for file in sorted(partial.iterdir())})
    partial.rename(place)


def damage(place: Path) -> str:
    """What is wrong with the index in ``place``, as that there is none; empty where it is what was written.

    One of before there were digests is whole if it opens.
    """
    try:
        if not (place / _MANIFEST).exists():
            Postings(place), np.load(place / _LINES, mmap_mode="r")
            return ""
        written = json.loads((place / _MANIFEST).read_text("utf-8"))
        wrong = [name for name, sha256 in written.items() if digest(place / name, place.parent) != sha256]
    except (OSError, ValueError, AttributeError) as error:
        return f"not all of its files can be read ({getattr(error, 'strerror', None) or error})"
    return f"{wrong[0]} is not what was written" if wrong else ""


def _file(folder: Path, source: Path | Callable[[Path], None]) -> Path:
    return source if isinstance(source, Path) else folder / _DOCUMENTS


def _texts(documents: Lines, first: int, text_of: Callable[[Document], str], watch: Watch) -> Iterator[str]:
    for done, document in enumerate(documents.since(first), start=first):
        watch(done)
        yield text_of(document)


def _starts(path: Path) -> np.ndarray:
    """Where each line of a file that is not blank begins, in bytes (N,); blank ones have a negative size here."""
    with path.open("rb") as file:
        sizes = np.fromiter((len(line) if line.strip() else -len(line) for line in file), dtype=np.int64)
    return (np.cumsum(np.abs(sizes)) - np.abs(sizes))[sizes > 0]
