"""What choosing a method for every question would give: a random and an oracle's choice (the paper's Table 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fireact.reporting.matching import fits, reference_of
from fireact.reporting.measures import common_measure
from fireact.reporting.rows import SILENT, Answers, Row, pooled

_ANCHOR = {"acting": "fireact", "method": "react"}
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
    for anchor in (row for row in rows if fits(row.axes, _ANCHOR)):
        partners = {name: reference_of(anchor.axes, rows, patterns) for name, patterns in _OTHERS.items()}
        missing = [name for name, row in partners.items() if row is None or not _asked_the_same(anchor, row)]
        if missing:
            notes.append(f"No choice among the methods: {' and '.join(missing)} did not answer the same questions.")
        else:
            chosen += _choices([anchor, *(row for row in partners.values() if row)])
    return chosen, list(dict.fromkeys([*([NOTE] if chosen else []), *notes]))


def _asked_the_same(anchor: Row, row: Row) -> bool:
    asked = [answers.ids for answers in (*anchor.seeds.values(), *row.seeds.values())]
    return all(np.array_equal(ids, asked[0]) for ids in asked)


def _choices(members: Sequence[Row]) -> list[Row]:
    axes = {axis: value for axis, value in members[0].axes.items() if axis not in ("adapter", "method")}
    facts = frozenset[str]().union(*(row.facts for row in members))
    made: list[Row] = []
    for name, choose in ((RANDOM, _random), (ORACLE, _oracle)):
        seeds = {seed: choose([_of_seed(row.seeds, seed) for row in members]) for seed in _seeds(members)}
        made.append(pooled({**axes, "acting": name}, seeds, facts=facts))
    return made


def _seeds(members: Sequence[Row]) -> list[str]:
    """The seeds that all tuned ones have; a prompted one may have been asked only once for all of them."""
    tuned = [row for row in members if row.tuned]
    common = [seed for seed in tuned[0].seeds if all(seed in row.seeds for row in tuned)]
    return common or list(tuned[0].seeds)[:1]


def _of_seed(seeds: Mapping[str, Answers], seed: str) -> Answers:
    return seeds.get(seed) or next(iter(seeds.values()))


def _random(members: Sequence[Answers]) -> Answers:
    """All answers of all methods: their means are those of a choice by a fair die."""
    columns = {name: np.concatenate([getattr(a, name) for a in members]) for name in _COLUMNS}
    return Answers(**columns, measure=common_measure(a.measure for a in members))


def _oracle(members: Sequence[Answers]) -> Answers:
    right = np.stack([a.right for a in members])
    rounds = np.stack([a.rounds for a in members])
    fewest = np.where(right > 0, rounds, np.iinfo(np.int64).max).min(axis=0)
    return Answers(
        ids=members[0].ids,
        right=right.max(axis=0),
        f1=np.stack([a.f1 for a in members]).max(axis=0),
        finished=np.stack([a.finished for a in members]).max(axis=0),
        rounds=np.where(right.any(axis=0), fewest, SILENT),
        measure=common_measure(a.measure for a in members),
    )


_COLUMNS = ("ids", "right", "f1", "finished", "rounds")
