"""BM25 over a local corpus, answering with a short snippet as a web search engine does (Robertson & Zaragoza 2009)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Protocol

import bm25s
import numpy as np
from annotated_types import Interval

from fireact.errors import ConfigError, DataError
from fireact.ranges import Count, Text
from fireact.records import Document
from fireact.search.base import NOTHING
from fireact.search.mapped import open_mapped

_CANDIDATES = 20
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets its own level to debug
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")

_QUALIFIER = re.compile(r" \([^)]*\)$")  # "Mercury (planet)" is named by a text about Mercury


class Corpus(Protocol):
    """Anything with a name and documents; every task with a corpus is one."""

    name: str

    def documents(self) -> Iterable[Document]: ...


class BM25:
    """Searches ``corpus``: an object with documents, or the path of a JSONL file whose rows have a title and a text.

    ``k`` is how many documents an answer quotes, ``words`` the most words it quotes of each, ``title_weight`` how many
    times a title counts as part of its text. The index is built at the first search; that of a file is kept below
    ``cache_dir``, if one is given, and mapped from there, so that neither it nor the documents take memory.

    Raises:
        ConfigError: there is no corpus.
        DataError: the file is missing or a row is not of that form; the message names the line.
        StorageError: ``cache_dir`` can't be written.
    """

    def __init__(
        self,
        corpus: Corpus | Text | Path | None,
        k: Count = 1,
        words: Count = 40,
        title_weight: Annotated[int, Interval(ge=0, le=100)] = 2,
        cache_dir: Text | Path | None = None,
    ) -> None:
        if corpus is None:
            raise ConfigError("search.corpus is not set; give a task with documents or a JSONL file of title and text")
        self._k, self._words, self._title_weight = k, words, title_weight
        if not isinstance(corpus, str | Path):
            corpus_name, self._source = corpus.name, lambda: list(corpus.documents())
        elif cache_dir is None:
            documents = list(read_documents(Path(corpus)))
            corpus_name, self._source = Path(corpus).stem, lambda: documents
        else:
            corpus_name = _existing(Path(corpus)).stem
            self._documents, self._index = open_mapped(
                Path(corpus), Path(cache_dir), f"title_weight={title_weight}", _document, self._indexed
            )
        self.name = f"bm25[{corpus_name}] k={k}"

    async def search(self, query: str) -> str:
        """See ``SearchTool``. Documents of equal score come in the order of the corpus."""
        terms = _terms(query)
        found = self._best(terms) if terms else []
        return " ".join(snippet(document, terms, self._words) for document in found) or NOTHING

    async def aclose(self) -> None:
        """See ``SearchTool``; there is nothing to release."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        return self._source()

    @cached_property
    def _index(self) -> bm25s.BM25:
        return self._indexed(self._documents)

    def _indexed(self, documents: Iterable[Document]) -> bm25s.BM25:
        index = bm25s.BM25()
        texts = [f"{(document.title + ' ') * self._title_weight}{document.text}" for document in documents]
        index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
        return index

    def _best(self, terms: Sequence[str]) -> list[Document]:
        """The k best documents: BM25, raised for titles that are much like the query."""
        scores = self._index.get_scores(list(terms))
        count = min(_CANDIDATES * self._k, len(scores))
        top = [int(i) for i in np.argpartition(-scores, count - 1)[:count] if scores[i] > 0]
        wanted = set(terms)
        ranked = sorted(top, key=lambda i: (-scores[i] * (1 + _overlap(wanted, self._documents[i].title)), i))
        return [self._documents[i] for i in ranked[: self._k]]


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a JSONL file of ``{"title": …, "text": …}`` rows (other keys are ignored).

    Raises:
        DataError: the file is missing, empty or malformed.
    """
    with _existing(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield _document(line, f"{path}, line {number}")


def _existing(path: Path) -> Path:
    """``path``, if a file with something in it is there."""
    if not path.is_file():
        raise DataError(f"{path} does not exist; search.corpus needs a JSONL file of title and text")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty; search.corpus needs a JSONL file of title and text")
    return path


def _document(line: str, where: str) -> Document:
    try:
        row = json.loads(line)
    except ValueError:
        raise DataError(f'{where}: expected a JSON object like {{"title": "…", "text": "…"}}') from None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("title", "text")):
        raise DataError(f'{where}: expected a JSON object like {{"title": "…", "text": "…"}}')
    return Document(row["title"], row["text"])


def snippet(document: Document, terms: Sequence[str], words: int) -> str:
    """The sentences nearest to ``terms``, at most ``words`` words, headed by the title unless they name it."""
    sentences = _SENTENCE_END.split(" ".join(document.text.split()))
    passages = [_passage(sentences, start, words) for start in range(len(sentences))]
    wanted = set(terms)
    best = max(passages, key=lambda text: len(wanted & set(_terms(text))))  # the first of equals
    named = _QUALIFIER.sub("", document.title).lower() in best.lower()
    return best if named else f"{document.title}: {best}"


def _passage(sentences: Sequence[str], start: int, words: int) -> str:
    """The sentences from ``start`` on that fit into ``words`` words; a longer first one is cut."""
    taken = sentences[start].split()
    for sentence in sentences[start + 1 :]:
        if len(taken) + len(sentence.split()) > words:
            break
        taken += sentence.split()
    return " ".join(taken) if len(taken) <= words else " ".join(taken[:words]) + " …"


def _overlap(wanted: set[str], title: str) -> float:
    """F1 of query terms and title terms, in 0…1."""
    terms = set(_terms(title))
    return 2 * len(wanted & terms) / (len(wanted) + len(terms))


def _terms(text: str) -> list[str]:
    """The words that the index would hold of a text."""
    (terms,) = bm25s.tokenize(text, stopwords="en", return_ids=False, show_progress=False)
    return terms
