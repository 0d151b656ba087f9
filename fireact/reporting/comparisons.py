"""A row's score with its interval, and how it differs from the row that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fireact.reporting.layouts import Layout
from fireact.reporting.matching import differing, reference_of, same_conditions
from fireact.reporting.rows import Row
from fireact.reporting.significance import paired_p_value
from fireact.trajectories.metrics import mean_ci95


@dataclass(frozen=True, eq=False)
class Compared:
    """A row beside its reference: the row itself, or None where none is alike. Scores and differences are fractions."""

    row: Row
    reference: Row | None

    @property
    def score(self) -> float:
        """The mean over questions."""
        return float(self.row.scores.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 %, of the mean over questions: see ``mean_ci95``."""
        return mean_ci95(self.row.scores.tolist())

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with it."""
        return self.row is self.reference

    @property
    def paired(self) -> bool:
        """Whether both answered the same questions; a difference means something only then."""
        return self.reference is not None and np.array_equal(self.row.ids, self.reference.ids)

    @property
    def difference(self) -> float | None:
        """Mean difference per question; None for a reference, without one, or where the questions differ."""
        return None if self._differences is None else float(self._differences.mean())

    @cached_property
    def p(self) -> float | None:
        """Of the paired test; None where there is no difference to test."""
        return None if self._differences is None else paired_p_value(self._differences)

    @cached_property
    def _differences(self) -> np.ndarray | None:
        if self.reference is None or self.is_reference or not self.paired:
            return None
        difference: np.ndarray = self.row.scores - self.reference.scores
        return difference


def compare(rows: Sequence[Row], layout: Layout) -> tuple[list[Compared], list[str]]:
    """Each row beside its reference, and what is to be said on the choice of references.

    A row without the layout's reference, or of a layout that names none, is compared with the first row that acts under
    the same conditions. No row is compared with one of another backbone or task.
    """
    patterns, compared, stood_in = layout.reference, [], False
    for row in rows:
        reference = None if patterns is None else reference_of(row.axes, rows, patterns)
        if reference is None:
            stood_in |= patterns is not None
            reference = _first_alike(row, rows) or (row if patterns is None else None)
        compared.append(Compared(row, reference))
    return compared, [_STOOD_IN] if stood_in else []


_STOOD_IN = (
    "Some rows have no usual reference in this grid; they are compared with the first row of the same backbone, task "
    "and search tool, if there is another."
)


def _first_alike(row: Row, rows: Sequence[Row]) -> Row | None:
    """The first row of the same backbone, task and search tool (it may be the row itself); where there is no other,
    the first that differs in its search tool and in nothing else."""
    alike = [other for other in rows if same_conditions(row.axes, other.axes)]
    if len(alike) == 1:
        alike = [other for other in rows if all(map(_of_search, differing(row.axes, other.axes)))]
    return alike[0] if len(alike) > 1 else None


def _of_search(axis: str) -> bool:
    return axis.split(".")[0] == "search"
