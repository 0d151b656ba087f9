"""The OpenAI API as it goes over the wire: requests, replies, and what every failure means to the user."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientConnectorError
from openai import APIConnectionError, APIError, APIStatusError

from fireact.formats import calls
from fireact.formats.base import Thinking
from fireact.formats.served import served_calls, served_messages, served_text
from fireact.lms.openai.limits import Congested
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.storage.inflating import Garbled, TooLong
from fireact.trajectories.storage.reading import joined, printable
from fireact.trajectories.storage.retrying import AttemptFailed, retry_after

NO_KEY = "none"  # what servers that want no key are sent, for the client insists on one
_LONGEST_WAIT_S = 600.0
_BUSY = {429, 503, 529}  # 529 is Anthropic's "overloaded"
_PASSING = {408, 409, 425, 429}  # besides all from 500 on
# What Python raises over JSON that is none, or of another form.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Api:
    """One endpoint: its path, how it is given a dialogue (in the plain layout called so, if it takes text), and where
    the first choice of a reply, and that of a stream's chunk, holds what the model said; ``native`` where that may be
    calls of tools, and its text is not to be read as ReAct text."""

    path: str
    prompt: Callable[[Dialogue, str, Thinking], dict[str, Any]]
    said: Callable[[Any], Any]
    piece: Callable[[Any], Any]
    native: bool = False


APIS = {
    "chat": Api(
        "/chat/completions",
        lambda dialogue, _, thinking: {"messages": served_messages(dialogue, thinking)},
        lambda choice: choice["message"],
        lambda choice: choice.get("delta") or {},
    ),
    "completions": Api(
        "/completions",
        lambda dialogue, layout, thinking: {
            "prompt": served_text(dialogue, "react" if dialogue.few_shot else layout, thinking)
        },
        lambda choice: {"content": choice["text"]},
        lambda choice: {"content": choice.get("text")},
    ),
    "tools": Api(
        "/chat/completions",
        lambda dialogue, _, thinking: {
            "messages": served_calls(dialogue, thinking), "tools": calls.schemas(calls.told(dialogue))
        },
        lambda choice: {"content": None, **choice["message"]},
        lambda choice: choice.get("delta") or {},
        native=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Server:
    """What a message may say of a server, and the key that none may show."""

    url: str
    model: str
    key_env: str
    timeout_s: float
    key: str = field(repr=False)

    def quote(self, text: str) -> str:
        """The first line of what the server said, without the key, halves of characters and what steers a terminal."""
        safe = joined(text if self.key == NO_KEY else text.replace(self.key, "…"))
        line = next(iter(safe.strip().splitlines()), "nothing")
        return printable(line[:200])[:200].rstrip(".")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said; ``reasoning`` is what a server keeps apart from its text, ``calls`` are those of tools, as
    (name, arguments), ``refusal`` is why it would not, and ``finish`` the server's word for why it stopped.

    ``usage`` is what the server says it took, as it says it. Of a stream, ``pieces`` counts those that held text, and
    ``whole`` is False if it was closed before its end.
    """

    text: str
    usage: Any = None
    pieces: int = 0
    whole: bool = True
    reasoning: str = ""
    calls: tuple[tuple[Any, Any], ...] = ()
    refusal: str = ""
    finish: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether it did not come to its end."""
        return self.finish in ("length", "content_filter")

    def reason(self, server: Server) -> str:
        """Why there is no text: the model's refusal, or what the server calls it; empty where it just stopped."""
        said = self.refusal or (self.finish if self.finish not in ("stop", "tool_calls") else "")
        return server.quote(said) if said else ""


class Failed(AttemptFailed):
    """An attempt without an answer; the message is the user's sentence.

    ``billed`` says whether it may have to be paid for, ``hopeless`` whether no other dialogue would fare better.
    """

    def __init__(self, sentence: str, *, billed: bool = False, hopeless: bool = False, **options: Any) -> None:
        super().__init__(sentence, **options)
        self.billed, self.hopeless = billed, hopeless


class Overloaded(Failed, Congested):
    """The server is too busy, or says that we ask too often."""


def read_reply(body: str, api: Api, server: Server) -> Reply:
    """The reply's text and usage; a message without content is empty text.

    Raises:
        Failed: this is no reply of that endpoint.
    """
    try:
        reply = json.loads(body)
        choice = reply["choices"][0]
        message = api.said(choice)
        called = tuple((call["function"]["name"], call["function"].get("arguments")) for call in calls_in(message, api))
        return Reply(
            text_of(message["content"]), reply.get("usage"), reasoning=reasoning_of(message), calls=called,
            refusal=refusal_of(message), finish=finish_of(choice),
        )  # fmt: skip
    except UNREADABLE:
        raise not_compatible(server, body) from None


def text_of(value: Any) -> str:
    """A text of the reply's; TypeError for what is none, of which words would have to be made up."""
    if not isinstance(value, str | None):
        raise TypeError(value)
    return value or ""


def reasoning_of(message: Mapping[str, Any]) -> str:
    """What a message, or a piece of one, holds apart as reasoning; DeepSeek and vLLM, or OpenRouter, call it so."""
    said = message.get("reasoning_content") or message.get("reasoning")
    return said if isinstance(said, str) else ""


def calls_in(message: Mapping[str, Any], api: Api) -> list[Any]:
    """The calls of a message, or of a piece of one; TypeError where they are no list."""
    called = (message.get("tool_calls") or []) if api.native else []
    if not isinstance(called, list):
        raise TypeError(called)
    return called


def refusal_of(message: Mapping[str, Any]) -> str:
    """Why the model refuses, in its words."""
    said = message.get("refusal")
    return said if isinstance(said, str) else ""


def finish_of(choice: Mapping[str, Any]) -> str:
    """The server's word for why an answer ended; empty if it has not."""
    said = choice.get("finish_reason")
    return said if isinstance(said, str) else ""


def not_compatible(server: Server, said: str) -> Failed:
    """A reply that is none of the API's."""
    return Failed(f"{server.url} does not answer as an OpenAI-compatible server ({server.quote(said)!r}); check "
                  "lm.base_url and lm.api", billed=True)


def failure(error: BaseException, server: Server) -> Failed:
    """What went wrong, in the user's words; whatever the client raises over what it is sent is one of these."""
    if isinstance(error, APIStatusError):
        return _refusal(error, server)
    if isinstance(error, TimeoutError):
        return Overloaded(f"{server.url} gives no answer within {server.timeout_s:g} s; raise lm.timeout_s or lower "
                          "lm.concurrency", billed=True)
    causes = _causes(error)
    if any(isinstance(cause, TooLong) for cause in causes):
        return Failed(f"{server.url} answers without end; check lm.base_url", retry=False, billed=True)
    if garbled := next((cause for cause in causes if isinstance(cause, Garbled)), None):
        return not_compatible(server, str(garbled))
    # The client wraps refused and lost connections alike; only aiohttp's own error tells them apart.
    if any(isinstance(cause, ClientConnectorError) for cause in causes):
        return Failed(f"no server answers at {server.url}; start it or set lm.base_url", hopeless=True)
    if isinstance(error, APIError) and not isinstance(error, APIConnectionError):  # an error in place of a piece
        return Failed(f"{server.url} breaks off ({server.quote(error.message)}); look into the server's log",
                      billed=True)
    return Failed(f"{server.url} drops the connection or does not speak HTTP ({type(causes[-1]).__name__}); look into "
                  "the server's log", billed=True)


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what it came from, the first of them last."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return causes


def _refusal(error: APIStatusError, server: Server) -> Failed:
    status, url = error.status_code, server.url
    if status == 401:
        return Failed(f"{url} refuses the API key (HTTP 401); set {server.key_env} to one that may use "
                      f"{server.model}", retry=False, hopeless=True)
    if status == 404:
        return Failed(f"{url} has no model {server.model} (HTTP 404); set lm.model to one it serves, and lm.base_url "
                      "to where its API begins, mostly /v1", retry=False, hopeless=True)
    if status == 402 or error.code == "insufficient_quota":
        return Failed(f"{url} says that the quota is used up (HTTP {status}); add credit there or set "
                      f"{server.key_env} to another account's key", retry=False, hopeless=True)
    if 300 <= status < 400 and (place := error.response.headers.get("location")):
        place = server.quote(place.partition("?")[0])  # the rest may hold a secret
        return Failed(f"{url} sends away to {place!r} (HTTP {status}), where no prompt is sent; set lm.base_url to "
                      "where the API is", retry=False)
    said = f"HTTP {status}: {server.quote(_message(error.body))}"
    wait_s = retry_after(error.response.headers)
    if status < 500 and status not in _PASSING:
        return Failed(f"{url} refuses the request ({said}); fix it, where a setting is to blame with lm.omit or "
                      "lm.extra_body", retry=False)
    if wait_s is not None and wait_s > _LONGEST_WAIT_S:
        return Overloaded(f"{url} wants to be left alone for {wait_s:.0f} s ({said}); try again then", retry=False)
    kind = Overloaded if status in _BUSY else Failed
    # Who is busy has not begun; any other fault of the server's may have come after the work.
    return kind(f"{url} is not able to answer ({said}); lower lm.concurrency or try again later", wait_s=wait_s,
                billed=status >= 500 and status not in _BUSY)


def _message(body: object) -> str:
    """The text of an error body: OpenAI's ``message``, FastAPI's ``detail``, or all of it."""
    if isinstance(body, Mapping):
        return str(body.get("message") or body.get("detail") or dict(body))
    return str(body or "no reason given")
