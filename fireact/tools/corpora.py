"""What BM25 searches: a task's documents, or a corpus on disk with its index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from fireact.tools.mapped import Lines, Parse, line_of, open_mapped, place_of
from fireact.tools.postings import Postings
from fireact.trajectories.records import Document
from fireact.trajectories.storage.digests import digest


class Corpus(Protocol):
    """Anything with a name and documents; every task with a corpus is one."""

    name: str

    def documents(self) -> Iterable[Document]: ...


@runtime_checkable
class SharedCorpus(Corpus, Protocol):
    """A corpus that is the same for several tasks, or for several runs of one."""

    @property
    def corpus_name(self) -> str:
        """What it is called in the name of a search tool."""
        ...

    def corpus_digest(self) -> str | None:
        """What the documents depend on, so that their index is kept on disk; None for those that are few.

        Raises:
            DataError: the documents can't be had.
        """
        ...


@dataclass(frozen=True)
class Mapped:
    """Documents and index of a corpus on disk."""

    name: str
    documents: Lines
    index: Postings


def text_of(document: Document, title_weight: int) -> str:
    """What is indexed of a document: its title, as often as it counts, and its text."""
    return f"{(document.title + ' ') * title_weight}{document.text}"


def mapped_file(path: Path, cache_dir: Path, title_weight: int, parse: Parse) -> Mapped:
    """The corpus of a JSONL file, indexed below ``cache_dir``: made once for every content and title weight.

    Raises:
        DataError: a row is malformed.
        StorageError: ``cache_dir`` can't be written.
    """
    place = place_of(cache_dir, digest(path, cache_dir), f"title_weight={title_weight}")
    return Mapped(path.stem, *open_mapped(place, path, parse, partial(text_of, title_weight=title_weight)))


def mapped_corpus(corpus: SharedCorpus, digest: str, cache_dir: Path, title_weight: int, parse: Parse) -> Mapped:
    """A task's documents, written out and indexed below ``cache_dir``: made once for every digest and title weight.

    Raises:
        DataError: the documents can't be had.
        StorageError: ``cache_dir`` can't be written.
    """

    def write(path: Path) -> None:
        with path.open("wb") as out:
            out.writelines(map(line_of, corpus.documents()))

    place = place_of(cache_dir, digest, f"documents title_weight={title_weight}")
    opened = open_mapped(place, write, parse, partial(text_of, title_weight=title_weight))
    return Mapped(corpus.corpus_name, *opened)
