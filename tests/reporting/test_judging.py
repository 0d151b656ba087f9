"""A judge's figures: agreement, kappa, what could not be read, and what a reader is told of it."""

from __future__ import annotations

import dataclasses

import pytest

from fireact.errors import DataError
from fireact.reporting.judging import kappa, said
from fireact.reporting.statistics import restated, summarize
from fireact.trajectories.records import Score, Trajectory
from tests.reporting.grids import trajectory

FACTS = {"judge": "m", "judge_tokens_in": "10", "judge_tokens_out": "2", "judge_cost_usd": "0.5"}


def judged(number: int, verdict: str, em: float, **facts: str) -> Trajectory:
    plain = trajectory(number, em, 2, "file", em)
    provenance = {**plain.provenance, **FACTS, "judge_verdict": verdict, **facts}
    return dataclasses.replace(plain, score=Score(em, em, verdict == "correct"), provenance=provenance)


def test_kappa_is_cohen_s() -> None:
    pairs = {(True, True): 20, (True, False): 5, (False, True): 10, (False, False): 15}
    assert kappa(pairs) == pytest.approx(0.4)  # the usual textbook example
    assert kappa({(True, True): 7}) is None and kappa({}) is None
    assert kappa({(True, False): 5, (False, True): 5}) == -1.0


def test_figures_of_a_judge() -> None:
    run = [judged(0, "correct", 1.0), judged(1, "correct", 0.0), judged(2, "incorrect", 0.0),
           judged(3, "unreadable", 1.0, unscored="the judge's verdict could not be read")]
    metrics = summarize(run)
    assert metrics["judge"] == {"asked": 4, "unreadable": 1, "agreement": 2 / 3, "kappa": pytest.approx(0.4),
                                "tokens_in": 40, "tokens_out": 8, "cost_usd": 2.0}
    assert metrics["unscored"] == {"the judge's verdict could not be read": 1}
    assert (metrics["accuracy"], metrics["em"], metrics["cost_usd"]) == (0.5, 0.5, 0.04)
    assert said({**metrics, "scored_by": "A rule."}) == [
        "A rule.",
        "The judge, asked 4 times for $2.0000, agrees with exact match in 66.7% of the answers (κ 0.40).",
        "Counted as wrong without a comparison: 1: the judge's verdict could not be read.",
    ]


def test_a_judge_that_was_never_understood_has_no_agreement() -> None:
    judge = summarize([judged(0, "unreadable", 1.0)])["judge"]
    assert (judge["agreement"], judge["kappa"], judge["unreadable"]) == (None, None, 1)


def test_what_says_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="question q000 does not say what its judge took"):
        summarize([judged(0, "correct", 1.0, judge_tokens_in="many")])


def test_a_share_keeps_its_own_interval_and_most_runs_have_none_of_it() -> None:
    shares = [dataclasses.replace(trajectory(n, 0, 2, "file"), score=Score(0.0, v, v >= 0.5, v)) for n, v in
              enumerate((0.2, 0.9, 0.5))]
    metrics = summarize(shares)
    assert (metrics["accuracy"], metrics["right"]) == (pytest.approx(1.6 / 3), pytest.approx(2 / 3))
    assert restated(metrics)["accuracy_ci95"] == metrics["accuracy_ci95"] == metrics["f1_ci95"]
    assert not {"judge", "unscored", "right", "tool_calls"} & summarize([trajectory(0, 1, 2, "file")]).keys()
    assert "value" not in trajectory(0, 1, 2, "file").to_json()["score"]
    assert Trajectory.from_json(shares[0].to_json()) == shares[0]
