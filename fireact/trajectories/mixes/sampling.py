"""How much of what a mix holds is taken, and which: seeded, nested samples, stratified by task and method.

``size``, its proportions and the ``counts`` of single methods say how many.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fireact.errors import ConfigError, DataError
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


@dataclass(frozen=True)
class Cut:
    """A cut through the trajectories of ``methods``.

    Args:
        size: of the first method on the first task, to which the others' are added in ``proportions``; None takes all.
        counts: at most so many of a method; of a cut that is shared out, before that.
        share_out: ``size`` is how many in all instead, each task and method by its share of what there is.
        proportions: by task and method, the first task first; None takes those of what there is.
        at_most: take what there is where that is less than ``size``.
        are: what is said of the trajectories that there are.
    """

    methods: Sequence[str]
    size: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    share_out: bool = True
    proportions: Table | None = None
    at_most: bool = False
    are: str = "fit the mix"

    def of(self, ranked: Sequence[Ranked], report: Counter[str]) -> list[Ranked]:
        """What is taken, ordered by place; ``report`` gains what is less than was asked for.

        Raises:
            ConfigError, DataError: as ``wanted``.
        """
        wanted = self.wanted(Counter(item.stratum for item in ranked))
        if ALL in wanted:
            return taken(self._counted(ranked), wanted)
        added = taken(ranked, wanted)
        counted = sorted(self._counted(added), key=lambda item: item.place)
        report["left_out_by_counts"] = len(added) - len(counted)
        report["fewer_than_size"] = (self.size or 0) - next(iter(wanted.values()))
        return counted

    def wanted(self, held: Mapping[Stratum, int]) -> dict[Stratum, int]:
        """How many to take of each stratum, of those ``held``.

        Raises:
            ConfigError: ``proportions`` leave out what is wanted.
            DataError: there are fewer.
        """
        of_method = {method: Stratum("", method).within(held) for method in self.methods}
        for method in self.methods:
            self._refuse_fewer(f"data.counts.{method}", self.counts.get(method, 0), "", of_method[method])
        if self.share_out or self.size is None:
            there = {ALL: sum(min(n, self.counts.get(method, n)) for method, n in of_method.items())}
            wanted = {ALL: self._size(there[ALL])}
        else:
            shares = shares_of(held, self.methods, self.proportions)
            there = {stratum: stratum.within(held) for stratum in shares}
            wanted = in_proportion(self._size(next(iter(there.values()))), shares)
            self._refuse_more_than_counted(self.methods[0], wanted)
        for stratum, number in wanted.items():
            self._refuse_fewer("size", number, "" if stratum == ALL else f" of {stratum}", there[stratum])
        return wanted

    def _refuse_fewer(self, asked_by: str, number: int, whose: str, there: int) -> None:
        if number > there:
            asked = f"{asked_by} asks for {number} trajectories{whose}"
            raise DataError(f"{asked}, but only {there} {self.are}; ask for fewer")

    def _refuse_more_than_counted(self, method: str, wanted: Mapping[Stratum, int]) -> None:
        """``counts`` may lessen what is added, but not the ``size`` itself."""
        size, count = Stratum("", method).within(wanted), self.counts.get(method)
        if count is not None and size > count:
            asked = f"size asks for {size} trajectories of {method}"
            raise DataError(f"{asked}, more than data.counts.{method}={count}; raise that or ask for fewer")

    def _size(self, there: int) -> int:
        if self.size is None:
            return there
        return min(self.size, there) if self.at_most else self.size

    def _counted(self, ranked: Sequence[Ranked]) -> list[Ranked]:
        for method in self.counts:
            its = [item for item in ranked if item.stratum.method == method]
            others = [item for item in ranked if item.stratum.method != method]
            ranked = [*others, *taken(its, {ALL: self.counts[method]})]
        return list(ranked)
