"""A mix of trajectory files: those of the wanted methods, cut to size by a seeded, nested, stratified sample."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fireact.errors import ConfigError, DataError
from fireact.overrides import command, override
from fireact.ranges import Count, Natural, NoEffect, Positive, Seed, Text, Texts
from fireact.trajectories.duplicates import Seen
from fireact.trajectories.files import placed
from fireact.trajectories.learnable import check
from fireact.trajectories.mixes.holdings import Lack, Released, held_by, said
from fireact.trajectories.mixes.sampling import ALL, Cut, Ranked, Stratum, Table, rank, stratum_of, taken
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage import inputs
from fireact.trajectories.storage.download import together


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

    def gives(self, method: str) -> bool:
        """Whether it may hold trajectories of the method."""
        return self.methods is None or method in self.methods


class Mix:
    """Trajectories to train on.

    Args:
        sources: where they come from; a mix of several files is their union.
        methods: whose trajectories to take (a method's ``trains_on``).
        size, counts, share_out, proportions, at_most: how many of them, by ``Cut``. A smaller size is a subset of a
            larger one with the same seed.
        right_only: leave out failed episodes; the paper's release keeps them.
        seed: of the sample.
        released: what the files hold, where they need not be there to know it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        methods: Texts,
        size: Count | None = None,
        counts: Mapping[str, Natural | None] | None = None,
        right_only: bool = True,
        seed: Seed = 0,
        share_out: bool = True,
        proportions: Table | None = None,
        released: NoEffect[Released | None] = None,
        at_most: NoEffect[bool] = False,
    ) -> None:
        if size is not None and size < 1:
            raise ConfigError(f"size={size} trajectories is no training set; choose 1 or more")
        self.methods, self.right_only, self.seed, self.released = tuple(methods), right_only, seed, released
        known = {method: count for method, count in (counts or {}).items() if count is not None}
        for method in methods:
            if known.get(method, 1) < 1:
                raise ConfigError(f"data.counts.{method}={known[method]} leaves nothing of {method}; choose 1 or more, "
                                  "or a method that trains on others alone")
        are = "were released" if released else "fit the mix"
        self.cut = Cut(self.methods, size, known, share_out, proportions, at_most, are)
        self.sources = [source for source in sources if any(map(source.gives, methods))]
        self.report: Counter[str] = Counter()

    def missing(self) -> list[Source]:
        """The sources whose file must be collected first."""
        return [source for source in self.sources if source.generate and not source.file().is_file()]

    def wanted(self) -> Mapping[Stratum, int] | None:
        """How many of each task and method ``load`` will take, as far as that is known with nothing fetched.

        None where only collecting or fetching would tell; where ``size`` is shared out, the number of all.

        Raises:
            ConfigError, DataError: as ``lack``; there are fewer than asked for.
        """
        if (held := self._held(self.right_only)) is None:
            return None
        of_methods = {stratum: number for stratum, number in held.items() if stratum.method in self.methods}
        wanted = self.cut.wanted(of_methods)
        return of_methods if wanted == {ALL: sum(of_methods.values())} else wanted

    def lack(self) -> Lack | None:
        """What this mix asks for in vain, as far as that is known with nothing fetched or collected.

        Raises:
            ConfigError: ``proportions`` leave out what is wanted.
            DataError: a file of the user's own is missing or malformed.
        """
        held = self._held(self.right_only)
        for method in self.methods:
            given = any(source.gives(method) for source in self.sources)
            if not given or held is not None and not Stratum("", method).within(held):
                return Lack("method", self._none_of(method))
        try:
            if held is not None:
                self.cut.wanted({stratum: n for stratum, n in held.items() if stratum.method in self.methods})
        except DataError as error:
            return Lack("size", str(error))
        return None

    def load(self) -> list[Trajectory]:
        """The mix, in an order that only the seed decides; ``report`` then counts what was read, repaired and kept.

        Raises:
            ConfigError: ``proportions`` leave out what is wanted.
            DataError: a file is missing or malformed, there are fewer trajectories than asked for, or none of a method.
        """
        self.report.clear()
        together(source.file for source in self.sources)  # so that a plan names all that is to be fetched
        seen = Seen()
        ranked = [item for source in self.sources for item in self._take(source, seen)]
        for method in self.methods:
            if not any(item.stratum.method == method for item in ranked):
                raise DataError(self._none_of(method))
        chosen = [item.trajectory for item in self.cut.of(ranked, self.report)]
        if gone := set(self.methods) - {trajectory.method for trajectory in chosen}:
            raise DataError(f"size={self.cut.size} shared out leaves nothing of {', '.join(sorted(gone))}; choose a "
                            "larger one, or data.share_out=false")
        self.report["kept"] = len(chosen)
        self.report.update(f"{t.question.task}/{t.method}" for t in chosen)
        return chosen

    def _take(self, source: Source, seen: Seen) -> Iterable[Ranked]:
        file = source.file()
        if source.generate and not file.is_file():
            raise DataError(f"{file} is missing; collect it with: {command('generate.py', source.generate)}")
        methods = set(filter(source.gives, self.methods))
        strata: dict[Stratum, list[Trajectory]] = defaultdict(list)
        for where, trajectory in placed(file, self.report):
            if trajectory.method not in methods:
                self.report["other_methods"] += 1
            elif trajectory.score.correct or not self.right_only:
                check(trajectory, where, self.report)
                seen.count(trajectory, file, self.report)
                if not trajectory.provenance:
                    trajectory = replace(trajectory, provenance={"file": where})
                strata[stratum_of(trajectory)].append(trajectory)
        ranked = [i for key in sorted(strata) for i in rank(strata[key], f"{self.seed} {tuple(key)}", source.weight)]
        count = len(ranked) if source.count is None else source.count
        if count > len(ranked):
            raise DataError(f"the count of {file} asks for {count} trajectories, but only {len(ranked)} fit the mix; "
                            "ask for fewer")
        return taken(ranked, {ALL: count})

    def _held(self, right_only: bool) -> Counter[Stratum] | None:
        """How many trajectories there are, of all methods; None where only fetching or collecting would tell."""
        if self.released:
            return self.released.held(right_only)
        if any(source.generate or callable(source.path) for source in self.sources):
            return None
        held: Counter[Stratum] = Counter()
        for source in self.sources:
            found = held_by(source.file(), right_only)
            held += Counter({stratum: number for stratum, number in found.items() if source.gives(stratum.method)})
        return held

    def _none_of(self, method: str) -> str:
        """That there is nothing of a method, what there is instead, and what would help."""
        there = self._held(right_only=False) or Counter[Stratum]()
        if failed := Stratum("", method).within(there):
            return f"all trajectories of {method} ({failed}) are marked as failed; take them with data.right_only=false"
        only = f", only {said(there)}" if there else ""
        if self.released:
            return f"no trajectory of {method} was released{only}; {self.released.remedy(method)}"
        return f"the mix holds no usable trajectory of {method}{only}; choose another method or data"


def of_file(path: Text | Texts, **options: Any) -> Mix:
    """The mix of one file, or of several, by name, folder or pattern (``inputs.named``); ``options`` are ``Mix``'s.

    Raises:
        DataError: a folder holds no file of rows, or a pattern matches none.
    """
    return Mix([Source(file) for file in inputs.named([path] if isinstance(path, str) else path)], **options)


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

    Raises:
        ConfigError: ``questions`` has no number for a method.
    """
    for method in methods:
        if method not in questions:
            raise ConfigError(f"data.questions has no number for {method}; add +data.questions.{method}=N, or train on "
                              "trajectories of your own by data=file")
    return Mix([_of_teacher(t, m, folder, questions[m]) for t in tasks for m in methods], methods, **options)


def _of_teacher(task: str, method: str, folder: str, questions: int) -> Source:
    run = Path(folder, task, method)
    asked = {"task": task, "task.split": "train", "task.limit": questions, "method": method, "run_dir": run}
    return Source(run / "trajectories.jsonl", [method], generate=[override(k, v) for k, v in asked.items()])
