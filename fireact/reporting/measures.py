"""What tasks call their own scores, and what a column is called that holds several tasks'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fireact.trajectories.records import ACCURACY, EM

_ACCURACY = "accuracy is the share that is right by the task's own rule, such as yes or no, or the letter of a choice."


def measure_of(metrics: Mapping[str, Any]) -> str:
    """The name of the task's own score, which is ``accuracy`` in ``metrics.json``; older files don't say it."""
    return str(metrics.get("measure") or name_by(metrics["accuracy"] == metrics["em"]))


def name_by(exact: bool) -> str:
    """What a score is called of whose task nothing is known but whether right answers are the exact matches."""
    return EM if exact else ACCURACY


def common_measure(measures: Iterable[str]) -> str:
    """The heading of a column of several tasks' own scores: their name, where all have the same; EM of none."""
    names = set(measures) or {EM}
    return names.pop() if len(names) == 1 else "score"


def explained(measures: Mapping[str, str]) -> list[str]:
    """What a reader must be told of the measures, by task, in one column; nothing of EM alone."""
    tasks = {name: [task for task, of_it in measures.items() if of_it == name] for name in measures.values()}
    each = "; ".join(f"{name} for {' and '.join(those)}" for name, those in tasks.items())
    return [
        *([f"score is each task's own: {each}."] if len(tasks) > 1 else []),
        *([_ACCURACY] if ACCURACY in tasks else []),
    ]
