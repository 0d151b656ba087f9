"""Which axes belong together: patterns of values, and the row that another is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

Axes = Mapping[str, str]
ABSENT = "null"  # an axis that a cell doesn't name has its default, as one that is set to null


class HasAxes(Protocol):
    @property
    def axes(self) -> Axes: ...


Placed = TypeVar("Placed", bound=HasAxes)


def fits(axes: Axes, patterns: Mapping[str, str]) -> bool:
    """Whether every axis of ``patterns`` has a value that fits: ``*`` stands for anything, ``not X`` for all but X."""
    return all(_fits(axes.get(axis, ABSENT), pattern) for axis, pattern in patterns.items())


def reference_of(axes: Axes, among: Iterable[Placed], patterns: Mapping[str, str]) -> Placed | None:
    """The first that fits ``patterns`` and has the same value on every other axis that both have."""
    for other in among:
        shared = (axes.keys() & other.axes.keys()) - patterns.keys()
        if fits(other.axes, patterns) and all(axes[axis] == other.axes[axis] for axis in shared):
            return other
    return None


def _fits(value: str, pattern: str) -> bool:
    if pattern.startswith("not "):
        return not fnmatchcase(value, pattern.removeprefix("not "))
    return fnmatchcase(value, pattern)
