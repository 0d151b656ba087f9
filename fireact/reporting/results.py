"""What a grid's table and figures are made of: its rows, compared, and the axes that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fireact.reporting import paper
from fireact.reporting.experiments import Experiment, differing, experiment_of, reference_of, same_conditions
from fireact.reporting.grid import Grid
from fireact.reporting.method_choice import choice_rows
from fireact.reporting.rows import Row, read_rows
from fireact.reporting.statistics import common_measure

_STOOD_IN = (
    "Some rows have no usual reference in this grid; they are compared with the first row of the same backbone, task "
    "and search tool, if there is another."
)


@dataclass(frozen=True, eq=False)
class Results:
    """A grid's outcome.

    Args:
        grid: as it was read: a cell whose files are missing or malformed is among its failed ones.
        rows: each with its reference and the paper's numbers, those for a choice among methods last.
        axes: those worth a column.
        numbers: the paper's, for this experiment.
        notes: what is to be said on cells left out, choices, references and the paper.
    """

    grid: Grid
    experiment: Experiment
    rows: Sequence[Row]
    axes: Sequence[str]
    numbers: Sequence[paper.Published]
    notes: Sequence[str]

    @property
    def measures(self) -> dict[str, str]:
        """What each task calls its own score."""
        return {row.axes.get("task", "?"): common_measure(row.measures) for row in self.rows}

    @property
    def measured(self) -> str:
        """The name of all rows' score: ``EM``, ``accuracy``, or ``score`` where tasks have different ones."""
        return common_measure(self.measures.values())


def results_of(grid: Grid) -> Results:
    """Read every cell once and compare."""
    experiment = experiment_of(grid.experiment)
    grid, rows = read_rows(grid)
    chosen, on_choices = choice_rows(rows) if experiment.choices else ([], [])
    rows, on_references = _compared([*rows, *chosen], experiment.reference)
    numbers = paper.numbers_of(experiment)
    for place, row in enumerate(rows):
        size = {} if row.trained_on is None else {"size": f"n{row.trained_on:.0f}"}  # what it was really trained on
        exact, others = paper.at({**row.axes, **size}, numbers)
        rows[place] = replace(row, paper=exact, paper_others=others)
    left_out = [f"Left out: {sentence}" for sentence in grid.left_out]
    notes = [*left_out, *on_choices, *on_references, *paper.footnotes(experiment.name)]
    return Results(grid, experiment, rows, _columns(rows, experiment.axes), numbers, notes)


def _compared(rows: Sequence[Row], patterns: Mapping[str, str] | None) -> tuple[list[Row], list[str]]:
    """Each row with its reference, and what is to be said on the choice of references.

    A row without the usual reference, or in an experiment that names none, is compared with the first row that acts
    under the same conditions. No row is compared with one of another backbone or task.
    """
    compared, stood_in = [], False
    for row in rows:
        reference = None if patterns is None else reference_of(row.axes, rows, patterns)
        if reference is None:
            stood_in |= patterns is not None
            reference = _first_alike(row, rows) or (row if patterns is None else None)
        compared.append(replace(row, is_reference=True) if reference is row else replace(row, reference=reference))
    return compared, [_STOOD_IN] if stood_in else []


def _first_alike(row: Row, rows: Sequence[Row]) -> Row | None:
    """The first row of the same backbone, task and search tool (it may be the row itself); where there is no other,
    the first that differs in its search tool and in nothing else."""
    alike = [other for other in rows if same_conditions(row.axes, other.axes)]
    if len(alike) == 1:
        alike = [r for r in rows if all(axis.split(".")[0] == "search" for axis in differing(row.axes, r.axes))]
    return alike[0] if len(alike) > 1 else None


def _columns(rows: Sequence[Row], first: Sequence[str]) -> list[str]:
    """The experiment's axes that vary, then any other that varies among the tuned or among the prompted rows."""

    def varies(axis: str, among: Sequence[Row]) -> bool:
        return len({row.axes.get(axis) for row in among}) > 1

    names = dict.fromkeys(axis for row in rows for axis in row.axes)
    groups = [[row for row in rows if row.tuned], [row for row in rows if row.prompted]]
    leading = [axis for axis in first if varies(axis, rows)]
    axes = [*leading, *(a for a in names if a not in leading and any(varies(a, group) for group in groups))]
    return axes if {"acting", "adapter"} & {*axes} or axes and not varies("acting", rows) else ["acting", *axes]
