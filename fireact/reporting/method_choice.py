"""What choosing a method for every question would give: a random and an oracle's choice (the paper's Table 4)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from fireact.reporting.experiments import fits, reference_of
from fireact.reporting.rows import SEED, Row

_TUNED_ON_REACT = {"acting": "fireact", "method": "react"}
_OTHERS = {
    "IO prompted": {"adapter": "none", "acting": "io"},
    "CoT prompted": {"adapter": "none", "acting": "cot"},
    "Reflexion tuned": {"acting": "fireact", "method": "reflexion"},
}
RANDOM, ORACLE = "random", "oracle"
NOTE = (
    "The choices are among IO and CoT prompted and ReAct and Reflexion tuned: random choice is their mean; "
    "oracle choice is right where any of them is, with the rounds of the right one that took fewest."
)


def choice_rows(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Two rows for every ReAct-tuned one that has all its partners, and a sentence on each that has not."""
    chosen, notes = [], []
    for tuned in (row for row in rows if fits(row.axes, _TUNED_ON_REACT)):
        partners = {name: reference_of(tuned.axes, rows, patterns) for name, patterns in _OTHERS.items()}
        missing = [name for name, row in partners.items() if row is None or not _asked_the_same(tuned, row)]
        if missing:
            notes.append(f"No choice among the methods: {' and '.join(missing)} did not answer the same questions.")
        else:
            chosen += _choices([tuned, *(row for row in partners.values() if row)])
    return chosen, list(dict.fromkeys([*([NOTE] if chosen else []), *notes]))


def _asked_the_same(*rows: Row) -> bool:
    """Whether each seed of each row answered every question of all."""
    asked = rows[0].questions["question"]
    return all(row.questions["question"].equals(asked) and len(row.answers) == len(asked) * len(row.seeds)
               for row in rows)


def _choices(members: Sequence[Row]) -> list[Row]:
    """Over the seeds that all tuned ones have; a prompted one may have been asked only once for all of them."""
    first = list(members[0].seeds)
    seeds = [seed for seed in first if all(seed in row.seeds for row in members if not row.prompted)] or first[:1]
    answers = pl.concat(
        row.answers.filter(pl.col(SEED) == (seed if seed in row.seeds else [*row.seeds][0]))
        .with_columns(pl.lit(seed).alias(SEED))
        for seed in seeds for row in members
    )
    best = answers.group_by(SEED, "question", maintain_order=True).agg(
        pl.col("right", "finished").any(), pl.col("own", "f1").max(), pl.col("rounds").filter("right").min()
    )
    axes = {axis: value for axis, value in members[0].axes.items() if axis not in ("adapter", "method")}
    measures = frozenset[str]().union(*(row.measures for row in members))
    scored_on = frozenset[str]().union(*(row.scored_on for row in members))
    # All answers of all methods have the mean of a choice by a fair die.
    made = {RANDOM: answers, ORACLE: best}
    return [Row({**axes, "acting": name}, of_it, measures, scored_on=scored_on) for name, of_it in made.items()]
