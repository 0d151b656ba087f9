"""A trajectory as one row of a format, held against what is read of that row before it is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.exporters import conversations, text
from fireact.trajectories.importers import carried
from fireact.trajectories.importers.forms import convert
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage import reading

FORMATS: Mapping[str, Callable[[Trajectory], dict[str, Any]]] = {
    "jsonl": Trajectory.to_json,
    "openai": conversations.openai_row,
    "sharegpt": conversations.sharegpt_row,
    "react": text.react_row,
    "alpaca": text.alpaca_row,
}
PARTS = ("metadata", "thoughts", "weights")  # what may be left out, where a user says so


def row_of(trajectory: Trajectory, to: str, leave_out: Collection[str], counts: Counter[str]) -> dict[str, Any]:
    """The row of the format ``to``, one of ``FORMATS``, which is read back as this very trajectory.

    What no model learns and the format has no place for (scores, provenance, …) is carried in the row's ``metadata``,
    and so are thoughts without a place (``thoughts_in_metadata`` counts them); see ``importers.carried``. Of what
    ``leave_out`` names, one of ``PARTS``, nothing is carried: ``metadata``, ``thoughts`` that the messages have no
    place for, ``weights``, so that every turn is learnt. ``left_out NAME`` counts the steps, or rows, that lack it.

    Raises:
        DataError: the format can't hold the trajectory; says why and what to do.
    """
    found: Counter[str] = Counter()  # of a row that is refused nothing is left out
    if "weights" in leave_out:
        found["left_out weights"] += sum(not step.learnt for step in trajectory.steps)
        steps = tuple(replace(step, learnt=True) for step in trajectory.steps)
        trajectory = replace(trajectory, steps=steps)
    row = FORMATS[to](trajectory)
    read = _read(row)
    if said := carried.beyond(trajectory, read):
        thoughts = [number for number, more in said.get("steps", {}).items() if more.get("thought", "").strip()]
        if "metadata" not in leave_out:
            found["thoughts_in_metadata"] += len(thoughts)
            row["metadata"] = {carried.KEY: json.dumps(said, ensure_ascii=False)}
            if not carried.is_same(_read(row), trajectory):
                raise DataError("it would not be read back equal; write it to=jsonl")
        else:
            _check_left(trajectory, read, to, [] if "thoughts" in leave_out else thoughts)
            found.update({"left_out metadata": 1, "left_out thoughts": len(thoughts)})
    counts.update(+found)
    return row


def _check_left(trajectory: Trajectory, read: Trajectory, to: str, thoughts: Sequence[str]) -> None:
    """Refuse a row without metadata that would miss ``thoughts``, or pass a wrong answer for a right one."""
    if thoughts:
        raise DataError(f"{to}'s messages have no place for the thought of step {thoughts[0]}; keep the metadata, or "
                        "add leave_out=metadata,thoughts")
    if read.score.correct and not trajectory.score.correct:
        raise DataError(f"its answer counts as wrong, which {to}'s messages don't say; keep the metadata, or leave the "
                        "row out")


def _read(row: Mapping[str, Any]) -> Trajectory:
    """What is read of a row once it is in a file."""
    written = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
    try:
        return convert(reading.loads(written, "the row"), Counter())
    except DataError as error:
        raise DataError(f"it would not be read back: {error}") from None
