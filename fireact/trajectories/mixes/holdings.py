"""What a mix has to choose from, told before anything is spent: by what was released, or by its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from fireact.trajectories.files import read
from fireact.trajectories.mixes.sampling import Stratum, Table, cells


@dataclass(frozen=True)
class Released:
    """What the authors of a data set released.

    Args:
        rows: how many trajectories, by task and method.
        failed: how many of these are marked as failed.
        collect: overrides of ``generate.py``, besides the method, that collect more of the kind.
    """

    rows: Table
    failed: Table = field(default_factory=dict)
    collect: Sequence[str] = ()

    def held(self, right_only: bool) -> Counter[Stratum]:
        """How many there are."""
        return Counter(cells(self.rows)) - Counter(cells(self.failed) if right_only else {})

    def remedy(self, method: str) -> str:
        """How to come by trajectories of a method that has none."""
        command = " ".join(["python generate.py", f"method={method}", *self.collect])
        return f"collect some with: {command}, and train on both files by data=file 'data.path=[FILE,FILE]'"


@dataclass(frozen=True)
class Lack:
    """Why a mix can't be had: the ``axis`` of a grid that asked for too much, and a sentence."""

    axis: str
    sentence: str


def held_by(file: Path, right_only: bool) -> Counter[Stratum]:
    """How many trajectories a file holds.

    Raises:
        DataError: it is missing or malformed.
    """
    state = file.stat() if file.is_file() else None
    counts = _counts(file, state and (state.st_mtime_ns, state.st_size))
    held: Counter[Stratum] = Counter()
    for (stratum, right), number in counts.items():
        if right or not right_only:
            held[stratum] += number
    return held


def said(held: Mapping[Stratum, int]) -> str:
    """``500 of react, 187 of cot``, all tasks together."""
    by_method: Counter[str] = Counter()
    for stratum, number in held.items():
        by_method[stratum.method] += number
    return ", ".join(f"{number} of {method}" for method, number in by_method.items())


@lru_cache(maxsize=16)
def _counts(file: Path, state: tuple[int, int] | None) -> Counter[tuple[Stratum, bool]]:
    """The trajectories of a file by stratum and success; it is read again where its ``state`` has changed."""
    return Counter((Stratum(t.question.task, t.method), t.score.correct) for t in read(file, Counter()))
