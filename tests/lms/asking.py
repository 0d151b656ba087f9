"""Asking a loopback server through the real client, with time that nobody waits for."""

from __future__ import annotations

import asyncio
from typing import Any

from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue
from tests.lms.openai_server import Loopback

ASK = Dialogue("Who wrote Emma?")
SAID = "Thought: Look it up.\nAction: search[Emma]"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def asked(*answers: Any, dialogues: Any = (ASK,), **options: Any) -> tuple[list[Any], Loopback, Clock]:
    """(answers or exceptions, the server, the clock) of asking all ``dialogues`` at once."""
    clock = Clock()

    async def run() -> tuple[list[Any], Loopback]:
        async with Loopback(*answers) as server:
            options.setdefault("base_url", server.url)
            lm = OpenAI("m", clock=clock, sleep=clock.sleep, **options)
            said = await asyncio.gather(*map(lm.complete, dialogues), return_exceptions=True)
            await lm.aclose()
            return said, server

    return *asyncio.run(run()), clock
