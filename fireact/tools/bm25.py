"""BM25 over a local corpus, answering with a short snippet as a web search engine does (Robertson & Zaragoza 2009)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Protocol

import bm25s
import numpy as np
from annotated_types import Interval

from fireact.errors import ConfigError, DataError
from fireact.ranges import Count, NoEffect, Text
from fireact.tools.base import NOTHING
from fireact.tools.corpora import Corpus, Mapped, SharedCorpus, mapped_corpus, mapped_file, text_of
from fireact.tools.postings import WORDLESS
from fireact.trajectories.records import Document
from fireact.trajectories.storage import reading

TitleWeight = Annotated[int, Interval(ge=0, le=100)]
_CANDIDATES = 20
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets its own level to debug
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


class Index(Protocol):
    """Finds the best of a sequence of documents."""

    def best(self, terms: Sequence[str], count: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the ``count`` best documents, fewer where fewer score above 0, and their scores; both (C,)."""
        ...


class BM25:
    """Searches ``corpus``: an object with documents, one on disk, or the path of a JSONL file of titles and texts.

    ``k`` is how many documents an answer quotes, ``words`` the most words it quotes of each, ``title_weight`` how many
    times a title counts as part of its text. The index is built at the first search; that of a file or a shared corpus
    is kept below ``cache_dir``, if one is given, and mapped from there: neither it nor the documents take memory.

    Raises:
        ConfigError: there is no corpus.
        DataError: the file is missing or a row is not of that form; the message names the line.
        StorageError: ``cache_dir`` can't be written.
    """

    def __init__(
        self,
        corpus: Corpus | Mapped | Text | Path | None,
        k: Count = 1,
        words: Count = 40,
        title_weight: TitleWeight = 2,
        cache_dir: NoEffect[Text | Path | None] = None,
    ) -> None:
        if corpus is None:
            raise ConfigError("search.corpus is not set; give a task with documents or a JSONL file of title and text")
        self._k, self._words, self._title_weight = k, words, title_weight
        if cache_dir is not None and not isinstance(corpus, Mapped):
            corpus = _kept(corpus, Path(cache_dir), title_weight)
        if isinstance(corpus, Mapped):
            corpus_name, self._documents, self._index = corpus.name, corpus.documents, corpus.index
        elif isinstance(corpus, str | Path):
            documents = list(read_documents(Path(corpus)))
            corpus_name, self._source = Path(corpus).stem, lambda: documents
        else:
            corpus_name = corpus.corpus_name if isinstance(corpus, SharedCorpus) else corpus.name
            self._source = lambda: list(corpus.documents())
        self.name = f"bm25[{corpus_name}] k={k}"

    async def search(self, query: str) -> str:
        """See ``SearchTool``. Documents of equal score come in the order of the corpus."""
        (terms,) = _terms_of([query])
        found = self._best(terms) if terms else []
        return " ".join(snippet(document, terms, self._words) for document in found) or NOTHING

    async def aclose(self) -> None:
        """See ``SearchTool``; there is nothing to release."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        return self._source()

    @cached_property
    def _index(self) -> Index:
        return _InMemory([text_of(document, self._title_weight) for document in self._documents])

    def _best(self, terms: Sequence[str]) -> list[Document]:
        """The k best documents: BM25, raised for titles that are much like the query."""
        top, scores = self._index.best(terms, _CANDIDATES * self._k)
        documents = [self._documents[i] for i in top.tolist()]
        titles = _terms_of([document.title for document in documents])
        raised = [score * (1 + _overlap(set(terms), set(title))) for score, title in zip(scores, titles, strict=True)]
        ranked = sorted(range(len(documents)), key=lambda at: (-raised[at], top[at]))
        return [documents[at] for at in ranked[: self._k]]


class _InMemory:
    """The index of a corpus that fits into memory."""

    def __init__(self, texts: list[str]) -> None:
        self._index, tokens = bm25s.BM25(), bm25s.tokenize(texts, stopwords="en", show_progress=False)
        if not tokens.vocab:
            raise DataError(WORDLESS)
        self._index.index(tokens, show_progress=False)

    def best(self, terms: Sequence[str], count: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``Index``."""
        scores = self._index.get_scores(list(terms))
        count = min(count, len(scores))
        top = np.argpartition(-scores, count - 1)[:count]
        top = top[scores[top] > 0]
        return top, scores[top]


def _kept(corpus: Corpus | str | Path, cache_dir: Path, title_weight: int) -> Corpus | Mapped:
    """The corpus on disk, if it is one to be kept there."""
    if isinstance(corpus, str | Path):
        return mapped_file(_existing(Path(corpus)), cache_dir, title_weight, parse_document)
    if isinstance(corpus, SharedCorpus) and (digest := corpus.corpus_digest()):
        return mapped_corpus(corpus, digest, cache_dir, title_weight, parse_document)
    return corpus


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a JSONL file of ``{"title": …, "text": …}`` rows (other keys are ignored).

    Raises:
        DataError: the file is missing, empty or malformed.
    """
    return (parse_document(line, f"{path}, line {number}") for number, line in reading.lines(_existing(path)))


def _existing(path: Path) -> Path:
    """``path``, if a file with something in it is there."""
    if not path.is_file():
        raise DataError(f"{path} does not exist; search.corpus needs a JSONL file of title and text")
    try:
        if next(reading.lines(path), None) is None:
            raise DataError(f"{path} is empty; search.corpus needs a JSONL file of title and text")
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); search.corpus needs a JSONL file") from None
    return path


def parse_document(line: bytes, where: str) -> Document:
    """The document of a JSON line; ``where`` is its place, for an error.

    Raises:
        DataError: the line is not of the form.
    """
    expected = 'expected a JSON object like {"title": "…", "text": "…"}'
    try:
        row = reading.loads(line, "the line")
    except DataError as error:
        raise DataError(f"{where}: {expected}; {error}") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("title", "text")):
        raise DataError(f"{where}: {expected}")
    return Document(row["title"], row["text"])


def snippet(document: Document, terms: Sequence[str], words: int) -> str:
    """The sentences nearest to ``terms``, at most ``words`` words, headed by the title unless they name it."""
    sentences = _SENTENCE_END.split(" ".join(document.text.split()))
    passages = [_passage(sentences, start, words) for start in range(len(sentences))]
    wanted = set(terms)
    hits = [len(wanted & set(found)) for found in _terms_of(passages)]
    best = passages[hits.index(max(hits))]  # the first of equals
    named = _unqualified(document.title).lower() in best.lower()
    return best if named else f"{document.title}: {best}"


def _unqualified(title: str) -> str:
    """``Mercury (planet)`` is named by a text about Mercury."""
    if not title.endswith(")"):
        return title
    start = title.find(" (", title.rfind(")", 0, -1) + 1)
    return title if start < 0 else title[:start]


def _passage(sentences: Sequence[str], start: int, words: int) -> str:
    """The sentences from ``start`` on that fit into ``words`` words; a longer first one is cut."""
    taken = sentences[start].split()
    for sentence in sentences[start + 1 :]:
        if len(taken) + len(sentence.split()) > words:
            break
        taken += sentence.split()
    return " ".join(taken) if len(taken) <= words else " ".join(taken[:words]) + " …"


def _overlap(wanted: set[str], title: set[str]) -> float:
    """F1 of query terms and title terms, in 0…1."""
    return 2 * len(wanted & title) / (len(wanted) + len(title))


def _terms_of(texts: list[str]) -> list[list[str]]:
    """The words that the index would hold of each text."""
    terms: list[list[str]] = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    return terms
