"""One run's trajectories summed up as ``metrics.json``; every score divides by the questions asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from fireact.metrics import bootstrap_ci95
from fireact.records import Ending, Trajectory


def summarize(trajectories: Sequence[Trajectory], asked: int) -> dict[str, Any]:
    """Scores (fractions in 0…1), endings, rounds and cost of one run.

    Args:
        trajectories: what was acted out; a question without one counts as wrong.
        asked: the number of questions.

    Returns:
        ``n, em, f1, accuracy, em_ci95, f1_ci95, finished, endings, rounds_mean, rounds_std, lm_calls, search_calls,
        tokens_in, tokens_out, cost_usd, seconds``; ``rounds`` are over the trajectories, ``seconds`` is the time in
        which at least one question was being acted out.
    """
    missing = [0.0] * (asked - len(trajectories))
    em = [t.score.em for t in trajectories] + missing
    f1 = [t.score.f1 for t in trajectories] + missing
    rounds = [t.rounds for t in trajectories] or [0]
    endings = Counter(t.ending.value for t in trajectories)
    return {
        "n": asked,
        "em": sum(em) / asked,
        "f1": sum(f1) / asked,
        "accuracy": sum(t.score.correct for t in trajectories) / asked,
        "em_ci95": bootstrap_ci95(em),
        "f1_ci95": bootstrap_ci95(f1),
        "finished": endings[Ending.FINISH],
        "endings": dict(sorted(endings.items())),
        "rounds_mean": float(np.mean(rounds)),
        "rounds_std": float(np.std(rounds)),
        **{key: sum(getattr(t.usage, key) for t in trajectories) for key in _SUMMED},
        "seconds": busy_seconds(trajectories),
    }


_SUMMED = ("lm_calls", "search_calls", "tokens_in", "tokens_out", "cost_usd")


def busy_seconds(trajectories: Sequence[Trajectory]) -> float:
    """The time during which any question was being acted out, whatever the pauses between sessions."""
    ends = [datetime.fromisoformat(t.provenance["finished_at"]).timestamp() for t in trajectories]
    spans = sorted((end - t.usage.seconds, end) for t, end in zip(trajectories, ends, strict=True))
    busy, reached = 0.0, float("-inf")
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy
