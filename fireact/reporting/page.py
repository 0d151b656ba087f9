"""The report page of a grid: one ``report.html`` with its tables, its figures and a browser of its trajectories.

It opens from disk and asks the network for nothing. What a model or a web page said travels as JSON that is inert in
HTML (``_inert``) and reaches the screen as text nodes; everything else is escaped here (``escape``). What would steer a
terminal or the direction of writing is shown as an escape.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from fireact.errors import DataError
from fireact.reporting.grid import Cell, Grid, name_of
from fireact.reporting.markdown import Table
from fireact.trajectories.records import Question, Trajectory
from fireact.trajectories.reference_calls import call_shown
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import replace, writing

REPORT = "report.html"
_ASSETS = Path(__file__).with_name("page")
# "<", ">" and "&" keep a text from ending its element; the two separators are line ends in older JavaScript.
_INERT = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_NUMBER = re.compile(r"[-+−$]?\d")
_BLANK = {"", "-", "–", "—"}


def write_page(grid: Grid, folder: Path, title: str, tables: Sequence[Table], figures: Sequence[Path]) -> Path:
    """Write ``folder/report.html`` and say where it is; one trajectory is in memory at a time.

    Args:
        figures: SVG files, shown in this order under their names.

    Raises:
        DataError: a figure or a cell's ``predictions.jsonl`` is missing or malformed.
        StorageError: the page cannot be written; an earlier one is left as it was.
    """
    path = folder / REPORT
    style, script = _asset("style.css"), _asset("script.js")
    parts: dict[str, Iterable[str]] = {
        "policy": [_policy(style, script)],
        "title": [escape(title)],
        "style": [style],
        "about": _about(grid),
        "tables": map(_table, tables),
        "figures": map(_figure, figures),
        "failed": _failed(grid),
        "data": _data(grid.done, grid.varying()),
        "script": [script],
    }
    pieces = re.split(r"<!-- (\w+) -->", _asset("template.html"))
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, chain.from_iterable(parts[p] if number % 2 else [p] for number, p in enumerate(pieces)))
    return path


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which only our own style and script work and nothing is fetched."""
    styles, scripts = (b64encode(sha256(text.encode()).digest()).decode() for text in (style, script))
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{styles}'; script-src 'sha256-{scripts}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _about(grid: Grid) -> Iterator[str]:
    """The command, and what all cells have in common."""
    varying = set(grid.varying())
    common = [name for name in dict.fromkeys(name for cell in grid.cells for name in cell.axes) if name not in varying]
    yield f"<p><code>{escape(grid.command)}</code></p>\n"
    if grid.cells and common:
        yield f"<p>The same in every cell: {escape(name_of(grid.cells[0].axes, common))}.</p>\n"


def _table(table: Table) -> str:
    numeric = [_is_numeric(column) for column in zip(*table.rows, strict=True)] or [False] * len(table.header)
    head = _cells("th scope=col", table.header, numeric)
    body = "\n".join(f"<tr>{_cells('td', row, numeric)}</tr>" for row in table.rows)
    notes = "".join(f"<p class=note>{escape(note)}</p>\n" for note in table.notes)
    title = escape(table.title)
    return (
        f"<figure class=table><figcaption>{title}</figcaption>\n"
        f'<div class=scroll tabindex=0 role=region aria-label="{title}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n{notes}</figure>\n"
    )


def _cells(tag: str, texts: Sequence[str], numeric: Sequence[bool]) -> str:
    kinds = (f"{tag} class=number" if number else tag for number in numeric)
    return "".join(f"<{kind}>{escape(text)}</{tag[:2]}>" for kind, text in zip(kinds, texts, strict=True))


def _is_numeric(column: Sequence[str]) -> bool:
    return any(map(_NUMBER.match, column)) and all(_NUMBER.match(text) or text in _BLANK for text in column)


def _figure(path: Path) -> str:
    try:
        image = b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); draw the figures again") from None
    name = escape(path.stem.replace("_", " "))
    return (
        f"<figure class=plot><figcaption>{name}</figcaption>"
        f'<img src="data:image/svg+xml;base64,{image}" alt="Figure: {name}"></figure>\n'
    )


def _failed(grid: Grid) -> Iterator[str]:
    """The cells without results, each with its sentence."""
    if grid.failed:
        varying = grid.varying()
        rows = (f"<li><b>{escape(_name(cell, varying))}</b>: {escape(cell.failed)}</li>\n" for cell in grid.failed)
        yield f"<section id=failed><h2>Cells without results</h2>\n<ul>\n{''.join(rows)}</ul></section>\n"


def _data(cells: Sequence[Cell], varying: Sequence[str]) -> Iterator[str]:
    """One JSON block a cell: its name, then a row a trajectory; ``page/script.js`` reads them in this order."""
    seen: dict[Question, int] = {}
    for cell in cells:
        yield f'<script type="application/json" class="cell">[{_inert(_name(cell, varying))}'
        for trajectory in cell.trajectories():
            yield f",\n{_inert(_row(trajectory, seen))}"
        yield "]</script>\n"


def _row(t: Trajectory, seen: dict[Question, int]) -> list[Any]:
    """A trajectory as an array, which spares the fields' names; in the order in which the script takes it apart.

    A question is given where it is met first, and its number (from 0) where a cell asks it again.
    """
    score, usage, q = t.score, t.usage, t.question
    calls = [] if q.calls is None else [[call_shown(call) for call in q.calls]]
    asked: list[Any] | int = seen.get(q, [q.id, q.text, q.answer, q.task, q.split, q.choices, q.kind, *calls])
    seen.setdefault(q, len(seen))
    cost = [usage.lm_calls, usage.search_calls, usage.tokens_in, usage.tokens_out, usage.cost_usd, usage.seconds]
    steps = [[step.thought, step.action, step.argument, step.observation] for step in t.steps]
    outcome: list[Any] = [int(score.correct), score.em, score.f1]
    if measure := t.provenance.get("measure"):
        outcome += [measure, score.own, t.provenance.get("unscored", "")]
    return [asked, t.method, t.ending, t.answer, outcome, cost, steps, t.provenance.get("error", "")]


def escape(text: str) -> str:
    """``text`` as HTML that shows it."""
    return html.escape(printable(text))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return [*map(_printable, value)] if isinstance(value, list | tuple) else value


def _inert(value: Any) -> str:
    """JSON that no HTML parser can mistake for a tag, an entity or the end of its element."""
    text = json.dumps(_printable(value), ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _INERT.items():
        text = text.replace(character, escaped)
    return text


def _name(cell: Cell, varying: Sequence[str]) -> str:
    return name_of(cell.axes, varying) or name_of(cell.axes, list(cell.axes))
