"""What an experiment's tables and figures show, what they compare, and the names they use: ``experiments.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml

Axes = Mapping[str, str]
MISSING = "–"
ABSENT = "null"  # an axis that a cell doesn't name has its default, as one that is set to null
_CONDITIONS = ("backbone", "task", "search")  # what acts, on what, with which tool


@dataclass(frozen=True)
class Drawing:
    """What a figure shows.

    Args:
        kind: ``bars`` or ``curve``.
        x: of a curve, an axis that holds numbers, or ``trained_on``.
        series: of bars, the axes that the legend tells apart; the others name the groups.
        measure: the length of a bar: ``score``, in per cent, or ``seconds`` per question.
    """

    kind: str = "bars"
    x: str = "trained_on"
    series: Sequence[str] = ()
    measure: str = "score"


@dataclass(frozen=True)
class Experiment:
    """A file under ``conf/experiment``, or a sweep of one's own, which compares its rows with the first.

    Args:
        axes: those whose columns come first.
        reference: patterns of axes (``fits``) that say which row the others are compared with.
        rounds: whether there is a histogram of rounds.
        choices: whether there are rows for a random and an oracle's choice of method.
        columns: rates of the tuning that have a column.
        found: what the paper found, in a sentence.
    """

    name: str
    title: str
    axes: Sequence[str] = ()
    reference: Mapping[str, str] | None = None
    figure: Drawing = field(default_factory=Drawing)
    rounds: bool = False
    choices: bool = False
    columns: Sequence[str] = ()
    found: str = ""


def experiment_of(name: str) -> Experiment:
    """The experiment of this name; a plain one if the paper has none."""
    row = _yaml()["experiments"].get(name)
    if row is None:
        return Experiment(name, f"Sweep: {name}")
    return Experiment(name, **{**row, "figure": Drawing(**row["figure"])})


class HasAxes(Protocol):
    @property
    def axes(self) -> Axes: ...


Placed = TypeVar("Placed", bound=HasAxes)


def fits(axes: Axes, patterns: Mapping[str, str]) -> bool:
    """Whether every axis of ``patterns`` has a value that fits: ``*`` stands for anything, ``not X`` for all but X."""
    return all(
        fnmatchcase(axes.get(axis, ABSENT), pattern.removeprefix("not ")) != pattern.startswith("not ")
        for axis, pattern in patterns.items()
    )


def reference_of(axes: Axes, among: Iterable[Placed], patterns: Mapping[str, str]) -> Placed | None:
    """The first that fits ``patterns`` and is alike on every other axis that both have, and on every condition."""
    for other in among:
        shared = (axes.keys() & other.axes.keys()) - patterns.keys()
        same = all(axes[axis] == other.axes[axis] for axis in shared)
        if same and fits(other.axes, patterns) and same_conditions(axes, other.axes, patterns.keys()):
            return other
    return None


def same_conditions(one: Axes, other: Axes, varied: Collection[str] = ()) -> bool:
    """Whether both act under the same conditions, their options (``backbone.format``) included.

    Only the axes ``varied`` may differ. How a model was tuned is no condition: one that was not has nothing of it.
    """
    return all(axis in varied or axis.split(".")[0] not in _CONDITIONS for axis in differing(one, other))


def differing(one: Axes, other: Axes) -> set[str]:
    """The axes on which they are not alike."""
    return {axis for axis in {*one, *other} if one.get(axis, ABSENT) != other.get(axis, ABSENT)}


def axis_label(axis: str) -> str:
    """An axis's name as people say it."""
    return str(_yaml()["axes"].get(axis, axis))


def value_label(axis: str, value: str | None) -> str:
    """An axis's value as people say it; a dash where there is none. What no file and no font can hold is escaped."""
    if value is None:
        return MISSING
    value = value.encode(errors="backslashreplace").decode()
    if axis == "method":
        names, parts = _yaml()["methods"], value.split("_")
        return " + ".join(names[part] for part in parts) if all(part in names for part in parts) else value
    names = _yaml()["values"].get(axis, {})
    return str(names.get(value, names.get("*", "{}"))).format(value)


def named(axes: Axes, among: Iterable[str]) -> str:
    """What tells a row from others that differ in the axes ``among``, as people say it: ``tuned · ReAct + CoT``."""
    return " · ".join(value_label(axis, axes[axis]) for axis in among if axis in axes) or MISSING


@cache
def _yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("experiments.yaml").read_text(encoding="utf-8"))
    return content
