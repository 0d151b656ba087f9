"""Trajectory files, read whatever their form.

A file ending in ``.jsonl`` or ``.ndjson`` holds one row a line, one in ``.parquet`` rows in columns; any other file is
one JSON value, a list of rows or the released ``trajs`` object. Each may be packed by gzip. What
rows may be: ``importers/forms.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.importers import inspect_logs, released, smolagents
from fireact.trajectories.importers.forms import convert
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage import inputs, reading
from fireact.trajectories.storage.digests import digest
from fireact.trajectories.storage.registry import REGISTRY


def read(path: str | Path, counts: Counter[str], as_said: bool = False) -> Iterator[Trajectory]:
    """The trajectories of a file, one at a time; ``counts`` gains ``rows``, ``failed`` and every repair by its name.

    Halves of surrogate pairs, which no tokenizer takes, are replaced and counted, unless a text is wanted ``as_said``.

    Raises:
        DataError: the file is missing or malformed; names the file and the line (or the row, counted from 1).
    """
    return (trajectory for _, trajectory in placed(path, counts, as_said))


def placed(path: str | Path, counts: Counter[str], as_said: bool = False) -> Iterator[tuple[str, Trajectory]]:
    """As ``read``, each trajectory with its place, such as ``data.jsonl, line 1`` or ``data.json, row 1``.

    ``observations_cut_at_labels`` counts what Alpaca rows give as observations, closing lines aside, since a page that
    holds a turn of its own can't be told from the model there. The release holds none: its chat files, in which the
    messages tell, have the same steps.
    """
    for attempt in attempted(path, counts, as_said):
        if isinstance(attempt.found, DataError):
            raise attempt.found
        yield attempt.where, attempt.found


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one row: its place, the names of its fields, and its trajectory, or why it is refused.

    A file that can't be read on ends in an attempt without fields.
    """

    where: str
    fields: tuple[str, ...]
    found: Trajectory | DataError


def attempted(path: str | Path, counts: Counter[str], as_said: bool = False) -> Iterator[Attempt]:
    """As ``placed``, but what is refused is handed over, and the next row read; ``counts`` gains nothing of it."""
    path = Path(path)
    published = _is_published(path)
    try:
        for at, load in _rows(path, counts, as_said):
            yield _attempt(f"{path}, {at}", load, counts, published)
    except DataError as error:
        yield Attempt(str(path), (), error)


def _attempt(where: str, load: Loader, counts: Counter[str], published: bool) -> Attempt:
    own = Counter[str]()
    names: tuple[str, ...] = ()
    try:
        row = load(own)
        names = tuple(row) if isinstance(row, dict) else ()
        try:
            trajectory = convert(row, own, published)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
    except DataError as error:
        return Attempt(where, names, error)
    cut = len(trajectory.steps) - 1
    if cut and not published and "output" in names and "instruction" in names and "messages" not in names:
        own["observations_cut_at_labels"] += cut
    own["rows"] += 1
    if not trajectory.score.correct:
        own["failed"] += 1
    counts.update(own)
    return Attempt(where, names, trajectory)


def _is_published(path: Path) -> bool:
    """Whether it is one of the public files, byte for byte."""
    try:
        like = {known.sha256 for known in REGISTRY.values() if known.size == path.stat().st_size}
        return bool(like) and digest(path) in like
    except OSError:
        return False  # what is wrong with it is said by who reads it


def _rows(path: Path, counts: Counter[str], as_said: bool) -> Iterator[tuple[str, Loader]]:
    """The rows of a file, each with its place and how it is read."""
    try:
        kind = inputs.kind(path)
        if kind == ".eval":
            raise DataError(f"{path} is a log that inspect_ai alone unpacks; {inspect_logs.CONVERT}")
        if kind in (".jsonl", ".ndjson"):
            for number, line in inputs.lines(path):
                where = f"line {number}"
                yield where, partial(_loaded, line, f"{path}, {where}", as_said)
        elif kind == ".parquet":
            for number, row in enumerate(inputs.parquet(path), start=1):
                yield f"row {number}", partial(_given, row)
        else:
            for where, row in _members(path, counts, "keep" if as_said else counts):
                yield where, partial(_given, row)
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); name a file of trajectories") from None


def _loaded(line: bytes, what: str, as_said: bool, counts: Counter[str]) -> Any:
    return reading.loads(line, what, _ROW, "keep" if as_said else counts)


def _given(row: Any, _: Counter[str]) -> Any:
    return row


def _members(path: Path, counts: Counter[str], surrogates: reading.Surrogates) -> Iterator[tuple[str, Any]]:
    raw = inputs.content(path)
    if not raw.strip():
        raise DataError(f"{path} is empty; expected a list of trajectories")
    if reading.decoded(raw, str(path)).lstrip().startswith("["):
        yield from _listed(reading.members(raw, str(path), _ROW, surrogates))
        return
    value = reading.loads(raw, str(path), _ROW, surrogates)
    if not isinstance(value, dict):
        raise DataError(f"{path} holds one {type(value).__name__}; expected a list of trajectories")
    if inspect_logs.is_log(value):
        yield from inspect_logs.rows(value, str(path))
        return
    if smolagents.is_run(value):
        yield "its run", value
        return
    if not all(isinstance(row, dict) and "traj" in row for row in value.values()):
        raise DataError(f"{path} holds one object that is no evaluation run; expected a list of rows, or name a file "
                        "of one row a line .jsonl")
    run = released.Run.of(path.stem, asked=len(value))
    counts["missing"] += max(0, run.asked - len(value))
    for index, row in value.items():
        yield f"row {index}", released.RunRow(row, run, index)


def _listed(rows: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The rows of a list; one of smolagents' steps is one run."""
    first = next(rows, None)
    if first is None:
        return
    if isinstance(first[1], dict) and smolagents.is_run([first[1]]):
        yield "its run", [first[1], *(step for _, step in rows)]
        return
    yield first
    yield from rows


Loader = Callable[[Counter[str]], Any]  # reads a row, and counts what is repaired in it
_ROW = "one trajectory as a JSON object"
