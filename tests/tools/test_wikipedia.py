"""The MediaWiki API's real answer shapes, replayed on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.wikipedia import Wikipedia
from tests.tools.loopback import QUICK, Service

FILM = {
    "pageid": 1, "ns": 0, "title": "Blade Runner", "index": 2,
    "extract": "Blade Runner is a 1982 science fiction film.\nIt was directed by Ridley Scott. It stars Harrison Ford.",
}
NOVEL = {
    "pageid": 2, "ns": 0, "title": "Do Androids Dream of Electric Sheep?", "index": 1,
    "extract": "The novel was written by Philip K. Dick in 1968.",
}
LAG = {"error": {"code": "maxlag", "info": "Waiting for db1: 6.2 seconds lagged.", "host": "db1", "lag": 6.2}}


def found(*pages: dict[str, Any]) -> dict[str, Any]:
    return {"batchcomplete": True, "query": {"pages": list(pages)}}


def ask(service: Service, query: str = "Blade Runner", **kwargs: Any) -> str:
    async def run() -> str:
        tool = Wikipedia("me@example.org", service.url, limits=QUICK, **kwargs)
        try:
            return await tool.search(query)
        finally:
            await tool.aclose()

    return asyncio.run(run())


def test_a_search_in_one_polite_request(service: Service) -> None:
    service.answers = [found(FILM)]
    assert ask(service, words=16) == "Blade Runner is a 1982 science fiction film. It was directed by Ridley Scott."
    [asked] = service.asked
    expected = {"action": "query", "generator": "search", "gsrsearch": "Blade Runner", "gsrlimit": "1", "maxlag": "5"}
    assert expected.items() <= asked.items()
    assert {"prop": "extracts", "exintro": "1", "explaintext": "1", "formatversion": "2"}.items() <= asked.items()
    assert service.headers[0]["User-Agent"] == f"FireAct/0.1 (me@example.org) httpx/{httpx.__version__}"


def test_the_best_page_comes_first_under_its_title(service: Service) -> None:
    service.answers = [found(FILM, NOVEL)]
    assert ask(service, k=2, words=7) == (
        "Do Androids Dream of Electric Sheep?: The novel was written by Philip K. "
        "Blade Runner is a 1982 science fiction …"
    )
    assert service.asked[0]["gsrlimit"] == service.asked[0]["exlimit"] == "2"


@pytest.mark.parametrize("answer", [{"batchcomplete": True}, found({**FILM, "extract": ""}), found()])
def test_nothing_found(service: Service, answer: dict[str, Any]) -> None:
    service.answers = [answer]
    assert ask(service) == "None"


def test_no_query_asks_nobody_and_a_long_one_is_cut(service: Service) -> None:
    assert ask(service, " ") == "None" and service.asked == []
    ask(service, "x" * 500)
    assert len(service.asked[0]["gsrsearch"]) == 300


def test_a_lagging_wiki_is_waited_for(service: Service) -> None:
    service.answers = [(200, LAG, {"Retry-After": "0"}), found(FILM)]
    assert ask(service).startswith("Blade Runner is")
    service.answers = [LAG]
    with pytest.raises(ToolError, match=r"not answer, after 3 tries \(Waiting for db1: 6.2 seconds lagged\)"):
        ask(service)


def test_refusals(service: Service) -> None:
    service.answers = [{"error": {"code": "badvalue", "info": "Unrecognized value for parameter.", "docref": "…"}}]
    with pytest.raises(ToolError, match=r"could not search \(Unrecognized value for parameter\); try another query"):
        ask(service)
    service.answers = [(403, b"Please set a user-agent", {})]
    with pytest.raises(ConfigError, match="Wikipedia refuses to answer .* check search.contact"):
        ask(service)
    service.answers = [{"query": {"pages": {"1": FILM}}}]
    with pytest.raises(ToolError, match="unknown form"):
        ask(service)


def test_the_name_and_the_contact() -> None:
    assert Wikipedia("me@example.org", k=2).name == "wikipedia[en.wikipedia.org] k=2"
    with pytest.raises(ConfigError, match="search.contact is empty"):
        Wikipedia("")
