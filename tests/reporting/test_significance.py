from __future__ import annotations

import numpy as np
import pytest

from fireact.reporting.significance import paired_p_value


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
