"""A key or a password in a command is refused before anything is named after it, and is never said again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fireact.cli import secrets
from fireact.errors import ConfigError
from tests.conftest import ROOT

CANARY = "c4nary-Xy7Zq"
HELD = [
    f"lm.base_url=http://me:{CANARY}@127.0.0.1/v1",
    f"lm.base_url=http://{CANARY}@127.0.0.1/v1",
    f"lm.base_url=http://127.0.0.1/v1?api_key={CANARY}",
    f"lm.base_url='http://127.0.0.1/v1?a=1&token={CANARY}'",
    f"lm.base_url=http://127.0.0.1/v1#access_token={CANARY}",
    f"search.base_url=https://x.org/?X-Api-Key={CANARY}",
    f"search.base_url=https://x.org/w?Signature={CANARY}",
    f"lm.api_key={CANARY}",
    f"+lm.api_key={CANARY}",
    f"++lm.headers.Authorization={CANARY}",
    f"+lm.extra_body={{api_key: {CANARY}}}",
    f"+lm.extra_body={{a: 1, 'password': '{CANARY}'}}",
    f"lm.extra_body.token={CANARY}",
    f"+x=Bearer {CANARY}",
    f"backbone.path=https://u:{CANARY}@hub/x",
    f"data.path=s3://{CANARY}@bucket/rows.jsonl",
    "lm.model=sk-0123456789abcdefghijkl",
    "backbone.hub=hf_0123456789abcdefghijkl",
    f"runs_dir=/tmp/{CANARY}-of-the-environment",
    f"hydra.run.dir=http://me:{CANARY}@host",
]
FREE = [
    "lm.api_key_env=OTHER_KEY", "lm.max_tokens_key=max_completion_tokens", "lm.tokens_per_minute=100",
    "lm.api_key=null", "lm.base_url=http://127.0.0.1:8000/v1",
    "lm.extra_body={stop_token_ids: [1, 2], skip_special_tokens: true}",
    "data.released=hf://datasets/a/b@main/c", "search.contact=me@example.org", "optim.lr=1e-4",
    "search.base_url=https://x/?monkey=1", "backbone.path=/models/tokenizer", "task.name=key", "lm.model=sk-small",
    "method=react,react_cot", "lm.extra_body={token: null}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_API_KEY", f"{CANARY}-of-the-environment")
    monkeypatch.setenv("TOKENIZER_PATH", "/models/tokenizer")
    monkeypatch.setenv("PRIVATE_KEY", str(tmp_path))  # names a place, and is none


@pytest.mark.parametrize("override", HELD)
def test_what_holds_a_secret_is_refused_by_its_key_alone(override: str) -> None:
    with pytest.raises(ConfigError, match="holds a key, a token or a password") as refused:
        secrets.refuse_in(["seed=1", override])
    assert str(refused.value).startswith(override.lstrip("+").partition("=")[0]) and CANARY not in str(refused.value)


@pytest.mark.parametrize("override", FREE)
def test_what_holds_none_is_free(override: str, tmp_path: Path) -> None:
    secrets.refuse_in([override, f"runs_dir={tmp_path}/runs"])


def test_a_configuration_is_looked_through_whole() -> None:
    secrets.refuse({"lm": {"model": "m", "omit": ["stop"], "seed": 1, "extra_body": {"user": "me"}}})
    for held in ({"lm": {"extra_body": {"a": [{"Authorization": "x"}]}}}, {"a": ["http://u:p@h"]}):
        with pytest.raises(ConfigError, match=r"^(lm\.extra_body\.a\.Authorization|a) holds a key"):
            secrets.refuse(held)


@pytest.mark.parametrize("flags", [[], ["-m"], ["--cfg", "job"]])
def test_no_trace_of_it_is_left(tmp_path: Path, flags: list[str]) -> None:
    command = [sys.executable, str(ROOT / "evaluate.py"), "lm=openai", "lm.model=m", HELD[0], *flags]
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert CANARY not in done.stderr and list(tmp_path.iterdir()) == []
