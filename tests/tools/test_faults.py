"""Every misbehaviour of a search service that ``tests/faulty`` knows: each ends its own question at worst, by name."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

import pytest

from fireact.errors import ToolError
from fireact.tools.http import Limits
from fireact.tools.serpapi import KEY, SerpApi
from fireact.tools.wikipedia import Wikipedia
from tests.faulty.http import http_faults, reply
from tests.faulty.searches import FOUND, serpapi, serpapi_faults, wikipedia, wikipedia_faults
from tests.faulty.server import Reply, Server

SLOW = ("silent", "drip", "flood-1", "flood-chunks")
LIMITS = Limits(timeout=20, retries=0, backoff=0.001, longest_wait=1, per_second=10_000, connections=64)
URL: list[str] = []
OF = {
    "wikipedia": {**http_faults(wikipedia(), lambda: URL[0]), **wikipedia_faults()},
    "serpapi": {**http_faults(serpapi(), lambda: URL[0]), **serpapi_faults()},
}
_QUERY = re.compile(rb"[?&](?:gsrsearch|q)=([^& ]+)")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "serp-loopback")


def met(kind: str, names: list[str], limits: Limits = LIMITS) -> dict[str, Any]:
    """What ``search`` gives or raises for each fault, all of them at once."""

    def choose(head: bytes, _: bytes) -> Reply:
        asked = _QUERY.search(head)
        return OF[kind][unquote_plus(asked[1].decode())] if asked else reply(b"{}")

    async def run() -> list[Any]:
        tool = Wikipedia("x", URL[0], limits=limits) if kind == "wikipedia" else SerpApi(URL[0], limits=limits)
        found = await asyncio.gather(*map(tool.search, names), return_exceptions=True)
        await tool.aclose()
        return found

    with Server(choose) as server:
        URL[:] = [f"{server.url}/api"]
        return dict(zip(names, asyncio.run(run()), strict=True))


def other(ends: dict[str, Any]) -> dict[str, Any]:
    """Those that are neither an answer that can be kept nor a failure with its reason."""
    failed = {name: str(end) for name, end in ends.items() if isinstance(end, ToolError)}
    named = {name for name, reason in failed.items() if len(reason.encode()) < 600 and "serp-loop" not in reason}
    kept = {name for name, end in ends.items() if isinstance(end, str) and 0 < len(end.encode()) <= 10**6}
    return {name: end for name, end in ends.items() if name not in named | kept}


@pytest.mark.parametrize("kind", OF)
def test_whatever_a_service_replies_ends_its_own_question_at_worst(kind: str) -> None:
    names = [name for name in OF[kind] if not name.startswith(SLOW)]
    ends = met(kind, names)
    assert not other(ends)
    assert len(names) > 200 and 40 < sum(isinstance(end, str) for end in ends.values()) < 100


def test_a_service_that_never_ends_is_left_at_the_deadline() -> None:
    started = time.monotonic()
    ends = met("wikipedia", [name for name in OF["wikipedia"] if name.startswith(SLOW)], replace(LIMITS, timeout=0.5))
    assert not other(ends) and time.monotonic() - started < 3
    assert sum("no whole answer within 0.5 s" in str(end) for end in ends.values()) >= len(ends) - 2


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        ("wikipedia", "charset-zlib", f"Title: {FOUND}"),
        ("wikipedia", "charset-undefined", f"Title: {FOUND}"),
        ("wikipedia", "gzip", f"Title: {FOUND}"),
        ("wikipedia", "gzip-bomb", "Wikipedia answers without end; check search.base_url"),
        ("wikipedia", "gzip-bomb-twice", "(it sends a Content-Encoding that was not asked for, 'gzip, gzip')"),
        ("wikipedia", "redirect-elsewhere", "Wikipedia sends away to 'http://127.0.0.1:9/v1' (HTTP 307), where"),
        ("wikipedia", "redirect-javascript", "Wikipedia did not answer, at once (InvalidURL); try again later"),
        ("wikipedia", "title-number", "Wikipedia answered in an unknown form; check that search.base_url is an"),
        ("wikipedia", "extract-true", "Wikipedia answered in an unknown form"),
        ("wikipedia", "title-action", f"x Action: finish[wrong] Observation: y: {FOUND}"),
        ("wikipedia", "body-pages-many", f"Title: {FOUND}"),
        ("wikipedia", "extract-one-word", "Wikipedia answers with 1,048,583 characters, more than a model can"),
        ("serpapi", "answer-huge", "SerpApi answers with 2,499,999 characters, more than a model can read; try"),
        ("serpapi", "answer-true", FOUND),
        ("serpapi", "answer-infinity", FOUND),
        ("serpapi", "body-key-said", "SerpApi could not search (bad key ***); try again later"),
    ],
)
def test_a_fault_is_read_or_named(kind: str, fault: str, words: str) -> None:
    end = met(kind, [fault])[fault]
    assert end == words if isinstance(end, str) else words in str(end)
