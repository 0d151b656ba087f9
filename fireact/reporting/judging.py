"""What a model as judge said of a run's answers, how far exact match agrees with it, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage.reading import printable

_READABLE = ("correct", "incorrect")


class Judging:
    """Counts trajectories one at a time; a run without a judge, in which all was compared, has no figures."""

    def __init__(self) -> None:
        self._pairs = Counter[tuple[bool, bool]]()  # (right by the judge, by exact match)
        self._unscored, self._sums, self._asked = Counter[str](), Counter[str](), 0
        self._usd = 0.0

    def add(self, trajectory: Trajectory) -> None:
        """Count one."""
        facts = trajectory.provenance
        if reason := facts.get("unscored"):
            self._unscored[reason] += 1
        if "judge_verdict" not in facts:
            return
        self._asked += 1
        try:
            for key in ("tokens_in", "tokens_out"):
                self._sums[key] += int(facts[f"judge_{key}"])
            self._usd += float(facts["judge_cost_usd"])
        except (KeyError, ValueError):
            raise DataError(f"the trajectory of question {printable(trajectory.question.id)} does not say what its "
                            "judge took; run the command again that made it") from None
        if facts["judge_verdict"] in _READABLE:
            self._pairs[facts["judge_verdict"] == "correct", trajectory.score.em == 1.0] += 1

    def figures(self) -> dict[str, Any]:
        """``judge`` (``asked``, ``unreadable``, ``agreement`` with exact match, a share of what could be read,
        ``kappa``, tokens and ``cost_usd``) and ``unscored`` (answers by reason), each where there is any."""
        unscored = {"unscored": dict(sorted(self._unscored.items()))} if self._unscored else {}
        if not self._asked:
            return unscored
        read = self._pairs.total()
        agreement = (self._pairs[True, True] + self._pairs[False, False]) / read if read else None
        judge = {"asked": self._asked, "unreadable": self._asked - read, "agreement": agreement,
                 "kappa": kappa(self._pairs), **self._sums, "cost_usd": self._usd}
        return {"judge": judge, **unscored}


def kappa(pairs: Mapping[tuple[bool, bool], int]) -> float | None:
    """Cohen's kappa (1960) of two raters' verdicts, how often each pair was given; None where chance alone would agree
    always, or nothing was rated."""
    n = sum(pairs.values())
    both = pairs.get((True, True), 0)
    first, second = both + pairs.get((True, False), 0), both + pairs.get((False, True), 0)
    by_chance = first * second + (n - first) * (n - second)  # of n²
    agreed = n * (both + pairs.get((False, False), 0))
    return (agreed - by_chance) / (n * n - by_chance) if by_chance < n * n else None


def per_answer(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A run's figures as a table has them, those that are known."""
    judge = metrics.get("judge") or {}
    return {f"judge_{key}": judge[key] for key in ("agreement", "kappa") if judge.get(key) is not None}


def said(metrics: Mapping[str, Any]) -> list[str]:
    """Sentences on what a reader must know of the run's scores; of most runs, none."""
    judge, unscored = metrics.get("judge"), metrics.get("unscored", {})
    sentences = [str(metrics["scored_by"])] if "scored_by" in metrics else []
    if judge and judge["agreement"] is not None:
        by_chance = "no kappa, as one of them never varies" if judge["kappa"] is None else f"κ {judge['kappa']:.2f}"
        sentences.append(f"The judge, asked {judge['asked']} times for ${judge['cost_usd']:.4f}, agrees with exact "
                         f"match in {judge['agreement']:.1%} of the answers ({by_chance}).")
    counted = "; ".join(f"{number}: {reason}" for reason, number in unscored.items())
    return [*sentences, *([f"Counted as wrong without a comparison: {counted}."] if unscored else [])]
