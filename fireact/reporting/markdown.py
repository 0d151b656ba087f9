"""A table as Markdown, in which nothing acts as Markdown or HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireact.trajectories.storage.reading import printable


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: plain, unescaped text. ``csv`` is the same with unrounded numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    csv: str = ""

    def markdown(self) -> str:
        """A heading, the aligned table and its notes."""
        notes = [f"- {_escaped(note)}" for note in self.notes]
        return "\n".join([f"## {_escaped(self.title)}", "", *aligned(self.header, self.rows), "", *notes]) + "\n"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose columns are as wide as their widest cell."""
    cells = [[_escaped(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _escaped(text: str) -> str:
    """A sign before a space opens no tag, so "< 0.001" stays readable; an interval's brackets alone are no link."""
    text = printable(re.sub(r"\s", " ", text))
    text = re.sub(r"([\\`*$|~]|(?<!\w)_|_(?!\w)|(?<=\])[(\[])", r"\\\1", text).replace("&", "&amp;")
    return re.sub(r"<(?=\S)", "&lt;", text)
