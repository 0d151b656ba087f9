"""What a grid's tables and figures are made of: its rows, compared, and the axes that tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fireact.reporting import paper
from fireact.reporting.choices import choice_rows
from fireact.reporting.comparisons import Compared, compare
from fireact.reporting.grid import Grid
from fireact.reporting.layouts import MISSING, Layout, layout_of, value_label
from fireact.reporting.measures import common_measure
from fireact.reporting.rows import Failure, Row, read_rows


@dataclass(frozen=True, eq=False)
class Results:
    """A grid's outcome.

    Args:
        lines: its rows, each beside its reference, those for a choice among methods last.
        failures: the cells without results.
        axes: those worth a column.
        varying: all axes in which cells differ, the seed included.
        notes: what is to be said on cells left out, references and choices.
    """

    experiment: str
    layout: Layout
    lines: tuple[Compared, ...]
    failures: tuple[Failure, ...]
    axes: tuple[str, ...]
    varying: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        """The rows without their references."""
        return [line.row for line in self.lines]

    @property
    def measured(self) -> str:
        """The name of all rows' score: ``EM``, ``accuracy``, or ``score`` where tasks have different ones."""
        return common_measure(self.measures.values())

    @property
    def measures(self) -> dict[str, str]:
        """What each task calls its own score."""
        return {row.axes.get("task", "?"): common_measure(row.measures) for row in self.rows}

    def name(self, row: Row, axes: Iterable[str] | None = None) -> str:
        """What tells the row from the others, as people say it: ``tuned · ReAct + CoT``."""
        told = self.axes if axes is None else axes
        return " · ".join(label(axis, row.axes[axis]) for axis in told if axis in row.axes) or MISSING


def results_of(grid: Grid) -> Results:
    """Read every cell once and compare."""
    layout = layout_of(grid.experiment)
    rows, failures = read_rows(grid)
    chosen, notes = choice_rows(rows) if layout.choices else ([], [])
    lines, more = compare([*rows, *chosen], layout)
    axes = _told([*rows, *chosen], layout.axes)
    notes = [*(f"Left out: {sentence}" for sentence in grid.left_out), *notes, *more]
    return Results(
        grid.experiment, layout, tuple(lines), tuple(failures), axes, tuple(grid.varying()), tuple(notes)
    )


def label(axis: str, value: str | None) -> str:
    """An axis's value as people say it."""
    return paper.backbone_label(value) if axis == "backbone" and value else value_label(axis, value)


def _told(rows: Sequence[Row], first: Sequence[str]) -> tuple[str, ...]:
    """The layout's axes that vary, then any other that varies among the tuned or among the prompted rows."""
    names = dict.fromkeys(axis for row in rows for axis in row.axes)
    groups = [[row for row in rows if row.tuned], [row for row in rows if row.prompted]]
    leading = [axis for axis in first if _varies(axis, rows)]
    others = [axis for axis in names if axis not in leading and any(_varies(axis, group) for group in groups)]
    axes = [*leading, *others]
    return tuple(axes) if {"acting", "adapter"} & {*axes} or not _varies("acting", rows) and axes else ("acting", *axes)


def _varies(axis: str, rows: Sequence[Row]) -> bool:
    return len({row.axes.get(axis) for row in rows}) > 1
