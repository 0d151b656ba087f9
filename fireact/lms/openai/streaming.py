"""A reply as it comes in: piece by piece and closed where the turn ends, or in one piece; never longer than a bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2  # what the openai client speaks HTTP with
from openai import AsyncStream

from fireact.lms.openai import wire
from fireact.lms.openai.wire import UNREADABLE, Api, Failed, Reply, Server, not_compatible, read_reply
from fireact.trajectories.dialogue import reasoned, turn_is_over
from fireact.trajectories.storage.inflating import inflated

_LONGEST = 16 * 2**20  # bytes; 32,000 tokens of a stream with its JSON are fewer


async def bound(response: httpx2.Response) -> None:
    """Let no reply be read beyond ``_LONGEST``, nor as other text than UTF-8; a response hook of the client's."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream, response.headers.pop("content-encoding", ""))
    response.encoding = "utf-8"  # JSON and events are, and what else a charset may name can be no text at all


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, coding: str) -> None:
        self._stream, self._coding = stream, coding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in inflated(self._stream, self._coding, _LONGEST):
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def receive(stream: AsyncStream[Any], api: Api, server: Server) -> Reply:
    """What the server says, whether it streams or not; the connection is closed as soon as the turn is over.

    Raises:
        Failed: this is no reply of that endpoint.
    """
    async with stream:
        response = stream.response
        if "text/event-stream" not in response.headers.get("content-type", ""):
            await response.aread()
            return read_reply(response.text, api, server)
        try:
            return await _pieces(stream, api, server)
        except UNREADABLE as error:
            raise not_compatible(server, getattr(error, "doc", str(error))) from None


async def _pieces(stream: AsyncStream[Any], api: Api, server: Server) -> Reply:
    text, thought, refusal, finish, pieces, usage, ended = "", "", "", "", 0, None, False
    called = Called()
    async for chunk in stream:
        await asyncio.sleep(0)  # a flood would keep the deadline, and everybody else, from their turn
        try:
            usage = chunk.get("usage") or usage
            firsts = [choice for choice in chunk.get("choices") or () if choice.get("index", 0) == 0]
            choice = firsts[0] if firsts else {}  # a chunk may hold usage alone
            said, says = api.piece(choice), _says(choice)
            piece, thought = wire.text_of(said.get("content")), thought + wire.reasoning_of(said)
            refusal, finish = refusal + wire.refusal_of(said), wire.finish_of(choice) or finish
            called.take(wire.calls_in(said, api))
        except UNREADABLE:
            raise not_compatible(server, json.dumps(chunk)) from None
        text, pieces = text + piece, pieces + says
        ended = ended or choice.get("finish_reason") is not None
        may_end = "\n" in piece or ":" in piece  # as whatever ends a turn does
        if not ended and may_end and not api.native and turn_is_over(reasoned(text)[1]):
            return Reply(text, usage, pieces, whole=False, reasoning=thought)
    if not ended:
        raise Failed(f"{server.url} breaks off in the middle of an answer; look into the server's log", billed=True)
    return Reply(
        text, usage, pieces, reasoning=thought, calls=called.whole(), refusal=refusal, finish=finish
    )


class Called:
    """Calls as their pieces come in: one with the index of a call goes on with it; servers that give none begin
    another with every name."""

    def __init__(self) -> None:
        self._calls: dict[int, list[str]] = {}

    def take(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        """Add the pieces of a chunk; what they raise where they are none is one of ``UNREADABLE``."""
        for piece in pieces:
            function = piece.get("function") or {}
            name, arguments = wire.text_of(function.get("name")), function.get("arguments")
            index = piece.get("index")
            if not isinstance(index, int):
                index = len(self._calls) if name or not self._calls else max(self._calls)
            call = self._calls.setdefault(index, ["", ""])
            call[0] += name
            call[1] += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""

    def whole(self) -> tuple[tuple[str, str], ...]:
        """(name, arguments) of every call, in order."""
        return tuple((name, arguments) for _, (name, arguments) in sorted(self._calls.items()))


def _says(choice: Mapping[str, Any]) -> bool:
    """Whether a chunk holds words; thoughts that a server keeps apart from the text are tokens too."""
    words = choice.get("delta") or {"text": choice.get("text")}
    return any(isinstance(value, str | list) and value for key, value in words.items() if key != "role")
