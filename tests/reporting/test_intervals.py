"""How sure a mean and a difference are: intervals and the paired test."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from fireact.reporting.statistics import bootstrap_ci95, mean_ci95, paired_p_value, wilson_ci95


def test_interval_is_reproducible_ordered_and_about_the_normal_width() -> None:
    values = [1.0] * 40 + [0.0] * 60
    low, high = bootstrap_ci95(values)
    assert (low, high) == bootstrap_ci95(values)
    assert low == pytest.approx(0.4 - 1.96 * 0.049, abs=0.011)
    assert high == pytest.approx(0.4 + 1.96 * 0.049, abs=0.011)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 50, 0, 0.0713), (50, 50, 0.9287, 1), (7, 100, 0.0343, 0.1375), (70, 100, 0.6042, 0.7811), (1, 1, 0.2065, 1)],
)
def test_the_interval_of_a_proportion_is_wilsons_and_never_a_point(right: int, n: int, low: float, high: float) -> None:
    assert wilson_ci95(right / n, n) == pytest.approx((low, high), abs=5e-5)
    assert mean_ci95([1.0] * right + [0.0] * (n - right)) == wilson_ci95(right / n, n)


def test_wilsons_bounds_solve_his_equation() -> None:
    for bound in wilson_ci95(0.3, 40):  # (share − p)² = z² p (1 − p) / n
        assert (0.3 - bound) ** 2 == pytest.approx(1.959964**2 * bound * (1 - bound) / 40, rel=1e-6)


def test_the_interval_of_other_scores_is_by_bootstrap_unless_they_are_all_equal() -> None:
    assert mean_ci95([0.5, 1.0, 0.0, 0.25]) == bootstrap_ci95([0.5, 1.0, 0.0, 0.25])
    assert mean_ci95([0.5] * 50) == wilson_ci95(0.5, 50)
    assert mean_ci95([]) == (0.0, 1.0)


def test_an_interval_takes_little_memory_for_many_scores() -> None:
    values = [i % 3 / 2 for i in range(5_000)]
    tracemalloc.start()
    low, high = bootstrap_ci95(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23
    assert (low, high) == pytest.approx((0.5 - 0.01132, 0.5 + 0.01132), abs=4e-4)  # 1.96 σ / √n, σ² = 1/6


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([], 1.0),
        ([0, 0, 0], 1.0),
        ([1], 1.0),
        ([1, 1, 1, 1, 1, 0, 0], 2 / 32),  # only all + and all − are as far
        ([1, 1, 1, 1, -1, 0], 12 / 32),  # |sum| ≥ 3: no or one other sign, either way
        ([-1, -1, -1, -1, 1], 12 / 32),
        ([0.5, 1], 2 / 4),
        ([1 / 3, 1 / 3, 1 / 3, -1], 1.0),  # the sum is nothing
    ],
)
def test_few_differences_are_tested_exactly(differences, p):
    assert paired_p_value(np.array(differences, dtype=float)) == pytest.approx(p)


def test_many_differences_are_resampled_alike_every_time():
    differences = np.array([1.0] * 11 + [-1.0] * 3)
    exact = 2 * (1 + 14 + 91 + 364) / 2**14
    assert paired_p_value(differences) == pytest.approx(exact, abs=0.006)
    assert paired_p_value(differences) == paired_p_value(differences)
    assert paired_p_value(np.ones(40)) == 1 / 10_001


def test_memory_follows_the_distinct_sizes_not_the_questions():
    differences = np.tile([1.0, -1.0, 1 / 3, -1 / 3], 100_000)
    assert paired_p_value(differences) == 1.0


def test_many_scores_are_resampled_as_counts_of_their_values() -> None:
    values = [i % 3 / 2 for i in range(3_000)]
    assert bootstrap_ci95(values) == bootstrap_ci95(values[::-1])  # only how often each value is there counts
    few = bootstrap_ci95(values[:2_000])  # question by question, as it always was
    assert few == (0.4815, 0.51775)
    for n in (2_001, 300_000):
        low, high = bootstrap_ci95([i % 3 / 2 for i in range(n)])
        half = 1.96 * (1 / 6 / n) ** 0.5
        assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.05 * half)
