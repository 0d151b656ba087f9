"""Answer scoring as HotpotQA does it, and the interval every score is shown with."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_BLOCK = 200_000  # counts drawn at once
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_Z95 = NormalDist().inv_cdf(0.975)


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation, articles and extra white space (the SQuAD and HotpotQA normalisation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answer: str) -> float:
    """1.0 if both normalise to the same text, else 0.0; an answer that normalises to nothing, as the letter A does, is
    compared as it stands."""
    gold = normalize_answer(answer)
    return float(normalize_answer(prediction) == gold if gold else prediction.strip().lower() == answer.strip().lower())


def f1_score(prediction: str, answer: str) -> float:
    """Token-count F1 of the normalised texts, in 0…1; yes, no and noanswer only match themselves (HotpotQA).

    1.0 wherever the exact match is, also of an answer that normalises to nothing and so has no token in common.
    """
    if exact_match(prediction, answer):
        return 1.0
    predicted, gold = normalize_answer(prediction), normalize_answer(answer)
    if predicted != gold and {predicted, gold} & {"yes", "no", "noanswer"}:
        return 0.0
    common = sum((Counter(predicted.split()) & Counter(gold.split())).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted.split()), common / len(gold.split())
    return 2 * precision * recall / (precision + recall)


def mean_ci95(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval, within 0…1, of the mean of scores in 0…1, one a question.

    Wilson's where every score is 0 or 1, as exact match is. Else (F1, means over seeds) by bootstrap over questions,
    unless all scores are equal: nothing is left to resample then, and Wilson's interval, which is never a point, holds
    for any scores in 0…1, as none with that mean vary more than 0 and 1 do.
    """
    scores = np.asarray(values, dtype=float)
    if np.isin(scores, (0.0, 1.0)).all() or (scores == scores[0]).all():
        return wilson_ci95(float(scores.mean()) if len(scores) else 0.0, len(scores))
    return bootstrap_ci95(values)


def wilson_ci95(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion ``share`` (0…1) of ``n`` (Wilson 1927); (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    weight = _Z95**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = _Z95 * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    # At both ends it touches the share itself, which rounding would miss.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def bootstrap_ci95(values: Sequence[float], seed: int = 0, resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the mean over questions (Efron 1979), of at least one value.

    Equal values leave nothing to resample, so it is a point then; ``mean_ci95`` knows better.
    """
    rng, n, even = np.random.default_rng(seed), len(values), np.full(len(values), 1 / len(values))
    block = max(1, _BLOCK // n)  # of resamples, so that memory does not grow with the questions
    sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
    means = [rng.multinomial(n, even, size=size) @ np.asarray(values, dtype=float) / n for size in sizes]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
