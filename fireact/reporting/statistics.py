"""Numbers and their uncertainty: one run summed up as ``metrics.json``, 95 % intervals, and a paired test."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fireact.reporting.judging import Judging
from fireact.reporting.tool_calls import ToolCalls
from fireact.trajectories.records import ACCURACY, EM, Ending, Trajectory

RESAMPLES = 10_000
RIGHT = "right"  # among the figures of a graded run
_ALL_SIGNS = 13  # 2**13 sign patterns are fewer than the resamples, so they are all tried
_BLOCK = 200_000  # counts drawn at once, so that memory does not grow with the questions
_BY_QUESTION = 2_000  # up to here the bootstrap draws questions one by one, and gives the numbers that it always gave
_ACCURACY = "accuracy is the share that is right by the task's own rule, such as yes or no, or the letter of a choice."
_SUMMED = ("lm_calls", "search_calls", "tokens_in", "tokens_out", "cost_usd")
_Z95 = NormalDist().inv_cdf(0.975)


def summarize(trajectories: Iterable[Trajectory], asked: int | None = None) -> dict[str, Any]:
    """Scores (fractions in 0…1), endings, rounds and cost of one run; every score divides by the questions asked.

    Args:
        trajectories: what was acted out, taken one at a time; a question without one counts as wrong.
        asked: the number of questions; that of the trajectories if None.

    Returns:
        ``n, em, f1, accuracy, em_ci95, f1_ci95, accuracy_ci95, finished, endings, rounds_mean, rounds_std, lm_calls,
        search_calls, tokens_in, tokens_out, cost_usd, seconds``; ``accuracy`` is the share that is right by the task's
        own rule, ``rounds`` are over the trajectories in which the model said anything at all, ``seconds`` is the time
        in which at least one question was being acted out. Where answers have a value between right and wrong,
        ``accuracy`` is its mean, and ``right`` the share that counts as right. What a judge said is in ``judge``, why
        answers could not be compared in ``unscored``, how tools were called in ``tool_calls``.
    """
    em, f1, own, rounds, spans = (array("d") for _ in range(5))  # numbers alone: files may hold 100,000 trajectories
    judging, tool_calls, graded = Judging(), ToolCalls(), False
    endings, sums = Counter[str](), dict.fromkeys(("correct", *_SUMMED), 0)
    for trajectory in trajectories:
        em.append(trajectory.score.em)
        f1.append(trajectory.score.f1)
        rounds.extend([trajectory.rounds] if trajectory.steps else [])
        spans.extend(_span(trajectory))
        endings[trajectory.ending.value] += 1
        sums["correct"] += trajectory.score.correct
        own.append(trajectory.score.own)
        graded |= trajectory.score.value is not None
        judging.add(trajectory)
        tool_calls.add(trajectory)
        for key in _SUMMED:
            sums[key] += getattr(trajectory.usage, key)
    n = len(em) if asked is None else asked
    for scores in (em, f1, own):
        scores.extend([0.0] * (n - len(scores)))
    return {
        "n": n,
        "em": sum(em) / n,
        "f1": sum(f1) / n,
        "accuracy": sum(own) / n if graded else sums["correct"] / n,
        "em_ci95": mean_ci95(em),
        "f1_ci95": mean_ci95(f1),
        "accuracy_ci95": mean_ci95(own) if graded else wilson_ci95(sums["correct"] / n, n),
        **({RIGHT: sums["correct"] / n} if graded else {}),
        "finished": endings[Ending.FINISH.value],
        "endings": dict(sorted(endings.items())),
        "rounds_mean": float(np.mean(rounds or [0])),
        "rounds_std": float(np.std(rounds or [0])),
        **{key: sums[key] for key in _SUMMED},
        "seconds": _busy(spans),
        **judging.figures(),
        **tool_calls.figures(),
    }


def restated(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``metrics.json`` of any age, with the intervals that ``summarize`` gives now.

    Once, every interval was taken by bootstrap, which makes a point of 0 of 50.
    """
    n, intervals = metrics["n"], {}
    if not is_graded(metrics):
        intervals["accuracy_ci95"] = wilson_ci95(metrics["accuracy"], n)
    for score in ("em", "f1"):
        low, high = metrics[f"{score}_ci95"]
        counted = score == "em" and abs(n * metrics["em"] - round(n * metrics["em"])) < 1e-6
        intervals[f"{score}_ci95"] = wilson_ci95(metrics[score], n) if counted or low == high else (low, high)
    return {**metrics, **{key: list(interval) for key, interval in intervals.items()}}  # as JSON has them


def is_graded(metrics: Mapping[str, Any]) -> bool:
    """Whether the task's own score is more than right or wrong, so that its interval is no proportion's."""
    return RIGHT in metrics


def measure_of(metrics: Mapping[str, Any]) -> str:
    """What the task calls its own score, which is ``accuracy`` in ``metrics.json``; older files don't say it."""
    return str(metrics.get("measure") or (EM if metrics["accuracy"] == metrics["em"] else ACCURACY))


def common_measure(measures: Iterable[str]) -> str:
    """The heading of a column of several tasks' own scores: their name, where all have the same; EM of none."""
    names = set(measures) or {EM}
    return names.pop() if len(names) == 1 else "score"


def explained(measures: Mapping[str, str]) -> list[str]:
    """What a reader must be told of the measures, by task, in one column; nothing of EM alone."""
    tasks = {name: [task for task, of_it in measures.items() if of_it == name] for name in measures.values()}
    each = "; ".join(f"{name} for {' and '.join(those)}" for name, those in tasks.items())
    return [
        *([f"score is each task's own: {each}."] if len(tasks) > 1 else []),
        *([_ACCURACY] if ACCURACY in tasks else []),
    ]


def _span(trajectory: Trajectory) -> tuple[float, float]:
    """When a question was begun and ended, in Unix time."""
    end = datetime.fromisoformat(trajectory.provenance["finished_at"]).timestamp()
    return end - trajectory.usage.seconds, end


def _busy(spans: Sequence[float]) -> float:
    """The time that any of these spans covers, whatever the pauses between sessions: beginnings and ends in turns."""
    starts, ends = np.asarray(spans).reshape(-1, 2).T
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    reached = np.maximum.accumulate(np.append(-np.inf, ends))[:-1]
    return float(np.clip(ends - np.maximum(starts, reached), 0, None).sum())


def mean_ci95(values: ArrayLike) -> tuple[float, float]:
    """The 95 % interval, within 0…1, of the mean of scores in 0…1, one a question.

    Wilson's where every score is 0 or 1, as exact match is. Else (F1, means over seeds) by bootstrap over questions,
    unless all scores are equal: nothing is left to resample then, and Wilson's interval, which is never a point, holds
    for any scores in 0…1, as none with that mean vary more than 0 and 1 do.
    """
    scores = np.asarray(values, dtype=float)
    if np.isin(scores, (0.0, 1.0)).all() or (scores == scores[0]).all():
        return wilson_ci95(float(scores.mean()) if len(scores) else 0.0, len(scores))
    return bootstrap_ci95(scores)


def wilson_ci95(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion ``share`` (0…1) of ``n`` (Wilson 1927); (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    weight = _Z95**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = _Z95 * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    # At both ends it touches the share itself, which rounding would miss.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def bootstrap_ci95(values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the mean over questions (Efron 1979), of at least one value.

    A resample is drawn as counts: how often each question is in it, or, of more than 2,000 questions, how often each
    distinct value is, which has the same distribution and costs no more for more questions. Equal values leave nothing
    to resample, so it is a point then; ``mean_ci95`` knows better.
    """
    scores = np.asarray(values, dtype=float)
    n, shares = len(scores), np.full(len(scores), 1 / len(scores))
    if n > _BY_QUESTION:
        scores, counts = np.unique(scores, return_counts=True)
        shares = counts / n
    rng, block = np.random.default_rng(seed), max(1, _BLOCK // len(scores))
    sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
    means = [rng.multinomial(n, shares, size=size) @ scores / n for size in sizes]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


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
