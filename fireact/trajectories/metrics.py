"""Answer scoring as HotpotQA does it."""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
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
