"""Small files of HotpotQA's distractor setting, in both forms that it is published in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

Row = dict[str, Any]

_SENTENCES = pl.List(pl.String)
SCHEMA = {
    "id": pl.String,
    "question": pl.String,
    "answer": pl.String,
    "type": pl.String,
    "level": pl.String,
    "supporting_facts": pl.Struct({"title": _SENTENCES, "sent_id": pl.List(pl.Int32)}),
    "context": pl.Struct({"title": _SENTENCES, "sentences": pl.List(_SENTENCES)}),
}


def row(question: str, answer: str, *context: tuple[str, list[str]], kind: str = "bridge") -> Row:
    """A row as the official JSON has it."""
    return {"_id": "5a", "question": question, "answer": answer, "type": kind, "level": "hard",
            "supporting_facts": [[context[0][0], 0]] if context else [], "context": [list(pair) for pair in context]}


def write_json(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Sequence[Row]) -> Path:
    """As the hub has it: the pairs are two lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = [
        {
            "id": one["_id"], **{key: one[key] for key in ("question", "answer", "type", "level")},
            "supporting_facts": _columns(one["supporting_facts"], "title", "sent_id"),
            "context": _columns(one["context"], "title", "sentences"),
        }
        for one in rows
    ]
    pl.DataFrame(frame, schema=SCHEMA).write_parquet(path)
    return path


def _columns(pairs: Sequence[Sequence[Any]], first: str, second: str) -> dict[str, list[Any]]:
    return {first: [pair[0] for pair in pairs], second: [pair[1] for pair in pairs]}
