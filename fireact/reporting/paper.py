"""The paper's published figures, from ``paper.yaml``, and what it found for a row of ours, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fireact.reporting.experiments import ABSENT, Axes, Experiment, reference_of, value_label

_FORMATS = {
    "em": "{:.1f}",
    "f1": "F1 {:.1f}",
    "rounds_mean": "{:.1f} rounds",
    "cost_usd": "USD {:.4f}",
    "seconds": "{:.1f} s",
    "trajectories_per_s": "{:.1f} trajectories/s",
    "adapter_mb": "{:,.0f} MB",
}  # of the measures that are told, in this order


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
        gain: of an ``em``, how far it is from its own table's reference; None for the reference, or without one.
    """

    source: str
    experiments: Sequence[str]
    axes: Axes
    measure: str
    value: float
    raster: bool = False
    gain: float | None = None

    @property
    def backbone(self) -> str:
        return self.axes.get("backbone", ABSENT)


@cache
def published() -> tuple[Published, ...]:
    """All of them, in the paper's order."""
    numbers = []
    for table in _yaml()["tables"]:
        for row, *values in table["rows"]:
            for column, value in zip(table["columns"], values, strict=True):
                axes = {axis: str(of) for axis, of in {**table["at"], **column, **row}.items()}
                measure = axes.pop("measure", "em")
                if value is not None:
                    raster = table.get("raster", False)
                    numbers.append(Published(table["source"], table["experiments"], axes, measure, value, raster))
    return tuple(numbers)


def numbers_of(experiment: Experiment) -> list[Published]:
    """The numbers that an experiment makes again, measure by measure, with their gains over its reference."""
    found = [number for number in published() if experiment.name in number.experiments and number.measure in _FORMATS]
    found.sort(key=lambda number: list(_FORMATS).index(number.measure))
    return [replace(number, gain=_gain(number, experiment.reference)) for number in found]


def _gain(number: Published, patterns: Mapping[str, str] | None) -> float | None:
    if patterns is None or number.measure != "em":
        return None
    table = [n for n in published() if (n.source, n.measure) == (number.source, number.measure)]
    reference = reference_of(number.axes, table, patterns)
    return None if reference is None or reference.axes == number.axes else number.value - reference.value


def at(axes: Axes, numbers: Sequence[Published]) -> tuple[list[Published], list[Published]]:
    """The numbers for this very backbone, task and configuration; where there are none, those for the like of it.

    An exact one has, on every axis that it names, the value in ``axes``; options of ours that mean the same as the
    paper's count as its own. The like is on any backbone, one number a backbone and measure (the first in the paper's
    order), and embedded tasks and data are taken for those that they stand for.
    """
    ours = _renamed(axes, _yaml()["same"])
    exact = [n for n in numbers if all(ours.get(axis, ABSENT) == value for axis, value in n.axes.items())]
    like = _renamed(ours, _yaml()["stands_for"])
    others: dict[tuple[str, str], Published] = {}
    for n in numbers:
        if all(axis == "backbone" or like.get(axis, ABSENT) == value for axis, value in n.axes.items()):
            others.setdefault((n.backbone, n.measure), n)
    return exact, [] if exact else list(others.values())


def _renamed(axes: Axes, names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Each value by the name of the first pattern that fits it."""
    return {
        axis: next((name for pattern, name in names.get(axis, {}).items() if fnmatchcase(value, pattern)), value)
        for axis, value in axes.items()
    }


def shown_backbones() -> list[str]:
    """Those whose numbers are shown for a backbone that the paper did not try."""
    return list(_yaml()["shown"])


def footnotes(experiment: str) -> list[str]:
    """Where the paper disagrees with itself, as far as this experiment is concerned; empty for one it doesn't have."""
    if not any(experiment in number.experiments for number in published()):
        return []
    return [note["text"] for note in _yaml()["footnotes"] if {experiment, "*"} & set(note["experiments"])]


def exact_text(numbers: Sequence[Published]) -> str:
    """``39.2 (+7.8), Table 2``: the gain is over the paper's own reference; numbers that agree stand once."""
    sources: dict[str, list[str]] = {}
    for number in numbers:
        sources.setdefault(_text(number), []).append(number.source)
    return "; ".join(f"{text}, {' and '.join(dict.fromkeys(names))}" for text, names in sources.items())


def others_text(numbers: Sequence[Published]) -> str:
    """``Llama-2-7B 22.2 (+1.4); GPT-3.5 41.0 (+1.8); all 6: −5.4 … +1.8``."""
    parts = []
    for backbone in shown_backbones():
        if texts := [_text(number) for number in numbers if number.backbone == backbone]:
            parts.append(f"{value_label('backbone', backbone)} {', '.join(texts)}")
    gains = [number.gain for number in numbers if number.gain is not None]
    if len(gains) > len(parts):
        parts.append(f"all {len(gains)}: {signed(min(gains))} … {signed(max(gains))}")
    return "; ".join(parts)


def _text(number: Published) -> str:
    text = ("≈ " if number.raster else "") + _FORMATS[number.measure].format(number.value)
    return text if number.gain is None else f"{text} ({signed(number.gain)})"


def signed(points: float) -> str:
    """``+1.8`` or ``−0.4``; never ``−0.0``."""
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


@cache
def _yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text(encoding="utf-8"))
    return content
