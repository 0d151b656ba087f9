"""Which axes belong together: patterns of values, and the row that another is compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

Axes = Mapping[str, str]
CONDITIONS = ("backbone", "task", "search")  # what acts, on what, with which tool
ABSENT = "null"  # an axis that a cell doesn't name has its default, as one that is set to null


class HasAxes(Protocol):
    @property
    def axes(self) -> Axes: ...


Placed = TypeVar("Placed", bound=HasAxes)


def fits(axes: Axes, patterns: Mapping[str, str]) -> bool:
    """Whether every axis of ``patterns`` has a value that fits: ``*`` stands for anything, ``not X`` for all but X."""
    return all(_fits(axes.get(axis, ABSENT), pattern) for axis, pattern in patterns.items())


def reference_of(axes: Axes, among: Iterable[Placed], patterns: Mapping[str, str]) -> Placed | None:
    """The first that fits ``patterns`` and is alike on every other axis that both have, and on every condition."""
    for other in among:
        shared = (axes.keys() & other.axes.keys()) - patterns.keys()
        same = all(axes[axis] == other.axes[axis] for axis in shared)
        if same and fits(other.axes, patterns) and same_conditions(axes, other.axes, besides=patterns.keys()):
            return other
    return None


def same_conditions(
    one: Axes, other: Axes, conditions: Collection[str] = CONDITIONS, besides: Collection[str] = ()
) -> bool:
    """Whether both act under the same ``conditions``, their options (``backbone.format``) included.

    Only the axes ``besides`` may differ. How a model was tuned is none of these: one that was not has nothing of it.
    """
    axes = {axis for axis in {*one, *other} - {*besides} if axis.split(".")[0] in conditions}
    return all(one.get(axis, ABSENT) == other.get(axis, ABSENT) for axis in axes)


def differing(one: Axes, other: Axes) -> set[str]:
    """The axes on which they are not alike."""
    return {axis for axis in {*one, *other} if one.get(axis, ABSENT) != other.get(axis, ABSENT)}


def _fits(value: str, pattern: str) -> bool:
    if pattern.startswith("not "):
        return not fnmatchcase(value, pattern.removeprefix("not "))
    return fnmatchcase(value, pattern)
