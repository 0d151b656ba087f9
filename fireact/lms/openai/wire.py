"""The OpenAI API as it goes over the wire: requests, replies, and what every failure means to the user."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientConnectorError
from openai import APIConnectionError, APIStatusError

from fireact.lms.openai.limits import Congested
from fireact.render import Dialogue, served_messages, served_text

NO_KEY = "none"  # what servers that want no key are sent, for the client insists on one
_LONGEST_WAIT_S = 600.0
_BUSY = {429, 503, 529}  # 529 is Anthropic's "overloaded"
_PASSING = {408, 409, 425, 429}  # besides all from 500 on


@dataclass(frozen=True, slots=True)
class Api:
    """One endpoint: its path, how it is given a dialogue (in the plain layout called so, if it takes text), and where
    the first choice of a reply holds the text."""

    path: str
    prompt: Callable[[Dialogue, str], dict[str, Any]]
    text: Callable[[Any], Any]


APIS = {
    "chat": Api(
        "/chat/completions",
        lambda dialogue, _: {"messages": served_messages(dialogue)},
        lambda choice: choice["message"]["content"],
    ),
    "completions": Api(
        "/completions",
        lambda dialogue, layout: {"prompt": served_text(dialogue, "react" if dialogue.few_shot else layout)},
        lambda choice: choice["text"],
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
        """The first line of what the server said, without the key."""
        safe = text if self.key == NO_KEY else text.replace(self.key, "…")
        line = next(iter(safe.strip().splitlines()), "nothing")
        return line[:200].rstrip(".")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said; ``usage`` is (prompt tokens, completion tokens), or None where the server doesn't tell."""

    text: str
    usage: tuple[int, int] | None


class Failed(Exception):
    """An attempt without an answer; the message is the user's sentence.

    ``retry`` says whether another attempt may help, after ``wait_s`` seconds if the server named a time; ``billed``
    whether this one may have to be paid for; ``hopeless`` whether no other dialogue would fare better.
    """

    def __init__(
        self,
        sentence: str,
        *,
        retry: bool = True,
        wait_s: float | None = None,
        billed: bool = False,
        hopeless: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.retry, self.wait_s, self.billed, self.hopeless = retry, wait_s, billed, hopeless


class Overloaded(Failed, Congested):
    """The server is too busy, or says that we ask too often."""


def read_reply(body: str, api: Api, server: Server) -> Reply:
    """The reply's text and usage; a message without content is empty text.

    Raises:
        Failed: this is no reply of that endpoint.
    """
    try:
        reply = json.loads(body)
        text = api.text(reply["choices"][0])
        usage = reply.get("usage") or {}
        known = usage.get("prompt_tokens") is not None and usage.get("completion_tokens") is not None
        tokens = (int(usage["prompt_tokens"]), int(usage["completion_tokens"])) if known else None
        return Reply(str(text or ""), tokens)
    except (ValueError, LookupError, TypeError, AttributeError):
        said = server.quote(body)
        raise Failed(f"{server.url} does not answer as an OpenAI-compatible server ({said!r}); check lm.base_url and "
                     "lm.api", billed=True) from None


def failure(error: APIConnectionError | APIStatusError | TimeoutError, server: Server) -> Failed:
    """What went wrong, in the user's words."""
    if isinstance(error, APIStatusError):
        return _refusal(error, server)
    if isinstance(error, TimeoutError):
        return Overloaded(f"{server.url} gives no answer within {server.timeout_s:g} s; raise lm.timeout_s or lower "
                          "lm.concurrency", billed=True)
    if _never_connected(error):
        return Failed(f"no server answers at {server.url}; start it or set lm.base_url", hopeless=True)
    return Failed(f"{server.url} drops the connection; look into the server's log", billed=True)


def _never_connected(error: BaseException | None) -> bool:
    # The client wraps refused and lost connections alike; only aiohttp's own error tells them apart.
    return error is not None and (isinstance(error, ClientConnectorError) or _never_connected(error.__cause__))


def _refusal(error: APIStatusError, server: Server) -> Failed:
    status, url = error.status_code, server.url
    if status == 401:
        return Failed(f"{url} refuses the API key (HTTP 401); set {server.key_env} to one that may use "
                      f"{server.model}", retry=False, hopeless=True)
    if status == 404:
        return Failed(f"{url} has no model {server.model} (HTTP 404); set lm.model to one it serves, and lm.base_url "
                      "to where its API begins, mostly /v1", retry=False, hopeless=True)
    if error.code == "insufficient_quota":
        return Failed(f"{url} says that the quota is used up (HTTP {status}); add credit there or set "
                      f"{server.key_env} to another account's key", retry=False, hopeless=True)
    said = f"HTTP {status}: {server.quote(_message(error.body))}"
    wait_s = retry_after(error.response.headers)
    if status < 500 and status not in _PASSING:
        return Failed(f"{url} refuses the request ({said}); mend it, where a setting is to blame with lm.omit or "
                      "lm.extra_body", retry=False)
    if wait_s is not None and wait_s > _LONGEST_WAIT_S:
        return Overloaded(f"{url} wants to be left alone for {wait_s:.0f} s ({said}); try again then", retry=False)
    kind = Overloaded if status in _BUSY else Failed
    return kind(f"{url} is not able to answer ({said}); lower lm.concurrency or try again later", wait_s=wait_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``retry-after-ms`` (OpenAI) or ``Retry-After`` (RFC 9110: seconds or a date), else None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        return max(parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time(), 0.0)
    except (KeyError, ValueError):
        return None


def _message(body: object) -> str:
    """The text of an error body: OpenAI's ``message``, FastAPI's ``detail``, or all of it."""
    if isinstance(body, Mapping):
        return str(body.get("message") or body.get("detail") or dict(body))
    return str(body or "no reason given")
