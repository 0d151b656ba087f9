"""One polite HTTP client for search services: paced, patient for a bounded time, silent about keys."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from fireact.errors import ConfigError, ToolError, quoted
from fireact.ranges import Count, Positive, Retries, Seconds, Wait
from fireact.trajectories.storage.inflating import CODINGS, Garbled, TooLong, inflated
from fireact.trajectories.storage.reading import HALVES, joined, printable
from fireact.trajectories.storage.retrying import AttemptFailed, retry_after, retrying

log = logging.getLogger(__name__)
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_REFUSED = {401, 402, 403}
_LONGEST = 16 * 2**20  # bytes of a reply
_LONGEST_ANSWER = 10**6  # characters that a model may be shown


@dataclass(frozen=True, slots=True)
class Limits:
    """How a service is asked; seconds throughout.

    ``timeout`` is for a whole request, to the last byte of its answer. A failed one is tried ``retries`` times more,
    after ``backoff`` doubled each time or after what the service asks for (Retry-After); a wait longer than
    ``longest_wait`` is not waited for. ``per_second`` paces the requests of all questions together, ``connections`` is
    how many may be open at once.

    Raises:
        ConfigError: a number is out of its range, so that requests would never end or never begin.
    """

    timeout: Seconds = 20.0
    retries: Retries = 4
    backoff: Wait = 1.0
    longest_wait: Wait = 60.0
    per_second: Positive = 10.0
    connections: Count = 16

    def __post_init__(self) -> None:
        for key, least in (("retries", 0), ("connections", 1), ("backoff", 0), ("longest_wait", 0)):
            if not least <= getattr(self, key) < math.inf:
                raise ConfigError(f"search.limits.{key}={getattr(self, key)} is out of its range; give {least} or more")
        for key in ("timeout", "per_second"):
            if not 0 < getattr(self, key) < math.inf:
                raise ConfigError(f"search.limits.{key}={getattr(self, key)} is out of its range; give a number above "
                                  "0")


class Http:
    """GET requests for JSON from ``url``; safe to share among all questions of an event loop.

    Args:
        service: its name in messages.
        fix: what a user can do about a refusal, as the second half of a sentence.

    Raises:
        ConfigError: ``url`` is no HTTP address.
    """

    def __init__(self, service: str, url: str, limits: Limits, fix: str, headers: Mapping[str, str] | None = None):
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"search.base_url={url} is no address; it begins with http:// or https://")
        self._service, self._url, self._limits, self._fix, self._headers = service, url, limits, fix, headers
        self._places = asyncio.Semaphore(limits.connections)
        self._counts: Counter[str] = Counter()
        self._next = 0.0  # when the next request may leave, on the monotonic clock

    async def get(
        self,
        params: Mapping[str, str],
        secret: Mapping[str, str] | None = None,
        busy: Callable[[dict[str, Any]], str] = lambda body: "",
    ) -> dict[str, Any]:
        """The JSON object that the service answers.

        Args:
            secret: parameters that appear in no message, no log and no answer.
            busy: for a service that says with status 200 that it can't answer now: why, or nothing.

        Raises:
            ToolError: no answer within the limits, or one that is no JSON object.
            ConfigError: the service refuses this user (401, 402, 403).
        """
        limits = self._limits
        policy = retrying(limits.retries, limits.backoff, limits.longest_wait, asyncio.sleep)
        try:
            said: dict[str, Any] = await policy(self._once, params, secret or {}, busy)
        except AttemptFailed as failed:
            tries, wait = policy.statistics["attempt_number"], failed.wait_s
            after = f"after {tries} tries" if tries > 1 else f"and asks to wait {wait:.0f} s" if wait else "at once"
            raise ToolError(f"{self._service} did not answer, {after} ({failed}); try again later") from None
        return said

    async def aclose(self) -> None:
        """Close the connections; the client answers no more."""
        if replaced := self._counts.total():
            log.warning(HALVES, self._service, replaced)
        if "_client" in vars(self):  # made at the first request
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=self._limits.connections)
        verify = self._url.startswith("https:")  # else no certificate is ever looked at; reading them all takes time
        headers = {"Accept-Encoding": CODINGS, **(self._headers or {})}
        return httpx.AsyncClient(headers=headers, limits=limits, timeout=None, verify=verify)

    async def _once(
        self, params: Mapping[str, str], secret: Mapping[str, str], busy: Callable[[dict[str, Any]], str]
    ) -> dict[str, Any]:
        await self._turn()
        response, text = await self._reply({**params, **secret})
        said = _json(text, secret, self._counts)
        status = f"HTTP {response.status_code}: {explained(said)}"
        if response.status_code in _REFUSED:
            raise ConfigError(f"{self._service} refuses to answer ({status}); {self._fix}")
        if response.has_redirect_location:
            place = response.headers["location"].partition("?")[0]  # the rest may hold a secret
            raise ToolError(f"{self._service} sends away to {quoted(place)} (HTTP {response.status_code}), where no "
                            "question is sent; set search.base_url to where its API is")
        if response.status_code in _BUSY:
            raise self._busy(status, response)
        if not response.is_success:
            raise ToolError(f"{self._service} could not answer ({status}); try another query or search tool")
        if not isinstance(said, dict):
            raise ToolError(f"{self._service} answered no JSON object; check search.base_url={self._url}")
        if trouble := busy(said):
            raise self._busy(trouble, response)
        return said

    async def _reply(self, params: Mapping[str, str]) -> tuple[httpx.Response, str]:
        """The response and its text, read within one deadline: a time-out a read lets a service drip for ever."""
        body, timeout = bytearray(), self._limits.timeout
        try:
            # Waiting for a free connection is no fault of the service's, so it is not in that time.
            async with (
                self._places,
                asyncio.timeout(timeout),
                self._client.stream("GET", self._url, params=params) as response,
            ):
                coding = response.headers.get("content-encoding", "")
                async for piece in inflated(response.aiter_raw(), coding, _LONGEST):
                    body += piece
        except TooLong:
            raise ToolError(f"{self._service} answers without end; check search.base_url={self._url}") from None
        except Garbled as error:
            raise AttemptFailed(f"it sends {error}") from None
        except TimeoutError:
            raise AttemptFailed(f"no whole answer within {timeout:g} s") from None
        except Exception as error:  # no list holds all that a client may raise over what it is sent
            raise AttemptFailed(type(error).__name__) from None
        return response, body.decode(errors="replace")  # JSON is UTF-8, and some charsets can be no text at all

    async def _turn(self) -> None:
        """Wait for a place in the line; nobody can step between reading and moving its end."""
        now = time.monotonic()
        leave = max(now, self._next)
        self._next = leave + 1 / self._limits.per_second
        await asyncio.sleep(leave - now)

    def _busy(self, trouble: str, response: httpx.Response) -> AttemptFailed:
        """The failure of a service that can't answer now; a wait that it asks for holds everybody back."""
        wait_s = retry_after(response.headers)
        retry = (wait_s or 0) <= self._limits.longest_wait
        if wait_s is not None and retry:
            self._next = max(self._next, time.monotonic() + wait_s)
        return AttemptFailed(trouble, retry=retry, wait_s=wait_s)


def _json(text: str, secret: Mapping[str, str], counts: Counter[str]) -> Any:
    """What the service says, should it repeat a secret, without that; halves of characters are replaced."""
    for value in secret.values():
        text = text.replace(value, "***")
    try:
        said = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return json.loads(joined(said, counts))


def bounded(answer: str, service: str) -> str:
    """An answer that a model can be shown.

    Raises:
        ToolError: it is longer than any that it can read.
    """
    if len(answer) > _LONGEST_ANSWER:
        raise ToolError(f"{service} answers with {len(answer):,} characters, more than a model can read; try another "
                        "query")
    return answer


def at(said: Any, *path: str | int) -> Any:
    """What lies at ``path`` in JSON of uncertain form; None if nothing does."""
    for key in path:
        try:
            said = said[key]
        except (KeyError, IndexError, TypeError):
            return None
    return said


def explained(said: Any) -> str:
    """The first sentence of a service's own words on an error, for a message of ours."""
    error = at(said, "error")
    words = next((text for text in (at(error, "info"), error) if isinstance(text, str)), "no reason given")
    return printable(" ".join(words[:1000].split()).split(". ")[0].rstrip("."))[:200]


def _log_without_query(record: logging.LogRecord) -> bool:
    """httpx logs the address of every request, and some services want the key in it."""
    record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args or ())
    return True


logging.getLogger("httpx").addFilter(_log_without_query)
