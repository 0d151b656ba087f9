"""How much of what a mix holds is taken: ``size``, its proportions, and the ``counts`` of single methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fireact.errors import DataError
from fireact.trajectories.mixes.strata import ALL, Ranked, Stratum, Table, in_proportion, shares_of, taken


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
