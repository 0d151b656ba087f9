"""One run's trajectories summed up as ``metrics.json``; every score divides by the questions asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from fireact.metrics import bootstrap_ci95
from fireact.records import Ending, Score, Trajectory, Usage


def summarize(trajectories: Iterable[Trajectory], asked: int | None = None) -> dict[str, Any]:
    """Scores (fractions in 0…1), endings, rounds and cost of one run.

    Args:
        trajectories: what was acted out, taken one at a time; a question without one counts as wrong.
        asked: the number of questions; that of the trajectories if None.

    Returns:
        ``n, em, f1, accuracy, em_ci95, f1_ci95, finished, endings, rounds_mean, rounds_std, lm_calls, search_calls,
        tokens_in, tokens_out, cost_usd, seconds``; ``rounds`` are over the trajectories in which the model said
        anything at all, ``seconds`` is the time in which at least one question was being acted out.
    """
    outcomes = [_outcome(t) for t in trajectories]
    n = len(outcomes) if asked is None else asked
    missing = [0.0] * (n - len(outcomes))
    em = [o.score.em for o in outcomes] + missing
    f1 = [o.score.f1 for o in outcomes] + missing
    rounds = [o.rounds for o in outcomes if o.rounds is not None] or [0]
    endings = Counter(o.ending.value for o in outcomes)
    return {
        "n": n,
        "em": sum(em) / n,
        "f1": sum(f1) / n,
        "accuracy": sum(o.score.correct for o in outcomes) / n,
        "em_ci95": bootstrap_ci95(em),
        "f1_ci95": bootstrap_ci95(f1),
        "finished": endings[Ending.FINISH],
        "endings": dict(sorted(endings.items())),
        "rounds_mean": float(np.mean(rounds)),
        "rounds_std": float(np.std(rounds)),
        **{key: sum(getattr(o.usage, key) for o in outcomes) for key in _SUMMED},
        "seconds": _busy(o.span for o in outcomes),
    }


class _Outcome(NamedTuple):
    """What a summary needs of a trajectory, without its text; ``rounds`` is None where the model never answered."""

    score: Score
    ending: Ending
    rounds: int | None
    usage: Usage
    span: tuple[float, float]


def _outcome(trajectory: Trajectory) -> _Outcome:
    rounds = trajectory.rounds if trajectory.steps else None
    return _Outcome(trajectory.score, trajectory.ending, rounds, trajectory.usage, _span(trajectory))


_SUMMED = ("lm_calls", "search_calls", "tokens_in", "tokens_out", "cost_usd")


def busy_seconds(trajectories: Iterable[Trajectory]) -> float:
    """The time during which any question was being acted out, whatever the pauses between sessions."""
    return _busy(map(_span, trajectories))


def _span(trajectory: Trajectory) -> tuple[float, float]:
    """When a question was begun and ended, in Unix time."""
    end = datetime.fromisoformat(trajectory.provenance["finished_at"]).timestamp()
    return end - trajectory.usage.seconds, end


def _busy(spans: Iterable[tuple[float, float]]) -> float:
    busy, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy
