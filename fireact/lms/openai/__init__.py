"""Any OpenAI-compatible server as a language model; docs/servers.md says how to use OpenAI, vLLM and others."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from fireact.errors import ConfigError, ModelError, ParseError
from fireact.formats import calls
from fireact.formats.base import Thinking, inert
from fireact.formats.served import served_text
from fireact.lms.base import Completion
from fireact.lms.openai.budget import Budget, Ledger, MemoryLedger, check_budget, price_of
from fireact.lms.openai.limits import Gate, Rate
from fireact.lms.openai.request import check_extra_body, check_limit_key
from fireact.lms.openai.streaming import bound, receive
from fireact.lms.openai.usage import Allowed, text_size
from fireact.lms.openai.wire import APIS, NO_KEY, Failed, Reply, Server, failure
from fireact.ranges import Count, NoEffect, NonNegative, Positive, Retries, Seconds, Seed, Text
from fireact.trajectories.dialogue import STOP, THINK, Dialogue, cut_turn, reasoned, reasoning_block
from fireact.trajectories.records import Step
from fireact.trajectories.storage.inflating import CODINGS
from fireact.trajectories.storage.reading import HALVES, joined
from fireact.trajectories.storage.retrying import retrying

log = logging.getLogger(__name__)
OPENAI = "https://api.openai.com/v1"
_STREAM = {"stream": True, "stream_options": {"include_usage": True}}
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log a line a call


class OpenAI:
    """``LanguageModel`` over the official client, with retries, limits and a budget of our own.

    ``concurrency`` bounds the calls in flight; while the server says it is busy there are fewer (see ``Gate``).
    What a model reasons before a turn is no part of it; with ``thinking`` keep it is, whether the server tells it apart
    or in a think block, and the next request holds it again.

    With ``api`` tools the dialogue's tools are sent, and calls of them read; few-shot text and a prefill are refused.

    ``omit`` names request fields that a server refuses, ``extra_body`` holds those that it wants besides. With
    ``stream`` the answer is read as it is written, and the connection closed where the parser ends the turn. A call,
    from its first byte to its last, may take ``timeout_s``, and is tried ``max_retries`` more times at most.

    ``prices`` maps a model to its input and output price in US dollars per million tokens. Each call first enters in
    ``ledger`` what it may cost at worst (no token is shorter than a byte), which never holds more than ``budget_usd``;
    the entry becomes what the answer cost by the server's counts, more than was allowed included, and stays whole where
    these are fewer than the words and for a call that was cut off and may have been billed.

    Raises:
        ConfigError: there is no such api or format, the URL is none, OpenAI's own server is asked without a key, a
            number is out of its range, ``max_tokens_key`` is another field's name, ``extra_body`` holds what has a
            key of its own, or the budget can't be kept: there is no price or no limit on the answer, or a field of
            ``extra_body`` may cost more.
    """

    def __init__(
        self,
        model: Text,
        base_url: Text | None = None,
        api: Literal["chat", "completions", "tools"] = "chat",
        format: Literal["alpaca", "react"] = "alpaca",
        thinking: Thinking = "none",
        temperature: NonNegative = 0.0,
        max_new_tokens: Count = 256,
        seed: Seed | None = None,
        stream: NoEffect[bool] = True,
        omit: Collection[Text] = (),
        max_tokens_key: Text = "max_tokens",
        extra_body: Mapping[str, Any] | None = None,
        concurrency: NoEffect[Count] = 16,
        requests_per_minute: NoEffect[Positive | None] = None,
        tokens_per_minute: NoEffect[Positive | None] = None,
        timeout_s: NoEffect[Seconds] = 120.0,
        max_retries: NoEffect[Retries] = 6,
        budget_usd: NoEffect[NonNegative | None] = None,
        prices: NoEffect[Mapping[str, Mapping[Literal["input", "output"], NonNegative]] | None] = None,
        api_key_env: NoEffect[Text] = "OPENAI_API_KEY",
        ledger: NoEffect[Ledger | None] = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if api not in APIS:
            raise ConfigError(f"lm.api={api} is unknown; choose {' or '.join(APIS)}")
        served_text(Dialogue(""), format)
        _check_least(max_retries=(max_retries, 0), concurrency=(concurrency, 1), max_new_tokens=(max_new_tokens, 1))
        _check_positive(
            timeout_s=timeout_s, requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute
        )
        self.name, self.concurrency, self.varies = model, concurrency, temperature > 0
        self._api, self._format, self._thinking = APIS[api], format, thinking
        self._server = _server(base_url or OPENAI, model, api_key_env, timeout_s)
        self._settings: dict[str, Any] = {"temperature": temperature, max_tokens_key: max_new_tokens}
        self._settings |= {} if self._api.native else {"stop": [STOP]}
        self._settings |= {} if seed is None else {"seed": seed}
        self._settings |= _STREAM if stream and "stream" not in omit else {}
        self._omit, self._extra_body = set(omit), dict(extra_body or {})
        if self._api.native and "tools" in self._extra_body:
            raise ConfigError("lm.extra_body.tools can't be set there; lm.api=tools sends those that the method has")
        check_limit_key(max_tokens_key)
        check_extra_body(self._extra_body, max_tokens_key, budget_usd is not None)
        self._max_tokens_key = max_tokens_key
        self._max_new_tokens, self._limited = max_new_tokens, max_tokens_key not in self._omit
        if budget_usd is not None:
            check_budget(budget_usd, model, prices or {}, not self._limited)
        self._price = price_of(model, prices or {})
        self.ledger: Ledger = MemoryLedger() if ledger is None else ledger
        self._budget = Budget(math.inf if budget_usd is None else budget_usd, self.ledger)
        self._gate = Gate(concurrency)
        self._requests, self._tokens = Rate(requests_per_minute, clock, sleep), Rate(tokens_per_minute, clock, sleep)
        self._max_retries, self._sleep = max_retries, sleep
        self._doubted: set[str] = set()
        self._counts: Counter[str] = Counter()
        # Its own retries would be unknown to the gate and the budget; httpx looks at every connection for every call.
        self._client = AsyncOpenAI(
            api_key=self._server.key,
            base_url=self._server.url,
            timeout=None,
            max_retries=0,
            default_headers={"Accept-Encoding": CODINGS},
            # What is asked goes nowhere else than where the user says.
            http_client=DefaultAioHttpClient(event_hooks={"response": [bound]}, follow_redirects=False),
        )

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; after a prefill, the text goes on from there.

        Raises:
            ModelError: this dialogue could not be answered.
            ConfigError: none could: no server, no such model, a refused key or an exhausted account.
            BudgetError: the next call might pass ``budget_usd``.
        """
        body = self._body(dialogue)
        policy = retrying(self._max_retries, _BACKOFF_S, _LONGEST_BACKOFF_S, self._sleep)
        try:
            completion: Completion = await policy(self._try, body, dialogue)
        except Failed as failed:
            tries = policy.statistics["attempt_number"]
            tried = f" (tried {tries} times)" if tries > 1 else ""
            raise (ConfigError if failed.hopeless else ModelError)(f"{failed}{tried}") from None
        return completion

    async def aclose(self) -> None:
        """Close the connections."""
        if replaced := self._counts.total():
            log.warning(HALVES, self.name, replaced)
        await self._client.close()

    def _body(self, dialogue: Dialogue) -> dict[str, Any]:
        settings = {key: value for key, value in self._settings.items() if key not in self._omit}
        asked = self._api.prompt(dialogue, self._format, self._thinking)
        return {"model": self.name, **asked, **settings, **self._extra_body}

    async def _try(self, body: Mapping[str, Any], dialogue: Dialogue) -> Completion:
        """One attempt within all limits."""
        prefill = dialogue.prefill
        size = len(json.dumps(body, ensure_ascii=False).encode())
        allowed = Allowed(size, text_size(body), self._max_new_tokens, self._limited)
        most = self._price.of(allowed.size, allowed.answer)
        self._budget.check(most)  # before anything is waited for
        async with self._gate.passing():
            await self._requests.take(1)
            share = await self._tokens.take(allowed.estimate)
            entry, cost = await self._budget.reserve(most), most
            try:
                reply = await self._post(body)
                cost = self._price.of(*allowed.billed(reply))
            except Failed as failed:
                cost = most if failed.billed else 0.0
                raise
            finally:  # a call that is cancelled has been sent
                await self._budget.settle(entry, cost)
        self._doubt(allowed, reply)
        tokens = allowed.taken(reply)
        share.amount = sum(tokens) or allowed.estimate
        thought, spoken = reasoned(joined(reply.text, self._counts))
        said = spoken.strip() if self._api.native else _after(prefill, cut_turn(spoken).strip())
        block = ""
        if self._thinking == "keep" and not prefill:
            apart = joined(reply.reasoning, self._counts).strip()
            block = reasoning_block(inert(apart or thought, THINK))  # no mark in it ends it before its end
        steps = self._steps(dialogue, reply, block, said) if self._api.native else None
        reason = "" if said or reply.calls else reply.reason(self._server)
        return Completion(block + said, None, *tokens, cost, steps=steps, reason=reason)

    def _steps(self, dialogue: Dialogue, reply: Reply, block: str, said: str) -> tuple[Step, ...]:
        """What a reply does; a step without an action, with all that it says, where that can't be told."""
        try:
            if reply.cut_off:
                raise ParseError("the answer was cut off")
            called = [calls.call_of(name, arguments) for name, arguments in reply.calls]
            return calls.steps_of(block, said, called, calls.told(dialogue))
        except ParseError:
            spoken = [said, *(f"{name} {arguments}" for name, arguments in reply.calls)]
            return (Step(block + joined("\n".join(filter(None, spoken))), "", ""),)

    async def _post(self, body: Mapping[str, Any]) -> Reply:
        try:
            async with asyncio.timeout(self._server.timeout_s):
                stream = await self._client.post(
                    self._api.path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[Any]
                )
                return await receive(stream, self._api, self._server)
        except Failed:
            raise
        except Exception as error:  # no list holds all that a client may raise over what it is sent
            raise failure(error, self._server) from None

    def _doubt(self, allowed: Allowed, reply: Reply) -> None:
        """Say once of either kind that the server's counts can't be right, or are more than was allowed."""
        if not reply.usage:
            return
        tokens = allowed.counted(reply)
        if tokens is None:
            self._say("of no use", reply, "such calls count as the most that they may take")
        elif allowed.passed(*tokens):
            self._say("beyond what was allowed", reply, "such calls count as reported, even past lm.budget_usd, which "
                      f"then stops the next; check whether the server knows lm.max_tokens_key={self._max_tokens_key}")

    def _say(self, what: str, reply: Reply, so: str) -> None:
        if what not in self._doubted:
            self._doubted.add(what)
            log.warning(f"{self._server.url} reports a usage {what} ({self._server.quote(str(reply.usage))}); {so}")


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


def _check_least(**numbers: tuple[int, int]) -> None:
    for key, (number, least) in numbers.items():
        if not number >= least:
            raise ConfigError(f"lm.{key}={number} is out of its range; give {least} or more")


def _check_positive(**numbers: float | None) -> None:
    for key, number in numbers.items():
        if number is not None and not 0 < number < math.inf:
            raise ConfigError(f"lm.{key}={number} is out of its range; give a number above 0")


def _after(prefill: str, said: str) -> str:
    """What ``said`` adds to ``prefill``, which chat models often say over again or begin anew."""
    if not prefill:
        return said
    rest = said.removeprefix(prefill.strip()).lstrip().removeprefix("Thought:").lstrip()
    return f"\n{rest}" if rest.startswith("Action:") else f" {rest}"
