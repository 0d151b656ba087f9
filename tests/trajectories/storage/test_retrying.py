"""When to ask again: what a service says of it, and the pauses where it says nothing."""

from __future__ import annotations

import asyncio
import os
import random
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from fireact.trajectories.storage.retrying import AttemptFailed, retry_after, retrying

SOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 0.5 ", 0.5), ("-3", 0.0), ("inf", None), ("nan", None), ("9" * 400, None), ("soon", None),
     ("", None), ("²", None), ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0), ("Mon, 1 Jan 0001 0:0:0 -2400", None)],
)  # fmt: skip
def test_seconds_of_a_header(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_milliseconds_come_first_and_no_header_says_nothing() -> None:
    assert retry_after({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert retry_after({"retry-after-ms": "soon", "retry-after": "1"}) == 1
    assert retry_after({}) is None


@pytest.mark.parametrize("value", [format_datetime(SOON, usegmt=True), SOON.strftime("%a, %d %b %Y %H:%M:%S -0000")])
def test_a_date_is_in_utc_also_without_a_zone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Auckland")
    monkeypatch.setattr(time, "time", lambda: SOON.timestamp() - 3600)
    time.tzset()
    try:
        assert retry_after({"retry-after": value}) == 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def attempts(*failures: Exception, retries: int, longest_s: float = 4.0) -> tuple[object, list[float], int]:
    """(answer or error, pauses, how often it was tried) of a service that answers after these failures."""
    slept: list[float] = []
    left = list(failures)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    policy = retrying(retries, 1.0, longest_s, sleep)
    try:
        answer: object = asyncio.run(policy(attempt))
    except Exception as error:
        answer = error
    return answer, slept, policy.statistics["attempt_number"]


def test_pauses_double_up_to_the_longest_and_touch_nobody_else_s_numbers() -> None:
    before = random.getstate()
    answer, slept, tries = attempts(*(AttemptFailed("busy") for _ in range(4)), retries=4)
    assert (answer, tries) == ("answer", 5) and random.getstate() == before
    for pause, longest in zip(slept, (1, 2, 4, 4), strict=True):
        assert longest / 2 <= pause <= longest


def test_what_the_service_asks_for_is_waited_whatever_the_longest_pause() -> None:
    assert attempts(AttemptFailed("busy", wait_s=9.0), AttemptFailed("busy", wait_s=0.0), retries=2)[1] == [9, 0]


@pytest.mark.parametrize(
    ("failure", "retries"),
    [(AttemptFailed("busy"), 0), (AttemptFailed("refused", retry=False), 9), (ValueError("a bug"), 9)],
)
def test_what_is_not_worth_another_try_is_raised_as_it_is(failure: Exception, retries: int) -> None:
    assert attempts(failure, retries=retries) == (failure, [], 1)
