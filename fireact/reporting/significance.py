"""Whether two rows that answered the same questions differ by more than chance."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
_ALL_SIGNS = 13  # 2**13 sign patterns are fewer than the resamples, so they are all tried


def paired_p_value(differences: NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided p of Fisher's randomisation test for paired scores (1935): random signs, statistic |mean|.

    Exact where at most 13 differences are not zero; else from 10,000 random sign patterns, the observed one counted
    among them (Phipson and Smyth 2010), so never below 1/10,001.

    Args:
        differences: one a question, averaged over seeds; 1.0 of none, or of zeros alone.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]).round(12), return_counts=True)
    observed = abs(differences.sum()) - 1e-9  # what sums to the same must count, whatever the order of adding
    if counts.sum() <= _ALL_SIGNS:
        signs = np.array(list(product((-1, 1), repeat=int(counts.sum()))))
        return float(np.mean(np.abs(signs @ np.repeat(sizes, counts)) >= observed))
    # Of c equal differences, a random number keeps its sign, so memory follows the few distinct sizes.
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(RESAMPLES, len(counts)))
    return float((1 + np.sum(np.abs((2 * kept - counts) @ sizes) >= observed)) / (1 + RESAMPLES))
