"""HotpotQA's own files: the official JSON, and the parquet files of the same sets on the Hugging Face hub.

A row has a question and its answer; those of the distractor setting also have ten paragraphs, two of which hold the
answer. The JSON says them as ``[[title, [sentence, …]], …]``, the parquet as two lists, ``title`` and ``sentences``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from fireact.errors import DataError
from fireact.trajectories.records import Document
from fireact.trajectories.storage import reading

_FIELDS = ("question", "answer", "type")
_DISTRACTOR = "needs a file of HotpotQA's distractor setting (hotpot_dev_distractor_v1.json, or the hub's parquet)"


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """The distinct paragraphs of some rows.

    Attributes:
        documents: one a title, in the order of the rows.
        repeated: how many paragraphs were left out because they are there already, word for word.
        differing: how many were left out because their title has another text already.
    """

    documents: list[Document]
    repeated: int
    differing: int


def read_rows(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Question, answer and, where there is one, type of every row.

    Raises:
        DataError: a file is missing or malformed; the message names the row where it can.
    """
    return list(chain.from_iterable(map(_rows, paths)))


def read_paragraphs(paths: Sequence[Path]) -> Paragraphs:
    """The paragraphs of all rows.

    Raises:
        DataError: a file is missing or malformed, or its rows have no paragraphs.
    """
    texts: dict[str, str] = {}
    repeated = differing = 0
    for title, sentences in chain.from_iterable(map(_contexts, paths)):
        text = " ".join(sentence.strip() for sentence in sentences)
        first = texts.setdefault(title, text)
        if first is not text:
            repeated, differing = (repeated + 1, differing) if first == text else (repeated, differing + 1)
    return Paragraphs([Document(title, text) for title, text in texts.items()], repeated, differing)


def _rows(path: Path) -> Iterable[dict[str, str]]:
    if _is_parquet(path):
        frame = _parquet(path, _FIELDS)
        if any(frame[field].dtype != pl.String or frame[field].has_nulls() for field in _FIELDS):
            raise DataError(f"{path} has a row without a question, an answer or a type; task.path {_DISTRACTOR}")
        return frame.to_dicts()
    return ({field: row[field] for field in _FIELDS if field in row} for row in _json(path))


def _contexts(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Title and sentences of every paragraph, row by row."""
    if _is_parquet(path):
        contexts: Iterable[Any] = map(_pairs, _parquet(path, ("context",))["context"])
    else:
        contexts = (row.get("context") for row in _json(path))
    for number, context in enumerate(contexts, start=1):
        if not isinstance(context, list) or not context or not all(map(_is_paragraph, context)):
            raise DataError(f"{path}, row {number}: expected a context of titles with their sentences; task.path "
                            f"{_DISTRACTOR}")
        yield from context


def _pairs(context: Any) -> list[list[Any]] | None:
    """The parquet's way to say a context, made into the JSON's; None for anything else."""
    match context:
        case {"title": [*titles], "sentences": [*sentences]} if len(titles) == len(sentences):
            return [list(pair) for pair in zip(titles, sentences, strict=True)]
    return None


def _is_paragraph(pair: Any) -> bool:
    match pair:
        case [str(), [*sentences]]:
            return all(isinstance(sentence, str) for sentence in sentences)
    return False


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        raise DataError(f"{path} does not exist; task.path needs HotpotQA's {path.name}")
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=list(columns))
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} is not a parquet file of HotpotQA's form ({why}); task.path {_DISTRACTOR}") from None


def _json(path: Path) -> list[dict[str, Any]]:
    rows = reading.loads(path.read_bytes(), str(path), "a file of HotpotQA's format")
    for number, row in enumerate(rows if isinstance(rows, list) else [None], start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("question", "answer")):
            raise DataError(f"{path}, row {number}: expected an object with a question and an answer")
    return list(rows)
