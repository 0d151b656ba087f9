"""An inverted index of any size, made in bounded memory and mapped from disk (Robertson & Zaragoza 2009).

It is made in two steps, as external sorting is. Blocks: every ``BLOCK`` documents become postings sorted by term, one
folder each. Merge: as the blocks' terms are sorted alike, a range of terms is one slice of every block; so the index
is written from first to last, a range at a time. Whatever was interrupted goes on at the first block that is missing,
and the bytes of the index depend on the documents alone.

A posting holds its whole BM25 term score, computed as bm25s does for Lucene's variant, to the bit.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.lib.format import open_memmap

from fireact.errors import DataError

BLOCK = 100_000  # documents; with texts of 60 words some 350 MiB at a time
WORDLESS = "no document of the corpus holds a word to search for; give them a title and a text"
_RANGE = 1 << 23  # postings merged at a time
_K1, _B = 1.5, 0.75
_PARTIAL = "partial"  # a block that is being written
_WORDS, _WORD_ENDS, _TERM_ENDS, _DOCUMENTS, _SCORES = "words", "word_ends", "term_ends", "documents", "scores"


class Postings:
    """The index in ``folder``; opening it reads next to nothing, a search the postings of its own terms."""

    def __init__(self, folder: Path) -> None:
        self._size: int = json.loads((folder / "size.json").read_text("utf-8"))
        self._words = np.asarray(np.memmap(folder / _WORDS, mode="r"))
        self._word_ends, self._term_ends, self._documents, self._scores = (
            _mapped(folder, name) for name in (_WORD_ENDS, _TERM_ENDS, _DOCUMENTS, _SCORES)
        )

    def __len__(self) -> int:
        return self._size

    def best(self, terms: Iterable[str], count: int) -> tuple[np.ndarray, np.ndarray]:
        """The ``count`` documents of highest score above 0, fewer where there are fewer, and their scores.

        Both (C,), in the order of the corpus; of equal scores at the limit the first documents are taken. A term that
        is asked for twice counts twice.
        """
        scores = np.zeros(self._size, dtype=np.float32)
        for at in filter(None, map(self._find, terms)):
            np.add.at(scores, self._documents[at], self._scores[at])
        found = np.flatnonzero(scores)
        if len(found) > count:
            of_found = scores[found]
            least = np.partition(of_found, -count)[-count]
            above, equal = found[of_found > least], found[of_found == least]
            found = np.sort(np.concatenate([above, equal[: count - len(above)]]))
        return found, scores[found]

    def _find(self, term: str) -> slice | None:
        """Where the postings of a term lie: a binary search among the sorted words."""
        wanted, low, high = term.encode() + b"\n", 0, len(self._word_ends)
        while low < high:
            middle = (low + high) // 2
            word = self._words[_start(self._word_ends, middle) : self._word_ends[middle]].tobytes()
            if word == wanted:
                return slice(_start(self._term_ends, middle), int(self._term_ends[middle]))
            low, high = (middle + 1, high) if word < wanted else (low, middle)
        return None


def write_blocks(texts: Callable[[int], Iterator[str]], folder: Path) -> None:
    """Write the blocks that ``folder`` lacks of all texts; ``texts(n)`` gives those from number ``n`` on."""
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    first = BLOCK * (len(list(folder.iterdir())) if folder.is_dir() else 0)
    coming = texts(first)
    while some := list(itertools.islice(coming, BLOCK)):
        _write_block(some, first, folder)
        first += len(some)


def merge(folder: Path, target: Path) -> None:
    """Make the index of the blocks in ``folder`` inside ``target``.

    Raises:
        DataError: there is not a word in them.
    """
    blocks = [_Block(place) for place in sorted(folder.iterdir())]
    frequencies = np.zeros(_merge_words(blocks, target), dtype=np.int64)
    if not len(frequencies):
        raise DataError(WORDLESS)
    for block in blocks:
        frequencies[block.terms] += block.frequencies
    lengths = np.concatenate([block.lengths for block in blocks])
    np.save(target / f"{_TERM_ENDS}.npy", ends := np.cumsum(frequencies))
    (target / "size.json").write_text(json.dumps(len(lengths)), "utf-8")
    idf = _idf(frequencies, len(lengths))
    norms = _K1 * ((1 - _B) + _B * lengths / max(lengths.mean(), 1e-9))
    shape = (_start(ends, len(ends)),)
    documents = open_memmap(target / f"{_DOCUMENTS}.npy", "w+", np.dtype(np.int32), shape)
    scores = open_memmap(target / f"{_SCORES}.npy", "w+", np.dtype(np.float32), shape)
    for first, last in _ranges(ends):
        start, end = _start(ends, first), int(ends[last - 1])
        found, counts = _gather(blocks, frequencies[first:last], first, last)
        documents[start:end] = found
        known = np.repeat(idf[first:last].astype(np.float64), frequencies[first:last])
        scores[start:end] = known * (counts / (norms[found] + counts))
    documents.flush()
    scores.flush()


class _Block:
    """A block on disk: ``terms`` (V,) are its words' numbers in the whole index, ascending, once words are merged."""

    def __init__(self, place: Path) -> None:
        self.words, self.terms = place / _WORDS, np.empty(0, dtype=np.int32)
        self.lengths = np.load(place / "lengths.npy")
        self.frequencies = np.load(place / "frequencies.npy", mmap_mode="r")
        self.ends = np.cumsum(self.frequencies, dtype=np.int64)
        self.documents, self.counts = _mapped(place, _DOCUMENTS), _mapped(place, "counts")


def _write_block(texts: list[str], first: int, folder: Path) -> None:
    """Postings of ``texts``, the documents from number ``first`` on; their folder is there only when it is whole."""
    tokens = bm25s.tokenize(texts, stopwords="en", show_progress=False)
    lengths = np.fromiter(map(len, tokens.ids), dtype=np.int64, count=len(texts))
    ids = np.fromiter(itertools.chain.from_iterable(tokens.ids), dtype=np.int64, count=int(lengths.sum()))
    words = [word.encode() for word in tokens.vocab]
    order = sorted(range(len(words)), key=words.__getitem__)
    ranks = np.empty(len(words), dtype=np.int64)
    ranks[order] = np.arange(len(words))
    postings = ranks[ids] * len(texts) + np.repeat(np.arange(len(texts)), lengths)  # sorts by term, then document
    postings, counts = np.unique(postings, return_counts=True)
    (partial := folder / _PARTIAL).mkdir(parents=True)
    (partial / _WORDS).write_bytes(b"".join(words[i] + b"\n" for i in order))
    for name, values in {
        "lengths": lengths,
        "frequencies": np.bincount(postings // len(texts), minlength=len(words)),
        _DOCUMENTS: first + postings % len(texts),
        "counts": counts,
    }.items():
        np.save(partial / f"{name}.npy", values.astype(np.int32))
    partial.rename(folder / f"{first:012}")


def _merge_words(blocks: Sequence[_Block], target: Path) -> int:
    """Write the words of all blocks in order and give every block the numbers of its own; how many there are."""
    numbers, ends, last = [array("i") for _ in blocks], array("q"), b""
    with ExitStack() as stack, (target / _WORDS).open("wb") as out:
        files = [stack.enter_context(block.words.open("rb")) for block in blocks]
        streams = (zip(file, itertools.repeat(at)) for at, file in enumerate(files))
        for line, at in heapq.merge(*streams):
            if line != last:
                out.write(line)
                ends.append(out.tell())
                last = line
            numbers[at].append(len(ends) - 1)
        out.write(b"\n")  # an empty file can't be mapped
    for block, own in zip(blocks, numbers, strict=True):
        block.terms = np.array(own, dtype=np.int32)
    np.save(target / f"{_WORD_ENDS}.npy", np.array(ends, dtype=np.int64))
    return len(ends)


def _gather(
    blocks: Sequence[_Block], frequencies: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Documents and counts of the postings of terms ``first`` to ``last``, by term, then document; both (P,) int32."""
    free = np.cumsum(frequencies) - frequencies  # where the next posting of each term goes
    documents, counts = (np.empty(int(frequencies.sum()), dtype=np.int32) for _ in range(2))
    for block in blocks:
        low, high = np.searchsorted(block.terms, (first, last))
        here, terms = block.frequencies[low:high], block.terms[low:high] - first
        start, end = _start(block.ends, low), _start(block.ends, high)
        to = np.repeat(free[terms] - (np.cumsum(here) - here), here) + np.arange(end - start)
        documents[to], counts[to] = block.documents[start:end], block.counts[start:end]
        free[terms] += here
    return documents, counts


def _ranges(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of terms with about ``_RANGE`` postings each, of at least one term."""
    first = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, _start(ends, first) + _RANGE, side="right"))
        yield first, (first := max(last, first + 1))


def _idf(frequencies: np.ndarray, total: int) -> np.ndarray:
    """Lucene's inverse document frequency of each term, (V,) float32."""
    kinds, which = np.unique(frequencies, return_inverse=True)
    values = [math.log(1 + (total - kind + 0.5) / (kind + 0.5)) for kind in kinds.tolist()]
    return np.array(values, dtype=np.float32)[which]


def _start(ends: np.ndarray, at: int | np.integer[Any]) -> int:
    return int(ends[at - 1]) if at else 0


def _mapped(folder: Path, name: str) -> np.ndarray:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))  # a plain view, which is faster to index
