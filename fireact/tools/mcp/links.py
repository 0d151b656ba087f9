"""A connection to an MCP server, held by a task of its own for as long as the server is fit to be asked.

What the SDK's client enters it must leave in the same task, whereas calls come from the tasks of all questions.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, MCPError
from pydantic import ValidationError

from fireact.errors import ConfigError, ToolError
from fireact.tools.mcp.notes import Notes, brief
from fireact.tools.mcp.offered import entry_of
from fireact.trajectories.storage.reading import joined

_DEEPEST = 100  # what servers read; the SDK ends the connection over arguments that are nested some 250 deep
_PAGES = 100  # of a list of tools
_PATIENCE_S = 5.0  # until a server of which a call failed says what it offers
_CLOSING_S = 10.0  # until a connection is given up that does not close
_US = types.Implementation(name="fireact", version="1")
Streams = Callable[[Notes, Callable[[], None]], AbstractAsyncContextManager[tuple[Any, Any]]]
for _name in ("mcp", "client"):  # the SDK prints a trace for whatever a server says wrongly
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Link:
    """Connects at once, within ``patience_s`` seconds; make it in an event loop.

    Args:
        streams: opens the transport; is given the notes, and what to call as soon as no message comes any more.
        server: its name in messages.
        fix: what a user can do where it can't be started, as the second half of a sentence.
    """

    def __init__(self, streams: Streams, server: str, fix: str, patience_s: float) -> None:
        self.entries: dict[str, str] = {}
        self._streams, self._server, self._fix, self._patience_s = streams, server, fix, patience_s
        self._notes, self._stop = Notes(), asyncio.Event()
        self._client: Any = None
        self._pending, self._is_retired = 0, False
        self._failure = ""
        self._ready = asyncio.Event()
        self._check: asyncio.Task[bool] | None = None  # begun when a call has failed
        self._task = asyncio.create_task(self._hold())

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._stop.is_set() or self._task.done()

    async def started(self) -> None:
        """Wait until ``entries`` hold what the server offers, by its names.

        Raises:
            ToolError: it could not be connected with, or said nothing of use; says why.
        """
        await self._ready.wait()
        if self._failure:
            raise ToolError(self._failure)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        """The result of a call of the server's tool ``name``.

        Raises:
            ToolError: the server answers with an error, in no known form, or not at all any more; or the arguments
                can't be sent.
        """
        await self.started()
        if _is_deep(arguments, _DEEPEST):
            raise ToolError(f"{name} takes no arguments that are nested more than {_DEEPEST} deep")
        self._pending += 1
        # The SDK's own call_tool also holds a result against the schema that the server gave for it, of which one
        # pattern may keep a process busy for ever.
        try:
            whole = json.loads(joined(json.dumps(arguments, ensure_ascii=False)))  # no half of a character can be sent
            params = types.CallToolRequestParams(name=name, arguments=whole)
            found = await self._client.session.send_request(types.CallToolRequest(params=params), types.CallToolResult)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and not self._notes.has_session:
                self._is_retired = True  # what it may still be sent would be read for ever; a new one costs nothing
            elif self._check is None or self._check.done():
                self._check = asyncio.create_task(self._answers())
            if not isinstance(error, Exception):
                raise
            raise ToolError(await self._why(error, name)) from None
        finally:
            self._pending -= 1
            self._leave_if_idle()
        result: types.CallToolResult = found
        return result

    async def is_fit(self) -> bool:
        """Whether a server of which a call failed still says what it offers; whoever gives up waiting ends no check."""
        if self.is_over or self._is_retired:
            return False
        check = self._check
        if check is None:
            return True
        fit = await asyncio.shield(check)
        if fit and self._check is check:  # no other call has failed since
            self._check = None
        return fit and not self.is_over

    def retire(self) -> None:
        """Close as soon as no call is under way."""
        self._is_retired = True
        self._leave_if_idle()

    async def close(self) -> None:
        """Close now; whatever the server does, in a bounded time."""
        self._stop.set()
        _, open_still = await asyncio.wait([self._task], timeout=_CLOSING_S)
        if open_still:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_CLOSING_S)

    async def _answers(self) -> bool:
        with anyio.move_on_after(_PATIENCE_S), suppress(Exception):
            await self._list()
            return True
        return False

    def _leave_if_idle(self) -> None:
        if self._is_retired and not self._pending:
            self._stop.set()

    async def _hold(self) -> None:
        limit = anyio.move_on_after(self._patience_s)
        try:
            with limit:
                streams = self._streams(self._notes, self._stop.set)
                async with Client(streams, client_info=_US, cache=None) as self._client:
                    await self._list()
                    limit.deadline = math.inf
                    self._ready.set()
                    await self._stop.wait()
        except Exception as error:  # of which no list holds all; once it has started, calls tell what they meet
            self._failure = "" if self._ready.is_set() else self._start_failure(error)
        finally:
            if not self._ready.is_set():
                late = f"did not say within {self._patience_s:g} s what it offers{self._notes.said()}"
                failure = f"{self._server} {late}" if limit.cancel_called else self._failure or "it was left"
                self._failure = f"{failure}; {self._fix}"
            self._stop.set()
            self._ready.set()

    async def _list(self) -> None:
        """Ask for all that the server offers.

        Raises:
            ToolError: its list has no end.
        """
        entries: dict[str, str] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            for tool in page.tools:
                entries[tool.name] = entry_of(tool.name, tool.description or "", tool.input_schema)
            cursor = page.next_cursor
            if cursor is None:
                self.entries = entries
                return
        raise ToolError(f"{self._server} lists its tools without end")

    def _start_failure(self, error: BaseException) -> str:
        first = _first(error)
        if isinstance(first, ToolError | ConfigError):
            return str(first)
        if isinstance(first, FileNotFoundError | PermissionError):
            return f"{self._server} can't be started ({first.strerror})"
        ended = self._notes.reason and self._notes.reason + self._notes.said()
        return f"{self._server} {ended or f'could not be asked what it offers: {_words(first)}'}"

    async def _why(self, error: Exception, name: str) -> str:
        if self.is_over:  # what has become of it is known when it is closed
            await asyncio.wait([self._task], timeout=_CLOSING_S)
            ended = self._notes.reason or f"ended the connection, {_words(error)}"
            return f"{self._server} {ended}{self._notes.said()}"
        return f"{name} failed: {_words(error)}"


def _is_deep(value: Any, deepest: int) -> bool:
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return deepest < 0 or any(_is_deep(member, deepest - 1) for member in below)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _words(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return "the server answers in a form that MCP does not know"
    said = str(error) if isinstance(error, MCPError | RuntimeError) else ""  # the SDK's words, or the server's
    return brief(said).rstrip(".") or type(error).__name__
