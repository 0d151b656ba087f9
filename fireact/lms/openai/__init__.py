"""Any OpenAI-compatible server as a language model; docs/servers.md says how to use OpenAI, vLLM and others."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient

from fireact.errors import ConfigError, ModelError
from fireact.lms.base import Completion
from fireact.lms.openai.limits import Budget, Gate, Rate
from fireact.lms.openai.wire import APIS, NO_KEY, Failed, Reply, Server, failure, read_reply
from fireact.ranges import Count, NonNegative, Positive, Retries, Seconds, Seed, Text
from fireact.render import STOP, Dialogue, cut_after_action, served_text

OPENAI = "https://api.openai.com/v1"
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_BYTES_PER_TOKEN = 4  # about, in English
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log a line a call


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: NonNegative
    output: NonNegative

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """US dollars."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


class OpenAI:
    """``LanguageModel`` over the official client, with retries, limits and a budget of our own.

    ``concurrency`` bounds the calls in flight; while the server says it is busy there are fewer (see ``Gate``).
    ``omit`` names request fields that a server refuses, ``extra_body`` holds those that it wants besides. A call is
    tried ``max_retries`` more times at most. ``prices`` maps a model to its input and output price in US dollars per
    million tokens; under ``budget_usd`` each call first sets aside what it may cost at worst (no token is shorter than
    a byte), and one that was cut off and may have been billed counts in full.

    Raises:
        ConfigError: there is no such api or format, the URL is none, OpenAI's own server is asked without a key, or
            the budget can't be kept for want of a price or of a limit on the answer.
    """

    def __init__(
        self,
        model: Text,
        base_url: Text | None = None,
        api: Literal["chat", "completions"] = "chat",
        format: Literal["alpaca", "react"] = "alpaca",
        temperature: NonNegative = 0.0,
        max_new_tokens: Count = 256,
        seed: Seed | None = None,
        omit: Sequence[Text] = (),
        max_tokens_key: Text = "max_tokens",
        extra_body: Mapping[str, Any] | None = None,
        concurrency: Count = 16,
        requests_per_minute: Positive | None = None,
        tokens_per_minute: Positive | None = None,
        timeout_s: Seconds = 120.0,
        max_retries: Retries = 6,
        budget_usd: NonNegative | None = None,
        spent_usd: NonNegative = 0.0,
        prices: Mapping[str, Mapping[Literal["input", "output"], NonNegative]] | None = None,
        api_key_env: Text = "OPENAI_API_KEY",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if api not in APIS:
            raise ConfigError(f"lm.api={api} is unknown; choose {' or '.join(APIS)}")
        served_text(Dialogue(""), format)
        self.name, self.concurrency, self.varies = model, concurrency, temperature > 0
        self._api, self._format = APIS[api], format
        self._server = _server(base_url or OPENAI, model, api_key_env, timeout_s)
        self._settings = {"temperature": temperature, max_tokens_key: max_new_tokens, "stop": [STOP]}
        self._settings |= {} if seed is None else {"seed": seed}
        self._omit, self._extra_body, self._max_new_tokens = set(omit), dict(extra_body or {}), max_new_tokens
        if budget_usd is not None:
            _check_budget(budget_usd, model, prices or {}, max_tokens_key in self._omit)
        self._price = _price(model, prices or {})
        self._budget = Budget(math.inf if budget_usd is None else budget_usd, spent_usd)
        self._gate = Gate(concurrency)
        self._requests, self._tokens = Rate(requests_per_minute, clock, sleep), Rate(tokens_per_minute, clock, sleep)
        self._max_retries, self._sleep = max_retries, sleep
        # Its own retries would be unknown to the gate and the budget; httpx looks at every connection for every call.
        self._client = AsyncOpenAI(
            api_key=self._server.key,
            base_url=self._server.url,
            timeout=None,
            max_retries=0,
            http_client=DefaultAioHttpClient(),
        )

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; after an opening, the text goes on from there.

        Raises:
            ModelError: this dialogue could not be answered.
            ConfigError: none could: no server, no such model, a refused key or an exhausted account.
            BudgetError: the next call might pass ``budget_usd``.
        """
        body = self._body(dialogue)
        attempt = 0
        while True:
            try:
                reply, cost = await self._try(body)
            except Failed as failed:
                if not failed.retry or attempt == self._max_retries:
                    tries = f" (tried {attempt + 1} times)" if attempt else ""
                    raise (ConfigError if failed.hopeless else ModelError)(f"{failed}{tries}") from None
                await self._sleep(_backoff(attempt) if failed.wait_s is None else failed.wait_s)
                attempt += 1
            else:
                said = (cut_after_action(reply.text + "\n") or reply.text.split(STOP)[0]).strip()
                return Completion(_after(dialogue.opening, said), None, *(reply.usage or (0, 0)), cost)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _body(self, dialogue: Dialogue) -> dict[str, Any]:
        settings = {key: value for key, value in self._settings.items() if key not in self._omit}
        return {"model": self.name, **self._api.prompt(dialogue, self._format), **settings, **self._extra_body}

    async def _try(self, body: Mapping[str, Any]) -> tuple[Reply, float]:
        """(the reply, its cost in US dollars) of one attempt within all limits."""
        size = len(json.dumps(body, ensure_ascii=False).encode())
        bound = cost = self._price.of(size, self._max_new_tokens)
        await self._budget.reserve(bound)
        try:
            async with self._gate.passing():
                await self._requests.take(1)
                share = await self._tokens.take(size / _BYTES_PER_TOKEN + self._max_new_tokens)
                reply = await self._post(body)
            if reply.usage is not None:
                share.amount, cost = sum(reply.usage), self._price.of(*reply.usage)
            return reply, cost
        except Failed as failed:
            cost = bound if failed.billed else 0.0
            raise
        finally:
            await self._budget.settle(bound, cost)

    async def _post(self, body: Mapping[str, Any]) -> Reply:
        try:
            async with asyncio.timeout(self._server.timeout_s):
                text = await self._client.post(self._api.path, cast_to=str, body=body)
        except (APIStatusError, APIConnectionError, TimeoutError) as error:
            raise failure(error, self._server) from None
        return read_reply(text, self._api, self._server)


def _server(url: str, model: str, key_env: str, timeout_s: float) -> Server:
    key = os.environ.get(key_env, "").strip()
    host = urlsplit(url).hostname
    if urlsplit(url).username is not None:
        raise ConfigError(f"lm.base_url holds a user's name or password; leave them out and put a key into {key_env}")
    if not url.startswith(("http://", "https://")) or not host:
        raise ConfigError(f"lm.base_url={url} is no address; write it like http://127.0.0.1:8000/v1")
    if not key and host == urlsplit(OPENAI).hostname:
        raise ConfigError(f"{url} wants an API key; set the environment variable {key_env}, or lm.base_url to a server "
                          "of your own")
    return Server(url, model, key_env, timeout_s, key or NO_KEY)


def _check_budget(usd: float, model: str, prices: Mapping[str, Any], unlimited: bool) -> None:
    if usd < 0:
        raise ConfigError(f"lm.budget_usd={usd:g} is below 0; give what may be spent, in US dollars, or null")
    if model not in prices:
        raise ConfigError(f"lm.budget_usd needs the price of {model}; add +lm.prices.{model}.input=USD and "
                          f"+lm.prices.{model}.output=USD, per million tokens")
    if unlimited:
        raise ConfigError("lm.budget_usd needs a limit on every answer; set lm.max_tokens_key to the server's name for "
                          "it instead of leaving it out with lm.omit")


def _price(model: str, prices: Mapping[str, Mapping[Any, float]]) -> Price:
    try:
        return Price(**{key: float(usd) for key, usd in prices[model].items()}) if model in prices else Price(0.0, 0.0)
    except (TypeError, ValueError):
        raise ConfigError(f"lm.prices.{model} is no price; write {{input: USD, output: USD}} per million "
                          "tokens") from None


def _backoff(attempt: int) -> float:
    """Seconds: doubled with every attempt, and shortened at random so that those who failed together part."""
    longest = min(_BACKOFF_S * 2.0**attempt, _LONGEST_BACKOFF_S)
    return random.uniform(longest / 2, longest)


def _after(opening: str, said: str) -> str:
    """What ``said`` adds to ``opening``, which chat models often say over again or begin anew."""
    if not opening:
        return said
    rest = said.removeprefix(opening.strip()).lstrip().removeprefix("Thought:").lstrip()
    return f"\n{rest}" if rest.startswith("Action:") else f" {rest}"
