"""How fast a server may be asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_WINDOW_S, _POLL_S = 60.0, 1.0
_SPACING_S = 0.0005


class Congested(Exception):
    """The server had too much to do; what makes a ``Gate`` narrower."""


class Gate:
    """Calls in flight, by additive increase and multiplicative decrease (Chiu & Jain 1989).

    ``limit`` starts at ``most``. A call that ends in ``Congested`` halves it, once for all calls that were under way by
    then; as many successes as the limit raise it by one.
    """

    def __init__(self, most: int) -> None:
        self.limit = self._most = most
        self._pending = self._successes = self._halvings = 0
        self._left, self._start = asyncio.Condition(), asyncio.Lock()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it in the body."""
        async with self._left:
            await self._left.wait_for(lambda: self._pending < self.limit)
            self._pending += 1
        halvings = self._halvings
        try:
            async with self._start:
                # Calls that start together are answered together, and then keep server and client idle in turns.
                await asyncio.sleep(_SPACING_S)
            yield
            self._widen(halvings)
        except Congested:
            self._halve(halvings)
            raise
        finally:
            self._pending -= 1
            async with self._left:
                self._left.notify(max(self.limit - self._pending, 0))

    def _widen(self, halvings: int) -> None:
        # A call from before the last halving says nothing about the limit that holds now.
        self._successes += halvings == self._halvings
        if self._successes >= self.limit < self._most:
            self.limit, self._successes = self.limit + 1, 0

    def _halve(self, halvings: int) -> None:
        if halvings == self._halvings:
            self.limit, self._successes, self._halvings = max(self.limit // 2, 1), 0, self._halvings + 1


@dataclass(slots=True)
class Share:
    """What one call took of a ``Rate``, and when."""

    at: float
    amount: float


class Rate:
    """At most ``per_minute`` of something in any 60 seconds, first come, first served; None sets no limit.

    An amount above the whole limit waits until nothing else is left in the window.
    """

    def __init__(
        self,
        per_minute: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._limit, self._clock, self._sleep = per_minute, clock, sleep
        self._shares: deque[Share] = deque()
        self._turn = asyncio.Lock()

    async def take(self, amount: float) -> Share:
        """Wait for room; whoever later knows better corrects the share's ``amount``."""
        if self._limit is None:
            return Share(0.0, amount)
        async with self._turn:
            while self._excess(amount, self._limit) > 0:
                oldest_s = self._shares[0].at + _WINDOW_S - self._clock()
                await self._sleep(min(oldest_s, _POLL_S))  # a correction may make room sooner
            share = Share(self._clock(), amount)
            self._shares.append(share)
            return share

    def _excess(self, amount: float, limit: float) -> float:
        """How much too much ``amount`` would be now; 0 where the window is empty."""
        while self._shares and self._clock() - self._shares[0].at >= _WINDOW_S:
            self._shares.popleft()
        return sum(share.amount for share in self._shares) + amount - limit if self._shares else 0.0
