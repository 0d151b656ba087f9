"""A server that nobody here wrote: ``transformers serve``, where it is installed."""

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

import pytest

from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue


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
