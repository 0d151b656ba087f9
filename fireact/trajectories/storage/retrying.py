"""Asking a service once more: how often, after what pause, and when it says itself to come back."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential
from tenacity.asyncio import AsyncRetrying

_JITTER = random.Random()  # of pauses only, so it needs no seed and takes nothing from anybody else's numbers


class AttemptFailed(Exception):
    """An attempt without an answer.

    ``retry`` says whether another one may help, after ``wait_s`` seconds if the service named a time.
    """

    def __init__(self, message: str, *, retry: bool = True, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.retry, self.wait_s = retry, wait_s


def retrying(
    retries: int, backoff_s: float, longest_s: float, sleep: Callable[[float], Awaitable[None]]
) -> AsyncRetrying:
    """Calls what it is given until it no longer raises an ``AttemptFailed``, ``retries`` times more at most.

    The pauses are those that the service asks for, else ``backoff_s``, doubled each time up to ``longest_s`` and
    shortened at random by up to half, so that those who failed together part. ``statistics["attempt_number"]`` says how
    often it was tried; the last failure is raised as it is.
    """
    backoff = wait_exponential(backoff_s, max=longest_s)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, AttemptFailed) else None
        return backoff(state) * _JITTER.uniform(0.5, 1) if asked is None else asked

    return AsyncRetrying(
        sleep=lambda seconds: sleep(float(seconds)),
        stop=stop_after_attempt(retries + 1),
        wait=pause,
        retry=retry_if_exception(lambda error: isinstance(error, AttemptFailed) and error.retry),
        reraise=True,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``retry-after-ms`` (OpenAI) or ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, OverflowError):
        return None
    # A date without a zone is in UTC, as HTTP has it.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())
