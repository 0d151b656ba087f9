"""How an experiment's tables and figures are laid out: ``layouts.yaml``; a sweep of one's own gets a plain layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("layouts.yaml")
MISSING = "–"


@dataclass(frozen=True)
class Drawing:
    """What a figure shows.

    Args:
        kind: ``bars`` or ``curve``.
        x: of a curve, an axis that holds numbers, or ``trained_on``.
        series: of bars, the axes that the legend tells apart; the others name the groups.
        measure: the length of a bar: ``score``, in per cent, or ``seconds`` per question.
    """

    kind: str = "bars"
    x: str = "trained_on"
    series: tuple[str, ...] = ()
    measure: str = "score"


@dataclass(frozen=True)
class Layout:
    """One experiment's; ``reference`` holds patterns of axes (``matching``), None compares with the first row."""

    title: str
    axes: tuple[str, ...] = ()
    reference: Mapping[str, str] | None = None
    figure: Drawing = field(default_factory=Drawing)
    rounds: bool = False
    choices: bool = False
    columns: tuple[str, ...] = ()
    found: str = ""


def layout_of(experiment: str) -> Layout:
    """The layout of a file under ``conf/experiment``, or the plain one."""
    row = _yaml()["experiments"].get(experiment)
    if row is None:
        return Layout(f"Sweep: {experiment}")
    figure = row["figure"]
    drawing = Drawing(**{**figure, "series": tuple(figure.get("series", ()))})
    lists = {key: tuple(row.get(key, ())) for key in ("axes", "columns")}
    return Layout(**{**row, **lists, "figure": drawing})


def axis_label(axis: str) -> str:
    """An axis's name as people say it."""
    return str(_yaml()["axes"].get(axis, axis))


def value_label(axis: str, value: str | None) -> str:
    """An axis's value as people say it; a dash where there is none."""
    if value is None:
        return MISSING
    layouts = _yaml()
    if axis == "method":
        return _mix(value, layouts["methods"])
    names = layouts["values"].get(axis, {})
    return str(names.get(value, names.get("*", "{}"))).format(value)


def _mix(method: str, names: Mapping[str, str]) -> str:
    parts = method.split("_")
    return " + ".join(names[part] for part in parts) if all(part in names for part in parts) else method


@cache
def _yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
