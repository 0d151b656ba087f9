"""The settings of lm=openai: where its key comes from, and what is refused before a call is made."""

from __future__ import annotations

from typing import Any

import pytest

from fireact.errors import ConfigError
from fireact.lms.openai import OpenAI
from tests.lms.asking import SAID, asked
from tests.lms.openai_server import chat

KEY = "sk-very-secret-0123456789"


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
