"""A row's score with its interval, and how it differs from the row that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fireact.metrics import bootstrap_ci95
from fireact.reporting.layouts import Layout
from fireact.reporting.matching import reference_of
from fireact.reporting.rows import Row
from fireact.reporting.significance import paired_p_value


@dataclass(frozen=True, eq=False)
class Compared:
    """A row beside its reference, which may be the row itself. Scores and differences are fractions."""

    row: Row
    reference: Row

    @property
    def score(self) -> float:
        """The mean over questions."""
        return float(self.row.scores.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 %, by bootstrap over questions."""
        return bootstrap_ci95(self.row.scores.tolist())

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with it."""
        return self.row is self.reference

    @property
    def paired(self) -> bool:
        """Whether both answered the same questions; a difference means something only then."""
        return np.array_equal(self.row.ids, self.reference.ids)

    @property
    def difference(self) -> float | None:
        """Mean difference per question; None for a reference, or where the questions differ."""
        return None if self.is_reference or not self.paired else float(self._differences().mean())

    @cached_property
    def p(self) -> float | None:
        """Of the paired test; None where there is no difference to test."""
        return None if self.is_reference or not self.paired else paired_p_value(self._differences())

    def _differences(self) -> np.ndarray:
        difference: np.ndarray = self.row.scores - self.reference.scores
        return difference


def compare(rows: Sequence[Row], layout: Layout) -> tuple[list[Compared], list[str]]:
    """Each row beside its reference, and what is to be said on the choice of references.

    A row without the layout's reference, or of a layout that names none, is compared with the first row of its task.
    """
    compared, stood_in = [], False
    for row in rows:
        reference = None if layout.reference is None else reference_of(row.axes, rows, layout.reference)
        if reference is None:
            stood_in |= layout.reference is not None
            reference = next(other for other in rows if other.axes.get("task") == row.axes.get("task"))
        compared.append(Compared(row, reference))
    note = "Some rows have no usual reference in this grid; they are compared with the first row of their task."
    return compared, [note] if stood_in else []
