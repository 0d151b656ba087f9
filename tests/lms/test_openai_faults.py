"""Every misbehaviour of a model's server that ``tests/faulty`` knows: each ends its own question at worst, by name."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from typing import Any

import pytest

from fireact.errors import ModelError
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue
from tests.faulty.http import http_faults, reply
from tests.faulty.models import SAID, model_faults, whole
from tests.faulty.server import Reply, Server

SLOW = ("silent", "drip", "flood-1", "flood-chunks", "endless")
URL: list[str] = []
FAULTS: dict[str, Reply] = {**http_faults(whole(), lambda: URL[0]), **model_faults()}


def met(names: list[str], **options: Any) -> dict[str, Any]:
    """What ``complete`` gives or raises for each fault, all of them at once."""

    def choose(_: bytes, body: bytes) -> Reply:
        return FAULTS[json.loads(body)["messages"][0]["content"]]

    async def run() -> list[Any]:
        lm = OpenAI("m", URL[0], concurrency=64, max_retries=0, **options)
        said = await asyncio.gather(*(lm.complete(Dialogue(name)) for name in names), return_exceptions=True)
        await lm.aclose()
        return said

    with Server(choose) as server:
        URL[:] = [f"{server.url}/v1"]
        return dict(zip(names, asyncio.run(run()), strict=True))


def other(ends: dict[str, Any]) -> dict[str, Any]:
    """Those that are neither an answer that can be kept nor a failure with its reason."""
    return {name: end for name, end in ends.items() if not _is_fine(end)}


def _is_fine(end: Any) -> bool:
    if isinstance(end, ModelError):
        return str(end).startswith(URL[0]) and len(str(end).encode()) < 1000
    return isinstance(end, Completion) and bool(end.text.encode()) is bool(end.text)


@pytest.mark.parametrize("stream", [True, False])
def test_whatever_a_server_replies_ends_its_own_question_at_worst(stream: bool) -> None:
    names = [name for name in FAULTS if not name.startswith(SLOW)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends = met(names, timeout_s=20, stream=stream)
    assert not other(ends)
    assert len(names) > 250 and 60 < sum(isinstance(end, Completion) for end in ends.values()) < 150
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024, "KiB; bombs are 256 MiB"


def test_a_server_that_never_ends_is_left_at_the_deadline() -> None:
    started = time.monotonic()
    ends = met([name for name in FAULTS if name.startswith(SLOW)], timeout_s=0.5)
    assert not other(ends) and time.monotonic() - started < 3
    late = [name for name, end in ends.items() if "gives no answer within 0.5 s" in str(end)]
    assert len(late) >= len(ends) - 4


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("charset-zlib", SAID),
        ("charset-utf-16", SAID),
        ("error-codec", "refuses the request (HTTP 400: {}); fix it"),
        ("reason-bytes", "drops the connection or does not speak HTTP (UnicodeEncodeError); look into"),
        ("version-9.9", "drops the connection or does not speak HTTP (BadStatusLine); look into"),
        ("gzip", SAID),
        ("deflate-raw", SAID),
        ("gzip-bomb", "answers without end; check lm.base_url"),
        ("gzip-cut", "('gzip that is cut off')"),
        ("gzip-bomb-twice", "a Content-Encoding that was not asked for, 'gzip, gzip'"),
        ("redirect-elsewhere", "sends away to 'http://127.0.0.1:9/v1' (HTTP 307), where no prompt is sent; set lm."),
        ("content-true", "does not answer as an OpenAI-compatible server"),
        ("content-list", "does not answer as an OpenAI-compatible server"),
        ("stream-data-number", "does not answer as an OpenAI-compatible server ('5')"),
        ("text-surrogate-high", "Thought: \ufffd.\nAction: finish[right]"),
    ],
)
def test_a_fault_is_read_or_named(fault: str, words: str) -> None:
    end = met([fault])[fault]
    assert words in (end.text if isinstance(end, Completion) else str(end))


def test_where_it_is_sent_away_nothing_is_sent() -> None:
    asked: list[bytes] = []

    def elsewhere(head: bytes, _: bytes) -> Reply:
        asked.append(head)
        return reply(whole())

    with Server(elsewhere) as other_server:
        FAULTS["away"] = reply(b"", b"location: " + other_server.url.encode(), status=b"307 Temporary Redirect")
        assert isinstance(met(["away"]).pop("away"), ModelError) and not asked
        del FAULTS["away"]
