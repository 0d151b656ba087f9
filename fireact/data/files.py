"""Trajectory files in, trajectory files out.

A file ending in ``.jsonl`` holds one row a line; any other file is one JSON value, a list of rows or the released
``trajs`` object. What a row is shows in its own keys, so no format need be named:

====================  ==========================================================
keys                  row
====================  ==========================================================
question, steps       ours: ``Trajectory.to_json``
instruction, output   released Alpaca data (``data/finetune/alpaca_format``)
messages              released chat data (``data/finetune/gpt_format``)
traj                  released evaluation run (``trajs/*.json``), one per question
====================  ==========================================================
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fireact.data import released
from fireact.errors import DataError, StorageError
from fireact.records import Trajectory


def read(path: str | Path, counts: Counter[str]) -> Iterator[Trajectory]:
    """The trajectories of a file, one at a time; ``counts`` gains ``rows``, ``failed`` and every repair by its name.

    Raises:
        DataError: the file is missing or malformed; names the file and the line (or the row, counted from 1).
    """
    for where, row in _rows(Path(path), counts):
        try:
            trajectory = _convert(row, counts)
        except DataError as error:
            raise DataError(f"{path}, {where}: {error}") from None
        counts["rows"] += 1
        if not trajectory.score.correct:
            counts["failed"] += 1
        yield trajectory


def write(
    path: str | Path,
    trajectories: Iterable[Trajectory],
    to_row: Callable[[Trajectory], dict[str, Any]] = Trajectory.to_json,
) -> int:
    """Write one row a line and say how many; ``to_row`` is ours, ``released.alpaca_row`` or ``released.chat_row``.

    Raises:
        StorageError: the file can't be written.
    """
    number = 0
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("w", encoding="utf-8", errors="backslashreplace") as file:
            for number, trajectory in enumerate(trajectories, start=1):  # noqa: B007 - the last one is the answer
                file.write(json.dumps(to_row(trajectory), ensure_ascii=False) + "\n")
    except OSError as error:
        raise StorageError(f"{path} can't be written ({error.strerror}); choose another place") from None
    return number


def _rows(path: Path, counts: Counter[str]) -> Iterator[tuple[str, Any]]:
    try:
        if path.suffix == ".jsonl":
            yield from _lines(path)
        else:
            yield from _members(path, counts)
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); name a file of trajectories") from None


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"line {number}", _json(line, f"{path}, line {number}")


def _members(path: Path, counts: Counter[str]) -> Iterator[tuple[str, Any]]:
    value = _json(path.read_bytes(), str(path))
    if isinstance(value, dict):
        run = released.Run.of(path.stem, asked=len(value))
        counts["missing"] += run.asked - len(value)
        for index, row in value.items():
            yield f"row {index}", {**row, "run": run, "index": index} if isinstance(row, dict) else row
    elif isinstance(value, list):
        yield from ((f"row {number}", row) for number, row in enumerate(value, start=1))
    else:
        raise DataError(f"{path} holds one {type(value).__name__}; expected a list of trajectories")


def _json(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = "" if ", line " in where else f", line {error.lineno}"
        raise DataError(f"{where}{line} is not JSON ({error.msg}); expected one trajectory as a JSON object") from None
    except UnicodeDecodeError:
        raise DataError(f"{where} is not UTF-8 text; expected JSON") from None


def _convert(row: Any, counts: Counter[str]) -> Trajectory:
    if not isinstance(row, dict):
        raise DataError(f"expected a trajectory as a JSON object, found {type(row).__name__}")
    if "messages" in row:
        return released.from_chat(row, counts)
    if "output" in row:
        return released.from_alpaca(row, counts)
    if "traj" in row:
        return released.from_run(row, counts)
    return Trajectory.from_json(row)
