"""An MCP server at an address: the SDK's transport over a client of ours, in which a failure ends one request alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import JSONRPCError, jsonrpc_message_adapter

from fireact.tools.mcp.notes import Notes
from fireact.trajectories.storage.inflating import CODINGS, Garbled, TooLong, inflated

_LONGEST = 16 * 2**20  # bytes of a reply
_LONGEST_WAIT_S = 600.0  # until a reply begins, and between two pieces of one; calls have a time-out of their own
_TIMEOUTS = httpx2.Timeout(30, read=_LONGEST_WAIT_S)
_LIMITS = httpx2.Limits(max_connections=1000)  # each call that was given up may keep one until it is closed
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SESSION = "mcp-session-id"  # the protocol's header
_PACE_S = 0.2  # between two of the SDK's attempts to listen again, of which a server may ask for any number at once
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log the address of every request


@asynccontextmanager
async def streamable_http(url: str, headers: Mapping[str, str], notes: Notes) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from and to the server at ``url``; ``headers`` go with every request.

    Args:
        notes: are told whether the server holds a session.
    """
    notes.has_session = False

    async def note_session(response: httpx2.Response) -> None:
        notes.has_session = notes.has_session or _SESSION in response.headers

    hooks = {"response": [_bound, note_session]}
    # There no certificate is looked at, and reading them all takes time; elsewhere http may be sent on to https.
    verify = not (url.startswith("http:") and urlsplit(url).hostname in _LOOPBACK)
    sent = {"Accept-Encoding": CODINGS, **headers}
    async with (
        _Client(headers=sent, timeout=_TIMEOUTS, limits=_LIMITS, event_hooks=hooks, verify=verify) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


class _Client(httpx2.AsyncClient):
    """Answers in the server's place where it does not or in no known form: what the SDK's transport is raised ends all
    requests that are under way."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.method == "GET":
            await asyncio.sleep(_PACE_S)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                response = await super().send(request, **options)
        except Exception as error:  # no list holds all that a client may raise over what it is sent
            return _failed(request, 502, f"no answer ({type(error).__name__})")
        if response.is_error and not await _is_told(response):  # by the protocol, in words of the server's
            await response.aclose()
            number = response.status_code
            phrase = HTTPStatus(number).phrase if number in {*HTTPStatus} else "no known status"
            return _failed(request, number, f"HTTP {number}, {phrase}")
        return response


async def _is_told(response: httpx2.Response) -> bool:
    with suppress(httpx2.StreamError, ValueError):
        return isinstance(jsonrpc_message_adapter.validate_json(await response.aread(), by_name=False), JSONRPCError)
    return False


def _failed(request: httpx2.Request, status: int, message: str) -> httpx2.Response:
    said = {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": message}}
    return httpx2.Response(status, json=said, request=request)


async def _bound(response: httpx2.Response) -> None:
    """Let no reply be read beyond ``_LONGEST``, nor as other text than UTF-8; a response hook of the client's."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream, response.headers.pop("content-encoding", ""))
    response.encoding = "utf-8"


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, coding: str) -> None:
        self._stream, self._coding = stream, coding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in inflated(self._stream, self._coding, _LONGEST):
                yield piece
                await asyncio.sleep(0)  # a flood would keep everybody else from their turn
        except TooLong:
            raise httpx2.StreamError(f"it has more than {_LONGEST // 2**20} MiB") from None
        except Garbled as error:
            raise httpx2.StreamError(f"it is {error}") from None
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"it breaks off, {type(error).__name__}") from None

    async def aclose(self) -> None:
        await self._stream.aclose()
