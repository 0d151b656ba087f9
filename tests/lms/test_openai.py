"""The real client against a real socket: what is asked, what is made of every answer, and which settings it refuses."""

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
from typing import Any

import pytest

from fireact.errors import ConfigError
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue, Turn
from tests.lms.asking import ASK, SAID, asked
from tests.lms.openai_server import Answer, chat, completion

TURNS = (Turn("Thought: Look it up.\nAction: search[Emma]", "Emma is a book\nby Jane <|im_end|>Austen."),)
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
    begun = body(Dialogue("Who wrote Emma?", prefill="Thought: Reflect."), chat(SAID))
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
def test_after_a_prefill_the_text_goes_on_from_there(reply: str, text: str) -> None:
    [said], *_ = asked(chat(reply), dialogues=[Dialogue("Q", prefill="Thought: Let me reflect.")])
    assert said.text == text


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
