"""The index on disk: the very scores of bm25s, whatever the blocks; made piece by piece, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import bm25s
import numpy as np
import pytest

from fireact.errors import DataError
from fireact.tools import postings
from fireact.tools.postings import Postings, merge, write_blocks


def texts(count: int = 700) -> list[str]:
    """Documents of few frequent and many rare words; some say nothing."""
    chance = Random(1)
    words = [[f"wörd{int(chance.paretovariate(0.8)) % 999}" for _ in range(chance.randrange(40))] for _ in range(count)]
    return [" ".join(some) for some in words]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "BLOCK", 100)
    monkeypatch.setattr(postings, "_RANGE", 50)


def make(folder: Path, documents: list[str]) -> Postings:
    (folder / "index").mkdir(parents=True)
    write_blocks(lambda first: iter(documents[first:]), folder / "blocks")
    merge(folder / "blocks", folder / "index")
    return Postings(folder / "index")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_scores_are_those_of_bm25s_to_the_bit(tmp_path: Path) -> None:
    documents, index = texts(), bm25s.BM25()
    index.index(bm25s.tokenize(documents, stopwords="en", show_progress=False), show_progress=False)
    made = make(tmp_path, documents)
    assert len(made) == len(documents) == 700
    for query in (["wörd1"], ["wörd2", "wörd3", "wörd2"], ["wörd40", "nowhere"], ["wörd998", "wörd1", "wörd7"]):
        found, scores = made.best(query, len(documents))
        expected = index.get_scores(query)
        assert found.tolist() == np.flatnonzero(expected).tolist()
        assert scores.tolist() == expected[found].tolist()


def test_the_best_in_the_order_of_the_corpus_and_the_first_of_equals(tmp_path: Path) -> None:
    made = make(tmp_path, ["twin one", "nothing", "twin two", "twin twin", "twin six"])
    assert made.best(["twin"], 2)[0].tolist() == [0, 3]
    assert made.best(["twin"], 9)[0].tolist() == [0, 2, 3, 4]
    assert made.best(["zebra"], 2)[0].tolist() == made.best([], 2)[0].tolist() == []


def test_a_corpus_of_hardly_any_words(tmp_path: Path) -> None:
    made = make(tmp_path, ["", "the", "word"])
    assert (len(made), made.best(["word"], 3)[0].tolist()) == (3, [2])


@pytest.mark.parametrize("documents", [["", "the"], ["the a"]])
def test_a_corpus_without_a_word_is_refused(tmp_path: Path, documents: list[str]) -> None:
    with pytest.raises(DataError, match="no document of the corpus holds a word to search for"):
        make(tmp_path, documents)


@pytest.mark.parametrize("until", [0, 1, 99, 100, 650, 699])
def test_an_interrupted_index_is_the_same_and_repeats_no_block(tmp_path: Path, until: int) -> None:
    documents, asked = texts(), []

    def cut(first: int) -> Iterator[str]:
        yield from documents[first:until]
        raise KeyboardInterrupt

    def rest(first: int) -> Iterator[str]:
        asked.append(first)
        yield from documents[first:]

    make(tmp_path / "whole", documents)
    with pytest.raises(KeyboardInterrupt):
        write_blocks(cut, tmp_path / "blocks")
    (tmp_path / "blocks" / "partial").mkdir(parents=True, exist_ok=True)  # as a kill leaves it
    write_blocks(rest, tmp_path / "blocks")
    write_blocks(rest, tmp_path / "blocks")  # a kill during the merge: there is nothing left to write
    assert asked == [until // 100 * 100, 700]
    (tmp_path / "index").mkdir()
    merge(tmp_path / "blocks", tmp_path / "index")
    assert content(tmp_path / "index") == content(tmp_path / "whole" / "index")


def test_blocks_and_ranges_leave_no_trace_in_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "small", texts())
    monkeypatch.setattr(postings, "BLOCK", 10_000)
    monkeypatch.setattr(postings, "_RANGE", 1_000_000)
    make(tmp_path / "large", texts())
    assert content(tmp_path / "small" / "index") == content(tmp_path / "large" / "index")
