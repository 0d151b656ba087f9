"""A loopback server that speaks just enough HTTP to be asked by the real client and to fail in every real way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What goes back; ``None`` as a body drops the connection."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


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


def error(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def _reply(kind: str, choice: Mapping[str, Any], tokens_in: int, tokens_out: int) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    return {"id": "c-1", "object": kind, "created": 1700000000, "model": "m", "choices": [choice], "usage": usage}


class Loopback:
    """Answers request n with the n-th of ``answers``, the last one for ever, or with what a function makes of it.

    ``requests`` are those that came, ``most`` how many were being answered at once.
    """

    def __init__(self, *answers: Answer | Callable[[Request], Awaitable[Answer]]) -> None:
        self._answers = answers
        self.requests: list[Request] = []
        self.most = self._flying = 0

    async def __aenter__(self) -> Loopback:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                answer = await self._answer(await self._request(head.decode(), reader))
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

    async def _answer(self, request: Request) -> Answer:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        self._flying += 1
        self.most = max(self.most, self._flying)
        try:
            return answer if isinstance(answer, Answer) else await answer(request)
        finally:
            self._flying -= 1


def _encoded(answer: Answer) -> bytes:
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    headers = {"content-type": "application/json", **answer.headers, "content-length": str(len(body.encode()))}
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    return "\r\n".join(lines).encode()
