"""A trajectory as one row of a format, held against what is read of that row before it is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.exporters import conversations, text
from fireact.trajectories.files import convert
from fireact.trajectories.importers import carried
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage import reading

FORMATS: Mapping[str, Callable[[Trajectory], dict[str, Any]]] = {
    "jsonl": Trajectory.to_json,
    "openai": conversations.openai_row,
    "sharegpt": conversations.sharegpt_row,
    "react": text.react_row,
    "alpaca": text.alpaca_row,
}
PARTS = ("thoughts", "weights")  # what may be left out of what is learnt, where a user says so


def row_of(trajectory: Trajectory, to: str, metadata: bool = True) -> dict[str, Any]:
    """The row of the format ``to``, one of ``FORMATS``, which is read back as this very trajectory.

    What the format has no place for and no model learns (scores, provenance, …) is carried in the row's ``metadata``,
    and so are thoughts without a place; see ``importers.carried``. Without ``metadata`` the former is left out, and a
    row that would miss the latter, or pass a wrong answer for a right one, is refused.

    Raises:
        DataError: the format can't hold the trajectory; says why and what to do.
    """
    row = FORMATS[to](trajectory)
    said = carried.beyond(trajectory, _read(row))
    if not said:
        return row
    if metadata:
        row["metadata"] = {carried.KEY: json.dumps(said, ensure_ascii=False)}
        if _read(row) != trajectory:
            raise DataError("it would not be read back equal; write it to=jsonl")
        return row
    for number, more in said.get("steps", {}).items():
        if more.get("thought", "").strip():
            raise DataError(f"the thought of step {number} has no place in {to}'s messages; leave out metadata=false, "
                            "or add leave_out=thoughts")
    if not trajectory.score.correct and _read(row).score.correct:
        raise DataError(f"its answer counts as wrong, which {to}'s messages don't say; leave out metadata=false, or "
                        "the row")
    return row


def without(trajectory: Trajectory, parts: Collection[str], counts: Counter[str]) -> Trajectory:
    """The trajectory without ``parts``, of ``PARTS``: thoughts beside actions; weights, so that every turn is learnt.

    What is left out is counted by step, as in ``left_out thoughts``.
    """
    steps = []
    for step in trajectory.steps:
        if "thoughts" in parts and step.action and step.thought:
            counts["left_out thoughts"] += 1
            step = replace(step, thought="")
        if "weights" in parts and not step.learnt:
            counts["left_out weights"] += 1
            step = replace(step, learnt=True)
        steps.append(step)
    return replace(trajectory, steps=tuple(steps))


def _read(row: Mapping[str, Any]) -> Trajectory:
    """What is read of a row once it is in a file."""
    written = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
    try:
        return convert(reading.loads(written, "the row"), Counter())
    except DataError as error:
        raise DataError(f"it would not be read back: {error}") from None
