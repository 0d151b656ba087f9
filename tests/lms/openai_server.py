"""A loopback server that speaks just enough HTTP to be asked by the real client and to fail in every real way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What goes back; ``None`` as a body drops the connection."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """What goes back piece by piece, in chunks of HTTP: mappings as events, text as it is.

    ``end`` says what then comes: ``done`` ends it as OpenAI does, ``stop`` without a word, ``drop`` cuts the
    connection; until the client leaves, ``hold`` says nothing more, ``drip`` nothing of use, ``flood`` that without
    pause.
    """

    events: Sequence[Mapping[str, Any] | str]
    end: str = "done"
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: Any


def chat(text: str | None, tokens_in: int = 10, tokens_out: int = 5) -> Answer:
    """A reply of OpenAI's chat endpoint."""
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return Answer(_reply("chat.completion", choice, tokens_in, tokens_out))


def completion(text: str, tokens_in: int = 10, tokens_out: int = 5) -> Answer:
    """A reply of the completion endpoint."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return Answer(_reply("text_completion", choice, tokens_in, tokens_out))


def streamed(
    *texts: str, usage: Any = (10, 5), api: str = "chat", each: bool = False, end: str = "done", finish: bool = True
) -> Stream:
    """A stream of these pieces; ``usage`` comes last, or ``each`` piece says it, counted so far."""

    def event(text: str | None, reason: str | None, used: Any) -> dict[str, Any]:
        said = {"delta": {} if text is None else {"content": text}} if api == "chat" else {"text": text or ""}
        choices = [{"index": 0, **said, "finish_reason": reason}]
        return {"id": "c-1", "object": "chunk", "choices": choices, **({"usage": used} if used else {})}

    counted = [_usage(usage[0], number) if each else None for number in range(1, len(texts) + 1)]
    events: list[Any] = [event("", None, None), *(event(t, None, u) for t, u in zip(texts, counted, strict=True))]
    events += [event(None, "stop", None)] if finish else []
    if finish and usage is not None:
        events.append({"id": "c-1", "choices": [], "usage": _usage(*usage) if isinstance(usage, tuple) else usage})
    return Stream(events, end)


def error(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def _reply(kind: str, choice: Mapping[str, Any], tokens_in: int, tokens_out: int) -> dict[str, Any]:
    usage = _usage(tokens_in, tokens_out)
    return {"id": "c-1", "object": kind, "created": 1700000000, "model": "m", "choices": [choice], "usage": usage}


def _usage(tokens_in: int, tokens_out: int) -> dict[str, int]:
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}


class Loopback:
    """Answers request n with the n-th of ``answers``, the last one for ever, or with what a function makes of it.

    ``requests`` are those that came, ``most`` how many were being answered at once, ``left`` how many streams were
    left by the client before their end.
    """

    def __init__(self, *answers: Answer | Stream | Callable[[Request], Awaitable[Answer | Stream]]) -> None:
        self._answers = answers
        self.requests: list[Request] = []
        self.most = self.left = self._pending = 0
        self._open: set[asyncio.Task[bytes]] = set()  # streams that last until the client leaves

    async def __aenter__(self) -> Loopback:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open:
            await asyncio.wait(self._open, timeout=5)
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                answer = await self._answer(await self._request(head.decode(), reader))
                if isinstance(answer, Stream):
                    if await self._stream(answer, reader, writer):
                        continue
                    break
                if answer.body is None:
                    break
                writer.write(_encoded(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            writer.close()

    async def _request(self, head: str, reader: asyncio.StreamReader) -> Request:
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        return Request(first.split()[1], headers, json.loads(body))

    async def _stream(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is still of use."""
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {stream.content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"".join(_chunk(event) for event in stream.events))
        if stream.end == "drop":
            return False
        if stream.end in ("done", "stop"):
            writer.write((_chunk("data: [DONE]\n\n") if stream.end == "done" else b"") + b"0\r\n\r\n")
            return True
        gone = asyncio.create_task(reader.read(1))  # the client says nothing more, and then leaves
        self._open.add(gone)
        gone.add_done_callback(self._count)
        while not gone.done():
            if stream.end != "hold":
                writer.write(_chunk(": nothing\n\n" if stream.end == "drip" else "x" * 2**16))
            await asyncio.wait([gone], timeout=0 if stream.end == "flood" else 0.005)
        return False

    def _count(self, gone: asyncio.Task[bytes]) -> None:
        self._open.discard(gone)
        self.left += not gone.cancelled() and (gone.exception() is not None or not gone.result())

    async def _answer(self, request: Request) -> Answer | Stream:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        self._pending += 1
        self.most = max(self.most, self._pending)
        try:
            return answer if isinstance(answer, Answer | Stream) else await answer(request)
        finally:
            self._pending -= 1


def _chunk(event: Mapping[str, Any] | str) -> bytes:
    data = (event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n").encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _encoded(answer: Answer) -> bytes:
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    headers = {"content-type": "application/json", **answer.headers, "content-length": str(len(body.encode()))}
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    return "\r\n".join(lines).encode()
