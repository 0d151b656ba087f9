"""The paper's published figures, from ``paper.yaml``, and where each belongs beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fireact.reporting.matching import ABSENT, Axes, reference_of

_FILE = Path(__file__).with_name("paper.yaml")


@dataclass(frozen=True)
class Published:
    """One number of the paper.

    Args:
        source: where it stands, as in ``Table 2``.
        experiments: whose grids make it again.
        axes: what it was measured for, in the words of a grid's axes.
        measure: ``em``, ``f1`` (per cent), ``rounds_mean``, ``rounds_std``, ``finished``, ``cost_usd`` or ``seconds``
            (per question), ``trajectories_per_s`` or ``adapter_mb``.
        raster: read off a plot.
        note: circumstances, such as the hardware.
    """

    source: str
    experiments: tuple[str, ...]
    axes: Axes
    measure: str
    value: float
    raster: bool = False
    note: str = ""


@cache
def published() -> tuple[Published, ...]:
    """All of them, in the paper's order."""
    return tuple(number for table in _yaml()["tables"] for number in _numbers(table))


def of_experiment(experiment: str, measure: str = "em") -> list[Published]:
    """The numbers that an experiment makes again."""
    return [number for number in published() if experiment in number.experiments and number.measure == measure]


def footnotes(experiment: str) -> list[str]:
    """Where the paper disagrees with itself, as far as this experiment is concerned; empty for one it doesn't have."""
    if not any(experiment in number.experiments for number in published()):
        return []
    return [note["text"] for note in _yaml()["footnotes"] if {experiment, "*"} & set(note["experiments"])]


def backbone_label(name: str) -> str:
    """A backbone's name in the paper; any other by its own."""
    return str(_yaml()["backbones"].get(name, name))


def shown_backbones() -> tuple[str, ...]:
    """Those whose numbers stand beside a backbone that the paper did not try."""
    return tuple(_yaml()["shown"])


def same(axes: Axes) -> dict[str, str]:
    """``axes`` in the paper's words: options of ours that mean the same get its name."""
    return _renamed(axes, _yaml()["same"])


def kin(axes: Axes) -> dict[str, str]:
    """``same``, with the embedded tasks and data taken for those that they stand for, and no backbone."""
    renamed = _renamed(same(axes), _yaml()["stands_for"])
    return {axis: value for axis, value in renamed.items() if axis != "backbone"}


def at(axes: Axes, numbers: list[Published]) -> list[Published]:
    """The numbers measured for just this: on every axis that a number names, it has the value in ``axes``."""
    return [number for number in numbers if all(axes.get(a, ABSENT) == v for a, v in number.axes.items())]


def beside(axes: Axes, numbers: list[Published]) -> list[Published]:
    """The numbers for the like of ``axes`` on any backbone, one a backbone: the first in the paper's order."""
    like = kin(axes)
    found = [n for n in numbers if at({**like, "backbone": n.axes.get("backbone", ABSENT)}, [n])]
    return list({number.axes.get("backbone"): number for number in reversed(found)}.values())[::-1]


def gain(number: Published, patterns: Mapping[str, str] | None) -> float | None:
    """How far it is from the same table's reference; None for the reference itself, or where there is none."""
    if patterns is None:
        return None
    table = [n for n in published() if (n.source, n.measure) == (number.source, number.measure)]
    reference = reference_of(number.axes, table, patterns)
    return None if reference is None or reference.axes == number.axes else number.value - reference.value


def _numbers(table: Mapping[str, Any]) -> list[Published]:
    numbers = []
    for row, *values in table["rows"]:
        for column, value in zip(table["columns"], values, strict=True):
            axes = {axis: str(of) for axis, of in {**table["at"], **column, **row}.items()}
            measure = axes.pop("measure", "em")
            if value is not None:
                numbers.append(Published(
                    table["source"], tuple(table["experiments"]), axes, measure, float(value),
                    table.get("raster", False), table.get("note", ""),
                ))
    return numbers


def _renamed(axes: Axes, names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {axis: _first(value, names.get(axis, {})) for axis, value in axes.items()}


def _first(value: str, names: Mapping[str, str]) -> str:
    return next((name for pattern, name in names.items() if fnmatchcase(value, pattern)), value)


@cache
def _yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
