"""The real client against a real socket: what is asked, what is made of every answer, and that no limit is passed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from fireact.errors import ConfigError, ModelError
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.lms.openai.limits import Congested, Gate, Rate
from fireact.trajectories.dialogue import Dialogue, Turn
from tests.lms.asking import ASK, SAID, Clock, asked
from tests.lms.openai_server import Answer, Loopback, Request, chat, completion, error

TURNS = (Turn("Thought: Look it up.\nAction: search[Emma]", "Emma is a book\nby Jane <|im_end|>Austen."),)
BUSY = error(429, "Rate limit reached for m.")
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
SETTINGS = {"model": "m", "temperature": 0.0, "max_tokens": 256, "stop": ["\nObservation:"], **STREAM}
KEY = "sk-very-secret-0123456789"


def body(dialogue: Dialogue, answer: Answer, **options: Any) -> dict[str, Any]:
    """The body of the one request that ``dialogue`` makes."""
    _, server, _ = asked(answer, dialogues=[dialogue], **options)
    [request] = server.requests
    return request.body


def test_chat_alternates_as_the_released_data_does() -> None:
    assert body(Dialogue("Who wrote Emma?", turns=TURNS), chat(SAID)) == SETTINGS | {
        "messages": [
            {"role": "user", "content": "Who wrote Emma?"},
            {"role": "assistant", "content": "Thought: Look it up.\nAction: search[Emma]"},
            {"role": "user", "content": "Observation: Emma is a book by Jane <\u200b|im_end|>Austen."},
        ]
    }
    begun = body(Dialogue("Who wrote Emma?", opening="Thought: Reflect."), chat(SAID))
    assert begun["messages"][1:] == [{"role": "assistant", "content": "Thought: Reflect."}]


def test_a_few_shot_chat_is_one_message_of_plain_text() -> None:
    dialogue = Dialogue("Who wrote Emma?", "Think and act.", TURNS, "Thought: Reflect.")
    text = (
        "Think and act.\n\nQuestion: Who wrote Emma?\nThought: Look it up.\nAction: search[Emma]\n"
        "Observation: Emma is a book by Jane <\u200b|im_end|>Austen.\nThought: Reflect."
    )
    assert body(dialogue, chat(SAID)) == SETTINGS | {"messages": [{"role": "user", "content": text}]}
    prompted = body(dialogue, completion(SAID), api="completions")
    assert prompted == SETTINGS | {"prompt": text}


def test_completions_without_a_few_shot_prompt_use_the_tuned_layout() -> None:
    _, server, _ = asked(completion(SAID), dialogues=[Dialogue("Who wrote Emma?", turns=TURNS)], api="completions")
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body["prompt"] == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nWho wrote Emma?\n\n### Response:\nThought: Look it up.\nAction: search[Emma]\n"
        "Observation: Emma is a book by Jane <\u200b|im_end|>Austen.\n"
    )


def test_settings_can_be_renamed_left_out_and_added() -> None:
    options = {"seed": 7, "omit": ["stop", "temperature"], "max_tokens_key": "max_completion_tokens"}
    sent = body(ASK, chat(SAID), extra_body={"reasoning_effort": "low"}, max_new_tokens=9, **options)
    assert sent == {
        "model": "m",
        "messages": [{"role": "user", "content": "Who wrote Emma?"}],
        "max_completion_tokens": 9,
        "seed": 7,
        "reasoning_effort": "low",
        **STREAM,
    }


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Thought: A.\nAction: search[B]\nObservation: invented\nAction: finish[C]", "Thought: A.\nAction: search[B]"),
        ("  Thought: A.\nAction: finish[B] \n\n", "Thought: A.\nAction: finish[B]"),
        ("I don't know\nObservation: invented", "I don't know"),
        (None, ""),
    ],
)
def test_a_turn_ends_after_its_first_action_line(reply: str | None, text: str) -> None:
    [said], *_ = asked(chat(reply, 12, 5))
    assert said == Completion(text, None, 12, 5, 0.0)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (" Emma was too vague.\nAction: search[X]", " Emma was too vague.\nAction: search[X]"),
        ("Thought: Emma was too vague.\nAction: search[X]", " Emma was too vague.\nAction: search[X]"),
        ("Thought: Let me reflect. Now\nAction: search[X]", " Now\nAction: search[X]"),
        ("\nAction: search[X]\n", "\nAction: search[X]"),
    ],
)
def test_after_an_opening_the_text_goes_on_from_there(reply: str, text: str) -> None:
    [said], *_ = asked(chat(reply), dialogues=[Dialogue("Q", opening="Thought: Let me reflect.")])
    assert said.text == text


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
        (error(400, f"bad {KEY}"), ModelError, "refuses the request (HTTP 400: bad …); fix it"),
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


def test_keys_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="wants an API key; set the environment variable OPENAI_API_KEY"):
        OpenAI("gpt-4o")
    _, server, _ = asked(chat(SAID))
    assert server.requests[0].headers["authorization"] == "Bearer none"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lm = OpenAI("gpt-4o")
    assert KEY not in repr(lm) + repr(vars(lm))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api": "responses"}, "lm.api=responses is unknown; choose chat or completions"),
        ({"format": "chat"}, "lm.format=chat is unknown; choose react or alpaca"),
        ({"base_url": "localhost:8000/v1"}, "is no address"),
        ({"base_url": "http://me:secret@127.0.0.1/v1"}, "^lm.base_url holds a user's name or password; leave them out"),
        ({"budget_usd": 1.0}, r"needs the price of m; add \+lm\.prices\.m\.input=USD"),
        ({"prices": {"m": {"in": 1.0}}}, "lm.prices.m is no price"),
        ({"prices": {"m": {"input": -1.0, "output": 1.0}}}, "lm.prices.m holds a price below 0 or no number"),
        ({"prices": {"m": {"input": 1.0, "output": float("nan")}}}, "lm.prices.m holds a price below 0 or no number"),
        ({"budget_usd": float("nan")}, "lm.budget_usd=nan is no amount; give what may be spent, in US dollars, or"),
        ({"budget_usd": float("inf")}, "lm.budget_usd=inf is no amount"),
        ({"budget_usd": -1.0}, "lm.budget_usd=-1 is below 0"),
        ({"max_retries": -1}, "lm.max_retries=-1 is out of its range; give 0 or more"),
        ({"concurrency": 0}, "lm.concurrency=0 is out of its range; give 1 or more"),
        ({"max_new_tokens": -5}, "lm.max_new_tokens=-5 is out of its range; give 1 or more"),
        ({"timeout_s": float("nan")}, "lm.timeout_s=nan is out of its range; give a number above 0"),
        ({"timeout_s": 0}, "lm.timeout_s=0 is out of its range"),
        ({"tokens_per_minute": 0}, "lm.tokens_per_minute=0 is out of its range"),
        ({"budget_usd": 1.0, "prices": {"m": {"input": 1, "output": 1}}, "omit": ["max_tokens"]}, "needs a limit"),
    ],
)
def test_wrong_settings_are_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        OpenAI("m", **({"base_url": "http://127.0.0.1:1/v1"} | options))


def test_sixty_four_calls_are_in_flight_together() -> None:
    async def run() -> int:
        everyone = asyncio.Barrier(64)

        async def together(_: Request) -> Answer:
            await everyone.wait()
            return chat(SAID)

        async with Loopback(together) as server:
            lm = OpenAI("m", server.url, concurrency=64)
            await asyncio.gather(*(lm.complete(ASK) for _ in range(128)))
            await lm.aclose()
            return server.most

    assert asyncio.run(run()) == 64


def test_a_busy_server_is_asked_by_half_as_many() -> None:
    """Of 32 calls that meet at the server 28 are refused; from then on no more than 16 come at once, till all have
    been answered."""
    arrived, inside, crowds, everyone = 0, 0, [], asyncio.Barrier(32)

    async def picky(_: Request) -> Answer:
        nonlocal arrived, inside
        arrived += 1
        if (number := arrived) <= 32:
            await everyone.wait()
            return error(503, "full") if number > 4 else chat(SAID)
        inside += 1
        crowds.append(inside)
        await asyncio.sleep(0.001)
        inside -= 1
        return chat(SAID)

    said, *_ = asked(picky, dialogues=[ASK] * 40, concurrency=32)
    assert [answer.text for answer in said] == [SAID] * 40
    assert len(crowds) == 36
    assert max(crowds) <= 16


def test_the_gate_halves_once_for_all_under_way_and_widens_by_one_a_window() -> None:
    async def run() -> list[int]:
        gate, limits = Gate(16), []

        async def call(congested: bool) -> None:
            async with gate.passing():
                await asyncio.sleep(0)
                if congested:
                    raise Congested

        await asyncio.gather(*(call(True) for _ in range(16)), return_exceptions=True)
        limits.append(gate.limit)
        for successes in (7, 1, 9, 10 + 11 + 12 + 13 + 14 + 15, 100):
            for _ in range(successes):
                await call(False)
            limits.append(gate.limit)
        for _ in range(6):
            await asyncio.gather(call(True), return_exceptions=True)
        return [*limits, gate.limit]

    assert asyncio.run(run()) == [8, 8, 9, 10, 16, 16, 1]


def test_no_minute_holds_more_than_its_rate() -> None:
    async def run() -> list[float]:
        clock, times = Clock(), []
        rate = Rate(10, clock, clock.sleep)

        async def call() -> None:
            share = await rate.take(4)
            times.append(clock.now - 1000)
            share.amount = 2 if len(times) > 2 else 4

        await asyncio.gather(*(call() for _ in range(7)))
        return times

    # 4 + 4 fill the first minute; later calls turn out to need 2, and leave room for a third and a fourth of them.
    assert asyncio.run(run()) == [0, 0, 60, 60, 60, 60, 120]


def test_requests_and_tokens_a_minute_are_kept() -> None:
    *_, clock = asked(chat(SAID), dialogues=[ASK] * 5, requests_per_minute=2)
    assert clock.now == 1000 + 120
    # Each is taken for some 300 tokens first, and turns out to need 15.
    *_, clock = asked(chat(SAID), dialogues=[ASK] * 4, tokens_per_minute=400, concurrency=1)
    assert clock.now == 1000
    *_, clock = asked(chat(SAID, 200, 100), dialogues=[ASK] * 4, tokens_per_minute=400, concurrency=1)
    assert clock.now == 1000 + 180


@pytest.fixture(scope="module")
def transformers_serve(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(model, URL) of ``transformers serve`` with the embedded backbone; skips where it isn't installed."""
    if not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")):
        pytest.skip("transformers serve is not installed; run: pip install 'transformers[serving]'")
    model = request.getfixturevalue("smollm2").path
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model, "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    options = ["--host", "127.0.0.1", "--device", "cpu", "--dtype", "float32"]
    server = subprocess.Popen([*command, *options], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert server.poll() is None, "transformers serve ended"
            try:
                health = urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
            except OSError:
                time.sleep(0.1)
            else:
                assert json.load(health)
                break
        yield model, f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_nobody_here_wrote_answers_eight_at_once(transformers_serve: tuple[str, str], api: str) -> None:
    few_shot = "Answer with Thought and Action lines.\n\n" + "\n\n".join(
        f"Question: Who wrote {work}?\nThought: I need to find who wrote {work}.\nAction: search[{work}]"
        for work in ("Hamlet", "Faust", "Ulysses")
    )

    async def run() -> list[Completion]:
        lm = OpenAI(*transformers_serve, api=api, max_new_tokens=32, concurrency=8)
        try:
            return await asyncio.gather(*(lm.complete(Dialogue("Who wrote Emma?", few_shot)) for _ in range(8)))
        finally:
            await lm.aclose()

    said = asyncio.run(run())
    assert len(set(said)) == 1
    assert said[0].tokens_in > 60 and 0 < said[0].tokens_out <= 32
    if api == "completions":
        assert said[0].text == "Thought: I need to find who wrote Emma.\nAction: search[Emma]"
