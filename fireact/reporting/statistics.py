"""One run's trajectories summed up as ``metrics.json``; every score divides by the questions asked."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np

from fireact.trajectories.metrics import mean_ci95, wilson_ci95
from fireact.trajectories.records import Ending, Trajectory


def summarize(trajectories: Iterable[Trajectory], asked: int | None = None) -> dict[str, Any]:
    """Scores (fractions in 0…1), endings, rounds and cost of one run.

    Args:
        trajectories: what was acted out, taken one at a time; a question without one counts as wrong.
        asked: the number of questions; that of the trajectories if None.

    Returns:
        ``n, em, f1, accuracy, em_ci95, f1_ci95, accuracy_ci95, finished, endings, rounds_mean, rounds_std, lm_calls,
        search_calls, tokens_in, tokens_out, cost_usd, seconds``; ``accuracy`` is the share that is right by the task's
        own rule, ``rounds`` are over the trajectories in which the model said anything at all, ``seconds`` is the time
        in which at least one question was being acted out.
    """
    em, f1, rounds, spans = (array("d") for _ in range(4))  # numbers alone: files may hold 100,000 trajectories
    endings, sums = Counter[str](), dict.fromkeys(("correct", *_SUMMED), 0)
    for trajectory in trajectories:
        em.append(trajectory.score.em)
        f1.append(trajectory.score.f1)
        rounds.extend([trajectory.rounds] if trajectory.steps else [])
        spans.extend(_span(trajectory))
        endings[trajectory.ending.value] += 1
        sums["correct"] += trajectory.score.correct
        for key in _SUMMED:
            sums[key] += getattr(trajectory.usage, key)
    n = len(em) if asked is None else asked
    for scores in (em, f1):
        scores.extend([0.0] * (n - len(scores)))
    return {
        "n": n,
        "em": sum(em) / n,
        "f1": sum(f1) / n,
        "accuracy": sums["correct"] / n,
        "em_ci95": mean_ci95(em),
        "f1_ci95": mean_ci95(f1),
        "accuracy_ci95": wilson_ci95(sums["correct"] / n, n),
        "finished": endings[Ending.FINISH.value],
        "endings": dict(sorted(endings.items())),
        "rounds_mean": float(np.mean(rounds or [0])),
        "rounds_std": float(np.std(rounds or [0])),
        **{key: sums[key] for key in _SUMMED},
        "seconds": _busy(spans),
    }


def restated(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``metrics.json`` of any age, with the intervals that ``summarize`` gives now.

    Once, every interval was taken by bootstrap, which makes a point of 0 of 50.
    """
    n, intervals = metrics["n"], {"accuracy_ci95": wilson_ci95(metrics["accuracy"], metrics["n"])}
    for score in ("em", "f1"):
        low, high = metrics[f"{score}_ci95"]
        counted = score == "em" and abs(n * metrics["em"] - round(n * metrics["em"])) < 1e-6
        intervals[f"{score}_ci95"] = wilson_ci95(metrics[score], n) if counted or low == high else (low, high)
    return {**metrics, **{key: list(interval) for key, interval in intervals.items()}}  # as JSON has them


_SUMMED = ("lm_calls", "search_calls", "tokens_in", "tokens_out", "cost_usd")


def busy_seconds(trajectories: Iterable[Trajectory]) -> float:
    """The time during which any question was being acted out, whatever the pauses between sessions."""
    return _busy(array("d", chain.from_iterable(map(_span, trajectories))))


def _span(trajectory: Trajectory) -> tuple[float, float]:
    """When a question was begun and ended, in Unix time."""
    end = datetime.fromisoformat(trajectory.provenance["finished_at"]).timestamp()
    return end - trajectory.usage.seconds, end


def _busy(spans: Sequence[float]) -> float:
    """Of beginnings and ends in turns."""
    starts, ends = np.asarray(spans).reshape(-1, 2).T
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    reached = np.maximum.accumulate(np.append(-np.inf, ends))[:-1]
    return float(np.clip(ends - np.maximum(starts, reached), 0, None).sum())
