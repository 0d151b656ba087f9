"""Answer scoring as HotpotQA does it, and the interval every score is shown with."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_BLOCK = 200_000  # counts drawn at once
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation, articles and extra white space (the SQuAD and HotpotQA normalisation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answer: str) -> float:
    """1.0 if both normalise to the same text, else 0.0; an answer that normalises to nothing, as the letter A does, is
    compared as it stands."""
    gold = normalize_answer(answer)
    return float(normalize_answer(prediction) == gold if gold else prediction.strip().lower() == answer.strip().lower())


def f1_score(prediction: str, answer: str) -> float:
    """Token-count F1 of the normalised texts, in 0…1; yes, no and noanswer only match themselves (HotpotQA)."""
    predicted, gold = normalize_answer(prediction), normalize_answer(answer)
    if predicted != gold and {predicted, gold} & {"yes", "no", "noanswer"}:
        return 0.0
    common = sum((Counter(predicted.split()) & Counter(gold.split())).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted.split()), common / len(gold.split())
    return 2 * precision * recall / (precision + recall)


def bootstrap_ci95(values: Sequence[float], seed: int = 0, resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the mean over questions (Efron 1979); (0, 0) of nothing.

    Scores of 0 and 1 everywhere alike leave nothing to resample, so the interval is then a point.
    """
    if not values:
        return 0.0, 0.0
    rng, n, even = np.random.default_rng(seed), len(values), np.full(len(values), 1 / len(values))
    block = max(1, _BLOCK // n)  # of resamples, so that memory does not grow with the questions
    sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
    means = [rng.multinomial(n, even, size=size) @ np.asarray(values, dtype=float) / n for size in sizes]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
