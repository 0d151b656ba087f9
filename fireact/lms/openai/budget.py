"""Money: what calls cost, the ledger that they are entered in before they are made, and the budget over it."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fireact.errors import BudgetError, ConfigError


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """US dollars."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


def price_of(model: str, prices: Mapping[str, Any]) -> Price:
    """What ``model`` costs; nothing where it has no price.

    Raises:
        ConfigError: its entry is no price.
    """
    try:
        price = Price(**{key: float(usd) for key, usd in prices[model].items()}) if model in prices else Price(0.0, 0.0)
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(f"lm.prices.{model} is no price; write {{input: USD, output: USD}} per million "
                          "tokens") from None
    if not all(math.isfinite(usd) and usd >= 0 for usd in (price.input, price.output)):
        raise ConfigError(f"lm.prices.{model} holds a price below 0 or no number; write US dollars per million tokens")
    return price


def check_budget(usd: float, model: str, prices: Mapping[str, Any], unlimited: bool) -> None:
    """Refuse a budget that can't be kept.

    Raises:
        ConfigError: it is no amount of money, the model has no price, or answers are ``unlimited``.
    """
    if not (math.isfinite(usd) and usd >= 0):
        wrong = "below 0" if usd < 0 else "no amount"
        raise ConfigError(f"lm.budget_usd={usd:g} is {wrong}; give what may be spent, in US dollars, or null")
    if model not in prices:
        raise ConfigError(f"lm.budget_usd needs the price of {model}; add +lm.prices.{model}.input=USD and "
                          f"+lm.prices.{model}.output=USD, per million tokens")
    if unlimited:
        raise ConfigError("lm.budget_usd needs a limit on every answer; set lm.max_tokens_key to the server's name for "
                          "it instead of leaving it out with lm.omit")


class Ledger(Protocol):
    """What calls cost, in US dollars: at first the most that each may, later what it did. Nothing is ever forgotten."""

    def reserve(self, usd: float, budget: float) -> int | None:
        """A new entry of ``usd``; None, and no entry, where all of them would then pass ``budget``."""
        ...

    def settle(self, entry: int, usd: float) -> None:
        """Count what the call really cost in place of the entry."""
        ...

    def total(self) -> float:
        """All that was paid, and all entries."""
        ...


class MemoryLedger:
    """A ``Ledger`` of this process alone, where no journal keeps one."""

    def __init__(self) -> None:
        self._paid = 0.0
        self._entries: dict[int, float] = {}
        self._numbers = itertools.count()

    def reserve(self, usd: float, budget: float) -> int | None:
        """See ``Ledger``."""
        if self.total() + usd > budget:
            return None
        entry = next(self._numbers)
        self._entries[entry] = usd
        return entry

    def settle(self, entry: int, usd: float) -> None:
        """See ``Ledger``."""
        del self._entries[entry]
        self._paid += usd

    def total(self) -> float:
        """See ``Ledger``."""
        return self._paid + sum(self._entries.values())


class Budget:
    """Never more than ``usd`` US dollars in ``ledger``, by whomever: a call enters its highest price before it is made.

    What other processes have set aside counts as spent, for a killed one never settles its entries.
    """

    def __init__(self, usd: float, ledger: Ledger) -> None:
        self._usd, self._ledger = usd, ledger
        self._open: dict[int, float] = {}  # our own entries that are not settled
        self._settled = asyncio.Condition()

    def check(self, usd: float) -> None:
        """Say now what waiting would not change.

        Raises:
            BudgetError: there is no room for ``usd``, even if our own calls under way should cost nothing.
        """
        spent = self._ledger.total() - sum(self._open.values())
        if spent + usd > self._usd:
            raise BudgetError(f"the next call could cost ${usd:.4f} and ${spent:.4f} are spent or set aside, which "
                              f"would pass lm.budget_usd={self._usd:g}; raise it to go on")

    async def reserve(self, usd: float) -> int | None:
        """An entry of ``usd``, waiting while only our own calls under way stand against it; None for what is free.

        Raises:
            BudgetError: what is spent leaves no room for it.
        """
        if not usd:
            return None
        async with self._settled:
            while (entry := self._ledger.reserve(usd, self._usd)) is None:
                self.check(usd)
                if self._open:  # else somebody else has made room in this moment
                    await self._settled.wait()
            self._open[entry] = usd
            return entry

    async def settle(self, entry: int | None, usd: float) -> None:
        """Count what the call really cost in place of what was set aside for it."""
        if entry is None:
            return
        self._ledger.settle(entry, usd)
        del self._open[entry]
        async with self._settled:
            self._settled.notify_all()
