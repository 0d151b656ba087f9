"""What the client makes of failures, passing and lasting ones, and how long it waits: against a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate

import pytest

from fireact.errors import ConfigError, ModelError
from tests.lms.asking import SAID, asked
from tests.lms.openai_server import Answer, Request, chat, error

BUSY = error(429, "Rate limit reached for m.")
KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    "trouble",
    [BUSY, error(500, "oops"), error(503, "busy"), Answer(None), Answer('{"choices": [', 200), Answer({"choices": []})],
    ids=["429", "500", "503", "drop", "torn", "empty"],
)
def test_passing_failures_are_tried_again_with_growing_pauses(trouble: Answer) -> None:
    [said], server, clock = asked(trouble, trouble, chat(SAID))
    assert said.text == SAID
    assert len(server.requests) == 3
    assert 0.25 <= clock.slept[0] <= 0.5 <= clock.slept[1] <= 1.0


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry_after": "7"}, 7, 7),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25, 0.25),
        ({"retry_after": "soon"}, 0.25, 0.5),
        ({"retry_after": "inf"}, 0.25, 0.5),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], low: float, high: float) -> None:
    [said], _, clock = asked(error(429, "slow down", **headers), chat(SAID))
    assert said.text == SAID
    [pause] = clock.slept
    assert low <= pause <= high


def test_the_server_may_name_a_date_to_come_back() -> None:
    date = formatdate(time.time() + 100, usegmt=True)  # whole seconds
    _, _, clock = asked(error(429, "slow down", retry_after=date), chat(SAID))
    [pause] = clock.slept
    assert 50 <= pause <= 100


def test_retries_end_in_one_sentence() -> None:
    [failed], server, clock = asked(error(500, "the GPU is on fire\nand more"), max_retries=3)
    assert len(server.requests) == 4 and len(clock.slept) == 3
    assert isinstance(failed, ModelError)
    assert str(failed) == (
        f"{server.url} is not able to answer (HTTP 500: the GPU is on fire); lower lm.concurrency or try again later "
        "(tried 4 times)"
    )
    [failed], server, _ = asked(error(429, "daily limit", retry_after="9000"))
    assert len(server.requests) == 1
    assert "wants to be left alone for 9000 s" in str(failed)
    [failed], server, _ = asked(Answer("<html>hello</html>", headers={"content-type": "text/html"}), max_retries=1)
    assert len(server.requests) == 2
    assert isinstance(failed, ModelError)
    assert "does not answer as an OpenAI-compatible server ('<html>hello</html>'); check lm.base_url" in str(failed)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), ConfigError, "refuses the API key (HTTP 401); set MY_KEY"),
        (error(404, "The model `m` does not exist"), ConfigError, "has no model m (HTTP 404); set lm.model"),
        (error(429, "quota", "insufficient_quota"), ConfigError, "quota is used up (HTTP 429); add credit"),
        (error(402, "Insufficient Balance"), ConfigError, "quota is used up (HTTP 402); add credit"),
        (error(400, f"bad {KEY}"), ModelError, "refuses the request (HTTP 400: bad …); mend it"),
        (Answer({"detail": "Unexpected fields: seed"}, 422), ModelError, "(HTTP 422: Unexpected fields: seed)"),
    ],
)
def test_lasting_failures_are_not_tried_again_and_never_show_the_key(
    answer: Answer, kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    [failed], server, _ = asked(answer, api_key_env="MY_KEY")
    assert len(server.requests) == 1
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert isinstance(failed, kind)
    assert words in str(failed)
    assert KEY not in str(failed)


def test_a_slow_server_is_given_up_and_asked_again() -> None:
    async def never(_: Request) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    [failed], server, _ = asked(never, timeout_s=0.05, max_retries=1)
    assert len(server.requests) == 2
    assert str(failed) == (
        f"{server.url} gives no answer within 0.05 s; raise lm.timeout_s or lower lm.concurrency (tried 2 times)"
    )


def test_a_dead_server_is_one_sentence() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        [failed], _, clock = asked(chat(SAID), base_url=url, max_retries=2)
    assert isinstance(failed, ConfigError)
    assert str(failed) == f"no server answers at {url}; start it or set lm.base_url (tried 3 times)"
    assert len(clock.slept) == 2
