"""Seeded, nested samples of trajectories, stratified by task and method."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fireact.errors import ConfigError
from fireact.ranges import Count
from fireact.trajectories.records import Trajectory

Table = Mapping[str, Mapping[str, Count]]
"""Numbers by task and method, as in ``{hotpotqa: {react: 500, cot: 187}}``."""


class Stratum(NamedTuple):
    """The trajectories of one method on one task; an empty name stands for all of them."""

    task: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} on {self.task}" if self.task else self.method or "all methods"

    def within(self, held: Mapping[Stratum, int]) -> int:
        """How many of the trajectories ``held`` are of it."""
        return sum(number for other, number in held.items() if self in other.heads())

    def heads(self) -> tuple[Stratum, Stratum, Stratum]:
        """It and all that it is within, the narrowest first."""
        return self, Stratum("", self.method), ALL


ALL = Stratum("", "")


class Ranked(NamedTuple):
    """A trajectory and its place, in 0…1, in its stratum; lower places enter a cut mix first."""

    place: float
    trajectory: Trajectory

    @property
    def stratum(self) -> Stratum:
        return stratum_of(self.trajectory)


def stratum_of(trajectory: Trajectory) -> Stratum:
    """Where a trajectory belongs."""
    return Stratum(trajectory.question.task, trajectory.method)


def rank(stratum: Sequence[Trajectory], seed: str, weight: float) -> list[Ranked]:
    """The i-th of m shuffled trajectories stands at (i + ½) / m, so every stratum enters a cut at its own rate."""
    order = random.Random(seed).sample(stratum, len(stratum))
    return [Ranked((i + 0.5) / len(order) / weight, trajectory) for i, trajectory in enumerate(order)]


def taken(ranked: Iterable[Ranked], wanted: Mapping[Stratum, int]) -> list[Ranked]:
    """Of each stratum the wanted number of lowest places, ordered by place."""
    room, chosen = Counter(wanted), []
    for item in sorted(ranked, key=lambda item: item.place):
        for stratum in item.stratum.heads():
            if room[stratum]:
                room[stratum] -= 1
                chosen.append(item)
                break
    return chosen


def in_proportion(size: int, shares: Mapping[Stratum, int]) -> dict[Stratum, int]:
    """``size`` of the first stratum and, added to it, the others' in proportion: to the nearest, halves up, never none.

    >>> in_proportion(100, {react: 500, cot: 187, reflexion: 47})
    {react: 100, cot: 37, reflexion: 9}
    """
    first = next(iter(shares.values()))
    return {stratum: max(1, (2 * size * share + first) // (2 * first)) for stratum, share in shares.items()}


def cells(table: Table) -> dict[Stratum, int]:
    """The numbers of a table by stratum, in its order, but for zeros."""
    return {Stratum(task, method): n for task, row in table.items() for method, n in row.items() if n}


def shares_of(held: Mapping[Stratum, int], methods: Sequence[str], declared: Table | None) -> dict[Stratum, int]:
    """What ``in_proportion`` goes by: the first method on the first task, then the others.

    Args:
        held: how many trajectories of ``methods`` there are.
        declared: proportions; None takes those of ``held``, each method on all tasks together, as none of these leads.

    Raises:
        ConfigError: a stratum is there beside others, and not declared.
    """
    if declared is None:
        return {stratum: n for m in methods if (n := (stratum := Stratum("", m)).within(held))}
    shares = cells(declared)
    unsaid = [stratum for stratum in held if stratum not in shares]
    if unsaid and len(held) > 1:
        task, method = unsaid[0]
        raise ConfigError(f"data.proportions has no number for {method} on {task}; add "
                          f"+data.proportions.{task}.{method}=N, or choose data.share_out=true")
    in_order = {Stratum(task, m): shares.get(Stratum(task, m), 0) for m in methods for task in declared}
    return {stratum: share for stratum, share in in_order.items() if share} or dict(held)
