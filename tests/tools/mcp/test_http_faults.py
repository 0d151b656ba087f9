"""Every misbehaviour of HTTP that ``tests/faulty`` knows, by a server whose other replies are right."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from fireact.errors import ToolError
from fireact.tools.limited import Limited
from fireact.tools.mcp import McpServer
from tests.faulty.http import http_faults, reply
from tests.faulty.mcp_server import INFO, TOOL
from tests.faulty.server import Reply, Server, flood, then

FINE = {"content": [{"type": "text", "text": "fine"}]}
CALL = 4  # the id of the first call; the client counts what it asks
PLACE = b'"id": %8d'
SLOW = ("silent", "drip", "flood-1", "flood-chunks", "events-without-end")
URL: list[str] = []


def _said(number: Any, **what: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, **what}).encode()


def _events(*texts: bytes) -> bytes:
    return reply(b"".join(b"event: message\ndata: " + text + b"\n\n" for text in texts), kind=b"text/event-stream")


_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
# The id stands in a wide place, so that a run of many calls can put another there.
_WIDE = _said(CALL, result=FINE).replace(b'"id": %d' % CALL, PLACE % CALL)
FAULTS: dict[str, Reply] = {
    **http_faults(_WIDE, lambda: URL[0]),
    "events": _events(_said(CALL, result=FINE)),
    "events-another-id": _events(_said(77, result=FINE)),
    "events-none": _events(),
    "events-no-json": _events(b"{"),
    "events-huge": _events(b"x" * 2**21),
    "events-cut": _EVENTS + b"id: 1\nretry: 0\ndata: \n\n",
    "events-without-end": then(_EVENTS, flood(b": nothing\n\n" * 2**10)),
    "another-id": reply(_said(77, result=FINE)),
    "accepted": reply(b"", status=b"202 Accepted"),
    "no-token": reply(b"", status=b"401 Unauthorized", kind=b"text/plain"),
    "error-in-json": reply(_said(None, error={"code": -32000, "message": "busy"}), status=b"503 Busy"),
    "gone": reply(b"", status=b"404 Not Found", kind=b"text/plain"),
}


def _choose(_: bytes, body: bytes) -> Reply:
    asked = json.loads(body or b"{}")
    number = asked.get("id")
    match asked.get("method"):
        case "server/discover":
            return reply(_said(number, error={"code": -32601, "message": "no such method"}))
        case "initialize":
            return reply(_said(number, result=INFO))
        case "tools/list":
            return reply(_said(number, result={"tools": [TOOL]}))
        case "tools/call" if (how := asked["params"]["arguments"]["how"]) != "well":
            assert number == CALL
            return FAULTS[how]
        case "tools/call":
            return reply(_said(number, result=FINE))
    return reply(b"", status=b"202 Accepted")


def _ends(names: list[str], timeout_s: float) -> dict[str, list[str]]:
    """What the call of each fault is answered, and the one after it."""

    async def one(name: str, places: asyncio.Semaphore) -> list[str]:
        async with places:
            server = McpServer(url=f"{URL[0]}/mcp")
            (tool,) = server.tools(LISTING)
            limits = {name: timeout_s, "well": 60}  # a busy machine answers late
            try:
                return [await Limited(tool, limits[how], 1000, "observation").call({"how": how}) for how in limits]
            finally:
                await server.aclose()

    async def run() -> list[list[str]]:
        places = asyncio.Semaphore(32)
        return await asyncio.gather(*(one(name, places) for name in names))

    with Server(_choose) as served:
        URL[:] = [served.url]
        return dict(zip(names, asyncio.run(run()), strict=True))


LISTING = json.dumps([TOOL["name"], TOOL["description"], TOOL["inputSchema"]], sort_keys=True)


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_whatever_a_service_replies_ends_its_own_call_at_worst(every: int, caplog: pytest.LogCaptureFixture) -> None:
    names = [name for name in FAULTS if not name.startswith(SLOW)][::every]
    ends = _ends(names, 2)
    assert {after for _, after in ends.values()} == {"fine"}
    assert not {name: said for name, (said, _) in ends.items() if said != "fine" and not said.startswith("Error: do ")}
    assert not {name: said for name, (said, _) in ends.items() if len(said) > 500}
    assert len(names) * every > 150 and 20 < sum(said == "fine" for said, _ in ends.values()) * every < 80
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_service_that_never_ends_is_left_at_the_deadline() -> None:
    ends = _ends([name for name in FAULTS if name.startswith(SLOW)], 2)
    assert {after for _, after in ends.values()} == {"fine"}
    said = [said for said, _ in ends.values()]
    assert sum("did not answer within 2 s" in text for text in said) > len(said) / 2
    assert all(text.startswith("Error: do ") for text in said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("events", "fine"),
        ("events-another-id", "fine"),
        ("events-none", "Error: do failed: SSE stream ended without a response"),
        ("another-id", "Error: do did not answer within 1 s"),
        ("accepted", "Error: do failed: server answered a request with 202 Accepted"),
        ("no-token", "Error: do failed: HTTP 401, Unauthorized"),
        ("error-in-json", "Error: do failed: busy"),
        ("status-500", "Error: do failed: HTTP 500, Internal Server Error"),
        ("gone", "Error: do failed: HTTP 404, Not Found"),
        ("gzip", "fine"),
        ("gzip-bomb", "Error: do failed: Failed to parse JSON response: it has more than 16 MiB"),
        ("redirect-elsewhere", "Error: do failed: Redirect to http://127.0.0.1:9/v1 not followed; use that URL as the "
         "endpoint if it is the intended server"),
    ],
)  # fmt: skip
def test_a_fault_is_read_or_named(fault: str, said: str) -> None:
    assert _ends([fault], 1 if "did not answer" in said else 60)[fault] == [said, "fine"]


def test_a_token_is_sent_and_never_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_TOKEN", "a-secret-of-its")
    heads: list[bytes] = []

    def choose(head: bytes, body: bytes) -> Reply:
        heads.append(head.lower())
        return reply(b"", status=b"401 Unauthorized", kind=b"text/plain")

    with Server(choose) as served, pytest.raises(ToolError) as refused:
        asyncio.run(McpServer(url=f"{served.url}/mcp", token_env="ITS_TOKEN").listing())
    assert str(refused.value) == (
        f"the MCP server '{served.url}/mcp' could not be asked what it offers: HTTP 401, Unauthorized; start it, or "
        "check its url and the token that it wants"
    )
    assert heads and all(b"\r\nauthorization: bearer a-secret-of-its\r\n" in head for head in heads)
