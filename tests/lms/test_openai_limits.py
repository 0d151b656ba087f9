"""How many calls are in flight, and how many requests and tokens a minute: no limit is passed."""

from __future__ import annotations

import asyncio

from fireact.lms.openai import OpenAI
from fireact.lms.openai.limits import Congested, Gate, Rate
from tests.lms.asking import ASK, SAID, Clock, asked
from tests.lms.openai_server import Answer, Loopback, Request, chat, error


def test_sixty_four_calls_are_in_flight_together() -> None:
    async def run() -> int:
        everyone = asyncio.Barrier(64)

        async def together(_: Request) -> Answer:
            await everyone.wait()
            return chat(SAID)

        async with Loopback(together) as server:
            lm = OpenAI("m", server.url, concurrency=64)
            await asyncio.gather(*(lm.complete(ASK) for _ in range(128)))
            await lm.aclose()
            return server.most

    assert asyncio.run(run()) == 64


def test_a_busy_server_is_asked_by_half_as_many() -> None:
    """Of 32 calls that meet at the server 28 are refused; from then on no more than 16 come at once, till all have
    been answered."""
    arrived, inside, crowds, everyone = 0, 0, [], asyncio.Barrier(32)

    async def picky(_: Request) -> Answer:
        nonlocal arrived, inside
        arrived += 1
        if (number := arrived) <= 32:
            await everyone.wait()
            return error(503, "full") if number > 4 else chat(SAID)
        inside += 1
        crowds.append(inside)
        await asyncio.sleep(0.001)
        inside -= 1
        return chat(SAID)

    said, *_ = asked(picky, dialogues=[ASK] * 40, concurrency=32)
    assert [answer.text for answer in said] == [SAID] * 40
    assert len(crowds) == 36
    assert max(crowds) <= 16


def test_the_gate_halves_once_for_all_under_way_and_widens_by_one_a_window() -> None:
    async def run() -> list[int]:
        gate, limits = Gate(16), []

        async def call(congested: bool) -> None:
            async with gate.passing():
                await asyncio.sleep(0)
                if congested:
                    raise Congested

        await asyncio.gather(*(call(True) for _ in range(16)), return_exceptions=True)
        limits.append(gate.limit)
        for successes in (7, 1, 9, 10 + 11 + 12 + 13 + 14 + 15, 100):
            for _ in range(successes):
                await call(False)
            limits.append(gate.limit)
        for _ in range(6):
            await asyncio.gather(call(True), return_exceptions=True)
        return [*limits, gate.limit]

    assert asyncio.run(run()) == [8, 8, 9, 10, 16, 16, 1]


def test_no_minute_holds_more_than_its_rate() -> None:
    async def run() -> list[float]:
        clock, times = Clock(), []
        rate = Rate(10, clock, clock.sleep)

        async def call() -> None:
            share = await rate.take(4)
            times.append(clock.now - 1000)
            share.amount = 2 if len(times) > 2 else 4

        await asyncio.gather(*(call() for _ in range(7)))
        return times

    # 4 + 4 fill the first minute; later calls turn out to need 2, and leave room for a third and a fourth of them.
    assert asyncio.run(run()) == [0, 0, 60, 60, 60, 60, 120]


def test_requests_and_tokens_a_minute_are_kept() -> None:
    *_, clock = asked(chat(SAID), dialogues=[ASK] * 5, requests_per_minute=2)
    assert clock.now == 1000 + 120
    # Each is taken for some 300 tokens first, and turns out to need 15.
    *_, clock = asked(chat(SAID), dialogues=[ASK] * 4, tokens_per_minute=400, concurrency=1)
    assert clock.now == 1000
    *_, clock = asked(chat(SAID, 200, 100), dialogues=[ASK] * 4, tokens_per_minute=400, concurrency=1)
    assert clock.now == 1000 + 180
