"""How long each call over the network lasts when nobody ever answers it, or a byte at a time.

    python benchmarks/faults/deadlines.py

Every limit is set to a second, and each call made against servers that are silent at once, drip the status line, drip
headers without end, and drip the body without end; the longest of the four counts.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import huggingface_hub.constants  # noqa: E402

from fireact.errors import FireActError  # noqa: E402
from fireact.lms.openai import OpenAI  # noqa: E402
from fireact.models import hub  # noqa: E402
from fireact.runs import dashboard  # noqa: E402
from fireact.tools.http import Limits  # noqa: E402
from fireact.tools.serpapi import KEY, SerpApi  # noqa: E402
from fireact.tools.wikipedia import Wikipedia  # noqa: E402
from fireact.trajectories.dialogue import Dialogue  # noqa: E402
from fireact.trajectories.storage import download, transfer  # noqa: E402
from tests.faulty.server import Server, drip, silence, then  # noqa: E402

LIMIT_S = 1.0
_OK = b"HTTP/1.1 200 OK\r\n"
SERVERS = {
    "silent": silence,
    "status": drip(_OK),
    "headers": then(_OK, drip(b"x: 1\r\n")),
    "body": then(_OK + b"content-type: application/json\r\n\r\n", drip(b" ")),
}
_LIMITS = Limits(timeout=LIMIT_S, retries=0)
_ON_NETWORK, _ON_HUB = "hotpotqa/dev.json", next(name for name, file in download.REGISTRY.items() if file.hub)


def _model(url: str) -> None:
    asyncio.run(OpenAI("m", f"{url}/v1", timeout_s=LIMIT_S, max_retries=0).complete(Dialogue("?")))


def _wikipedia(url: str) -> None:
    asyncio.run(Wikipedia("faults", url, limits=_LIMITS).search("x"))


def _serpapi(url: str) -> None:
    asyncio.run(SerpApi(url, limits=_LIMITS).search("x"))


def _download(url: str) -> None:
    download.REGISTRY[_ON_NETWORK] = replace(download.REGISTRY[_ON_NETWORK], url=url)
    with tempfile.TemporaryDirectory() as folder:
        download.fetch(_ON_NETWORK, folder)


def _hub_file(url: str) -> None:
    _use_hub(url)
    with tempfile.TemporaryDirectory() as folder:
        download.fetch(_ON_HUB, folder)


def _hub_there(url: str) -> None:
    _use_hub(url)
    hub.hub_answers()


def _hub_model(url: str) -> None:
    _use_hub(url)
    hub.hub_answers = lambda: True
    hub.to_fetch({"name": "y", "hub": "x/y"})


def _use_hub(url: str) -> None:
    huggingface_hub.constants.ENDPOINT = url
    huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE = url + "/{repo_id}/resolve/{revision}/{filename}"
    huggingface_hub.constants.HF_HUB_CACHE = tempfile.mkdtemp()


def _wandb(url: str) -> None:
    os.environ.update(WANDB_BASE_URL=url, WANDB_API_KEY="0" * 40)
    dashboard.WandbRun(tempfile.mkdtemp()).open({}, "evaluate")


CALLS: dict[str, Callable[[str], None]] = {
    "a model's call": _model,
    "a search by wikipedia": _wikipedia,
    "a search by serpapi": _serpapi,
    "a public file": _download,
    "a public file on the hub": _hub_file,
    "whether the hub is there": _hub_there,
    "what the hub says of a model": _hub_model,
    "W&B takes a run": _wandb,
}


def main() -> None:
    os.environ.pop(download.MIRROR, None)
    os.environ[KEY] = "serp-loopback"
    hub._PATIENCE_S = hub._WHOLE_S = dashboard._PATIENCE_S = LIMIT_S
    transfer.of_download = download.of_download = lambda _: LIMIT_S
    for what, call in CALLS.items():
        lasted = {}
        for name, faulty in SERVERS.items():
            with Server(lambda *_, faulty=faulty: faulty) as server:
                started, said = time.monotonic(), "no"
                try:
                    call(server.url)
                except FireActError as error:
                    said = str(error).replace(server.url, "URL")
                lasted[name] = time.monotonic() - started
        longest = max(lasted, key=lasted.__getitem__)
        print(f"{what:30} {lasted[longest]:5.1f} s ({longest}): {said[:150]}", flush=True)


if __name__ == "__main__":
    main()
