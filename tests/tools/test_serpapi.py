"""SerpApi's real answer shapes, replayed on loopback: which one answer is chosen, and every way to get none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.serpapi import SerpApi, choose
from tests.tools.loopback import QUICK, Service

FOUND = {"search_metadata": {"status": "Success"}, "search_parameters": {"engine": "google", "q": "x"}}
ORGANIC = [{"position": 1, "title": "T", "snippet": "A first\n snippet."}, {"position": 2, "snippet": "A second one."}]
BOX = {
    "type": "organic_result",
    "answer": "8,849 m",
    "snippet": "Mount Everest is 8,849 m high.",
    "snippet_highlighted_words": ["8,849 m", "high"],
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERPAPI_API_KEY", "s3cr3t")


def ask(service: Service, query: str = "height of Mount Everest") -> str:
    async def run() -> str:
        tool = SerpApi(service.url, limits=QUICK)
        try:
            return await tool.search(query)
        finally:
            await tool.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("box", "organic", "answer"),
    [
        (BOX, ORGANIC, "8,849 m"),
        ({**BOX, "answer": 8849}, ORGANIC, "8849"),
        ({"snippet": BOX["snippet"], "snippet_highlighted_words": ["8,849 m"]}, ORGANIC, BOX["snippet"]),
        ({"type": "organic_result", "snippet_highlighted_words": ["8,849 m", "high"]}, ORGANIC, "8,849 m"),
        ({"type": "weather_result", "temperature": "5"}, ORGANIC, "A first snippet."),
        ({"answer": "", "snippet_highlighted_words": []}, ORGANIC, "A first snippet."),
        ({"answer": ["a", "b"]}, ORGANIC, "A first snippet."),
        (None, ORGANIC, "A first snippet."),
        (None, [{"title": "T"}, {"snippet": "Second."}], "None"),
        (None, [], "None"),
        ([], None, "None"),
    ],
)
def test_the_papers_order(box: Any, organic: Any, answer: str) -> None:
    body = {**FOUND, **({} if box is None else {"answer_box": box})}
    assert choose({**body, "organic_results": organic} if organic is not None else body) == answer


def test_a_search(service: Service) -> None:
    service.answers = [{**FOUND, "answer_box": BOX, "organic_results": ORGANIC}]
    assert ask(service) == "8,849 m"
    asked = {"engine": "google", "gl": "us", "hl": "en", "q": "height of Mount Everest", "api_key": "s3cr3t"}
    assert service.asked == [asked]
    assert SerpApi().name == "serpapi[google]"


def test_nothing_found_is_no_failure(service: Service) -> None:
    service.answers = [{**FOUND, "error": "Google hasn't returned any results for this query."}]
    assert ask(service) == "None"
    assert ask(service, "  ") == "None"
    assert len(service.asked) == 1


def test_a_failed_search_is_a_tool_failure(service: Service) -> None:
    failed = {"search_metadata": {"status": "Error"}, "error": "We couldn't get valid results for this search. Sorry."}
    service.answers = [failed]
    with pytest.raises(ToolError, match=r"not search \(We couldn't get valid results for this search\); try again"):
        ask(service)


def test_a_wrong_or_missing_key_stops_the_run(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    where = "https://serpapi.com/manage-api-key"
    service.answers = [(401, {"error": f"Invalid API key. Your API key should be here: {where}"}, {})]
    with pytest.raises(ConfigError, match=r"HTTP 401: Invalid API key\); check SERPAPI_API_KEY and what is left"):
        ask(service)
    monkeypatch.delenv("SERPAPI_API_KEY")
    with pytest.raises(ConfigError, match="SERPAPI_API_KEY is not set; put your SerpApi key"):
        ask(service)


def test_the_hourly_limit_is_waited_for_a_bounded_time(service: Service) -> None:
    service.answers = [(429, {"error": "Your account has exceeded its hourly searches."}, {}), FOUND]
    assert ask(service) == "None"
    service.answers = [(429, {"error": "Your account has run out of searches."}, {})]
    with pytest.raises(ToolError, match=r"after 3 tries \(HTTP 429: Your account has run out of searches\)"):
        ask(service)
