"""Which tools a run called, against the calls that its questions' author expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fireact.trajectories.records import FINISH, SEARCH, Ending, Trajectory
from fireact.trajectories.reference_calls import Key, expected, key_of
from fireact.trajectories.tool_schema import SEARCH_TOOL

_ERROR = "Error: "  # how a failed call's observation begins
NOTE = (
    "Tool calls are those of questions that say which they need: of these calls, the share made to the right tool, and "
    "with the right arguments too; the share of questions with just these calls, in any order; the calls made and "
    "expected a question; and the share of calls made that failed."
)


class ToolCalls:
    """Counts trajectories one at a time; a run whose questions expect no calls has no figures."""

    def __init__(self) -> None:
        self._counts = Counter[str]()

    def add(self, trajectory: Trajectory) -> None:
        """Count one."""
        calls = trajectory.question.calls
        if calls is None:
            return
        schemas = {SEARCH: SEARCH_TOOL, **{tool.name: tool for tool in trajectory.tools}}
        wanted = Counter(expected(call, schemas) for call in calls)
        steps = [step for step in trajectory.steps if step.action and step.action != FINISH]
        made = Counter(key_of(step.action, step.argument, schemas.get(step.action)) for step in steps)
        right = _known(wanted) & _known(made)
        failed = sum((step.observation or "").startswith(_ERROR) for step in steps)
        self._counts += Counter({
            "questions": 1,
            "expected": wanted.total(),
            "made": len(steps),
            "right_tool": (_names(wanted) & _names(made)).total(),
            "right_arguments": right.total(),
            "exact": int(right.total() == wanted.total() == len(steps)),
            "errors": failed + (trajectory.ending is Ending.TOOL_FAILURE),
        })

    def figures(self) -> dict[str, Any]:
        """``tool_calls``: ``questions``, calls ``expected``, ``made`` and answered by ``errors``; of those expected,
        the shares ``right_tool`` and ``right_arguments`` (None where none is); of the questions, the share ``exact``.
        """
        n, wanted = self._counts["questions"], self._counts["expected"]
        if not n:
            return {}
        shares = {key: self._counts[key] / wanted if wanted else None for key in ("right_tool", "right_arguments")}
        counts = {key: self._counts[key] for key in ("questions", "expected", "made", "errors")}
        return {"tool_calls": {**counts, **shares, "exact": self._counts["exact"] / n}}


def per_question(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A run's figures as a table has them, those that are known: shares, and calls a question."""
    calls = metrics.get("tool_calls")
    if not calls:
        return {}
    figures = {
        "right_tool": calls["right_tool"],
        "right_arguments": calls["right_arguments"],
        "exact_calls": calls["exact"],
        "calls_made": calls["made"] / calls["questions"],
        "calls_expected": calls["expected"] / calls["questions"],
        "call_errors": calls["errors"] / calls["made"] if calls["made"] else None,
    }
    return {key: value for key, value in figures.items() if value is not None}


def _known(calls: Counter[Key]) -> Counter[Key]:
    return Counter({key: number for key, number in calls.items() if key[1] is not None})


def _names(calls: Counter[Key]) -> Counter[str]:
    names = Counter[str]()
    for (tool, _), number in calls.items():
        names[tool] += number
    return names
