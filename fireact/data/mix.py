"""A mix of trajectory files: those of the wanted methods, cut to size by a seeded, nested, stratified sample."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fireact.data.files import read
from fireact.errors import ConfigError, DataError
from fireact.overrides import command, override
from fireact.ranges import Count, Natural, Positive, Seed, Text, Texts
from fireact.records import Trajectory


@dataclass(frozen=True)
class Source:
    """A trajectory file and what of it to take.

    Args:
        path: the file, or a function that fetches it and says where it is.
        methods: only trajectories of these methods; all if None. A source none of whose methods is wanted stays shut.
        count: take so many of them; all if None.
        weight: how much likelier than its size says a trajectory is to be in a cut mix (2 = twice as likely).
        generate: overrides of ``generate.py`` that collect the file where it is missing.
    """

    path: Text | Path | Callable[[], Path]
    methods: Sequence[Text] | None = None
    count: Count | None = None
    weight: Positive = 1.0
    generate: Sequence[Text] = ()

    def file(self) -> Path:
        """Where the file is, or would be once collected."""
        return self.path() if callable(self.path) else Path(self.path)


class Ranked(NamedTuple):
    """A trajectory and its place, in 0…1, in its stratum; lower places enter a cut mix first."""

    place: float
    trajectory: Trajectory


class Mix:
    """Trajectories to train on.

    Args:
        sources: where they come from; a mix of several files is their union.
        methods: whose trajectories to take (a method's ``trains_on``).
        size: how many in all; None takes everything. A smaller size is a subset of a larger one with the same seed, and
            keeps the proportions of (task, method).
        counts: only so many of a method, before the cut, as in ``{cot: 187}``; None takes all.
        right_only: leave out failed episodes; the paper's release keeps them (40 of its 47 Reflexion ones).
        seed: of the sample.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        methods: Texts,
        size: Count | None = None,
        counts: Mapping[str, Natural | None] | None = None,
        right_only: bool = True,
        seed: Seed = 0,
    ) -> None:
        if size is not None and size < 1:
            raise ConfigError(f"size={size} trajectories is no training set; choose 1 or more")
        self.methods, self.size, self.right_only, self.seed = tuple(methods), size, right_only, seed
        self.counts = {method: count for method, count in (counts or {}).items() if count is not None}
        self.sources = [s for s in sources if s.methods is None or set(s.methods) & set(methods)]
        self.report: Counter[str] = Counter()

    def missing(self) -> list[Source]:
        """The sources whose file must be collected first."""
        return [source for source in self.sources if source.generate and not source.file().is_file()]

    def load(self) -> list[Trajectory]:
        """The mix, in an order that only the seed decides; ``report`` then counts what was read, repaired and kept.

        Raises:
            DataError: a file is missing or malformed, or there are fewer trajectories than asked for.
        """
        self.report.clear()
        ranked = [item for source in self.sources for item in self._take(source)]
        for method in [method for method in self.counts if method in self.methods]:
            others = [item for item in ranked if item.trajectory.method != method]
            its = [item for item in ranked if item.trajectory.method == method]
            ranked = others + _first(its, self.counts[method], f"data.counts.{method}")
        if not ranked:
            methods = ", ".join(self.methods)
            raise DataError(f"the mix holds no usable trajectory of {methods}; choose another method or data")
        chosen = [item.trajectory for item in _first(ranked, self.size, "size")]
        self.report["kept"] = len(chosen)
        self.report.update(f"{t.question.task}/{t.method}" for t in chosen)
        return chosen

    def _take(self, source: Source) -> Iterable[Ranked]:
        file = source.file()
        if source.generate and not file.is_file():
            raise DataError(f"{file} is missing; collect it with: {command('generate.py', source.generate)}")
        methods = set(self.methods) & set(self.methods if source.methods is None else source.methods)
        strata: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
        for trajectory in read(file, self.report):
            if trajectory.method not in methods:
                self.report["other_methods"] += 1
            elif trajectory.score.correct or not self.right_only:
                strata[trajectory.question.task, trajectory.method].append(trajectory)
        ranked = [item for key in sorted(strata) for item in _rank(strata[key], f"{self.seed} {key}", source.weight)]
        return _first(ranked, source.count, f"the count of {file}")


def of_file(path: Text, **options: Any) -> Mix:
    """The mix of one file; ``options`` are ``Mix``'s."""
    return Mix([Source(path)], **options)


def collected(
    tasks: Texts,
    folder: Text,
    questions: Mapping[str, Count],
    methods: Texts,
    **options: Any,
) -> Mix:
    """The mix of what the default teacher does on each of ``tasks``, collected below ``folder`` where it is missing.

    Args:
        questions: how many of a task's train split the teacher is asked by each method.
        options: ``Mix``'s.
    """
    return Mix([_of_teacher(t, m, folder, questions[m]) for t in tasks for m in methods], methods, **options)


def _of_teacher(task: str, method: str, folder: str, questions: int) -> Source:
    run = Path(folder, task, method)
    asked = {"task": task, "task.split": "train", "task.limit": questions, "method": method, "run_dir": run}
    return Source(run / "trajectories.jsonl", [method], generate=[override(k, v) for k, v in asked.items()])


def _rank(stratum: list[Trajectory], seed: str, weight: float) -> list[Ranked]:
    """The i-th of m shuffled trajectories stands at (i + ½) / m, so every stratum enters a cut at its own rate."""
    order = random.Random(seed).sample(stratum, len(stratum))
    return [Ranked((i + 0.5) / len(order) / weight, trajectory) for i, trajectory in enumerate(order)]


def _first(ranked: list[Ranked], count: int | None, asked_by: str) -> list[Ranked]:
    """The ``count`` lowest places; everything, so ordered, for None."""
    if count is not None and count > len(ranked):
        raise DataError(f"{asked_by} asks for {count} trajectories, but only {len(ranked)} fit the mix; ask for fewer")
    return sorted(ranked, key=lambda item: item.place)[:count]
