"""The HTTP client of search tools against a loopback server: patience, pace, and what it never says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.http import Http, Limits, at, explained
from tests.tools.loopback import QUICK, Service

SLOW_DOWN = (429, {"error": "Too fast. Wait."}, {"Retry-After": "3"})


def get(url: str, limits: Limits = QUICK, times: int = 1, **kwargs: Any) -> list[Any]:
    async def run() -> list[Any]:
        http = Http("Service", url, limits, fix="check the key")
        try:
            return await asyncio.gather(*(http.get({"q": str(i)}, **kwargs) for i in range(times)))
        finally:
            await http.aclose()

    return asyncio.run(run())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits are written down, not waited."""
    seen: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        seen.append(seconds)
        await sleep(0)

    monkeypatch.setattr("fireact.tools.http.asyncio.sleep", note)
    return seen


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again(service: Service, status: int) -> None:
    service.answers = [(status, {}, {}), (status, b"<html>", {}), {"fine": 1}]
    assert get(service.url) == [{"fine": 1}]
    assert service.asked == [{"q": "0"}] * 3


def test_patience_ends(service: Service) -> None:
    service.answers = [(503, {"error": "Something went wrong. Sorry."}, {})]
    sentence = "Service did not answer, after 3 tries (HTTP 503: Something went wrong); try again later"
    with pytest.raises(ToolError) as error:
        get(service.url)
    assert str(error.value) == sentence and len(service.asked) == 3


def test_back_off_doubles_up_to_a_limit(service: Service, waits: list[float]) -> None:
    service.answers = [(500, {}, {})]
    with pytest.raises(ToolError, match="after 5 tries"):
        get(service.url, Limits(retries=4, backoff=1, longest_wait=4, per_second=10_000))
    between = [wait for wait in waits if wait > 0.1]
    for wait, longest in zip(between, (1, 2, 4, 4), strict=True):
        assert longest / 2 <= wait <= longest


def test_the_service_says_how_long_to_wait_and_everybody_does(service: Service, waits: list[float]) -> None:
    service.answers = [SLOW_DOWN, {"fine": 1}]
    assert get(service.url) == [{"fine": 1}]
    assert max(waits) == pytest.approx(3, abs=0.5)
    waits.clear()
    service.answers = [SLOW_DOWN, {"fine": 1}]

    async def run() -> None:
        http = Http("Service", service.url, QUICK, fix="")
        await http.get({})
        waits.clear()
        await http.get({})  # another question's
        await http.aclose()

    asyncio.run(run())
    assert waits[0] == pytest.approx(3, abs=0.5)


def test_a_wait_may_be_a_date(service: Service, waits: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
    service.answers = [(503, {}, {"Retry-After": date}), (503, {}, {"Retry-After": "soon"}), {}]
    get(service.url)
    assert any(wait == pytest.approx(3.5, abs=1) for wait in waits)


def test_too_long_a_wait_is_not_waited_for(service: Service) -> None:
    service.answers = [(429, {"error": "hourly limit"}, {"Retry-After": "3600"})]
    with pytest.raises(ToolError, match=r"and asks to wait 3600 s \(HTTP 429: hourly limit\); try again later"):
        get(service.url)
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refusal_is_a_wrong_configuration(service: Service, status: int) -> None:
    service.answers = [(status, {"error": "Invalid API key."}, {})]
    with pytest.raises(ConfigError, match=rf"refuses to answer \(HTTP {status}: Invalid API key\); check the key"):
        get(service.url)
    assert len(service.asked) == 1


def test_what_waiting_does_not_fix_is_not_tried_again(service: Service) -> None:
    service.answers = [(400, {"error": "bad query"}, {}), b"<html>", [1, 2]]
    with pytest.raises(ToolError, match=r"could not answer \(HTTP 400: bad query\)"):
        get(service.url)
    for _ in range(2):
        with pytest.raises(ToolError, match="answered no JSON object; check search.base_url=http://127"):
            get(service.url)
    assert len(service.asked) == 3


def test_nobody_there() -> None:
    with pytest.raises(ToolError, match=r"did not answer, after 3 tries \(ConnectError\); try again later"):
        get("http://127.0.0.1:9/")
    with pytest.raises(ConfigError, match="search.base_url=example.org is no address"):
        get("example.org")


def test_a_silent_service_times_out(service: Service) -> None:
    service.gate.clear()
    with pytest.raises(ToolError, match=r"did not answer, at once \(no whole answer within 0.05 s\)"):
        get(service.url, Limits(timeout=0.05, retries=0))
    service.gate.set()


def get_endless(piece: bytes, pause: float, limits: Limits) -> tuple[str, int]:
    """(the error, the number of connections) of a service whose answer never ends."""

    async def run() -> tuple[str, int]:
        connections = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            gone = asyncio.create_task(reader.read(1))
            while not gone.done():
                writer.write(piece)
                await asyncio.wait([gone], timeout=pause)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            http = Http("Service", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", limits, fix="")
            with pytest.raises(ToolError) as error:
                await http.get({})
            await http.aclose()
        return str(error.value), connections

    return asyncio.run(run())


def test_a_service_that_drips_is_given_up() -> None:
    said, connections = get_endless(b" ", 0.005, Limits(timeout=0.1, retries=1, backoff=0.001))
    assert said == "Service did not answer, after 2 tries (no whole answer within 0.1 s); try again later"
    assert connections == 2


def test_a_service_that_never_stops_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireact.tools.http._LONGEST", 2**20)
    said, connections = get_endless(b"x" * 2**16, 0, QUICK)
    assert "Service answers without end; check search.base_url=http://127.0.0.1" in said
    assert connections == 1


@pytest.mark.parametrize("value", ["9" * 400, "²", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 1 Jan 0001 0:0:0 -2400"])
def test_no_wait_is_without_end(service: Service, value: str) -> None:
    service.answers = [(429, {"error": "wait"}, {"Retry-After": value.encode().decode("latin-1")})]
    with pytest.raises(ToolError, match=r"did not answer, (and asks to wait|after 3 tries)"):
        get(service.url)


@pytest.mark.parametrize(
    "limit",
    [
        {"retries": -1},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"per_second": 0},
        {"connections": 0},
        {"backoff": -1},
        {"longest_wait": float("inf")},
    ],
)
def test_limits_that_bound_nothing_are_refused(limit: dict[str, Any]) -> None:
    [(key, value)] = limit.items()
    with pytest.raises(ConfigError, match=f"search.limits.{key}={value} is out of its range; give a?.*[01]"):
        Limits(**limit)


def test_halves_of_characters_are_joined_or_replaced_and_counted(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.answers = [(200, b'{"a": "\\ud83d\\ude00 \\ud83d"}', {})]
    assert get(service.url, times=2) == [{"a": "\U0001f600 \ufffd"}] * 2
    assert caplog.messages[-1] == "halves of characters in what Service answered are replaced by \ufffd (2 of them)"


def test_busy_with_status_200(service: Service) -> None:
    service.answers = [{"lag": 9}, {"fine": 1}]
    busy: Callable[[dict[str, Any]], str] = lambda body: "lagging" if "lag" in body else ""  # noqa: E731
    assert get(service.url, busy=busy) == [{"fine": 1}]
    service.answers = [{"lag": 9}]
    with pytest.raises(ToolError, match=r"after 3 tries \(lagging\)"):
        get(service.url, busy=busy)


def test_requests_of_all_questions_are_paced(service: Service, waits: list[float]) -> None:
    get(service.url, Limits(per_second=2), times=4)
    assert sorted(waits) == pytest.approx([0, 0.5, 1, 1.5], abs=0.2)


def test_no_more_connections_than_allowed(service: Service) -> None:
    service.gate.clear()
    asyncio.run(_crowd(service))
    assert service.most == 4 and len(service.asked) == 12


async def _crowd(service: Service) -> None:
    http = Http("Service", service.url, QUICK, fix="")
    asked = [asyncio.create_task(http.get({"q": str(i)})) for i in range(12)]
    while service.pending < QUICK.connections:
        await asyncio.sleep(0.001)
    service.gate.set()
    await asyncio.gather(*asked)
    await http.aclose()


def test_a_secret_is_sent_but_never_said(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = {"api_key": "s3cr3t"}
    service.answers = [{"fine": 1}]
    get(service.url, secret=secret)
    assert service.asked == [{"q": "0", "api_key": "s3cr3t"}]
    assert f"GET {service.url} " in caplog.text
    for status in (400, 401, 503):
        service.answers = [(status, {"error": "the key s3cr3t is no good"}, {})]
        with pytest.raises((ToolError, ConfigError), match=r"the key \*\*\* is no good") as error:
            get(service.url, secret=secret)
        assert error.value.__suppress_context__ or error.value.__context__ is None
    assert "s3cr3t" not in caplog.text


def test_reading_json_of_uncertain_form() -> None:
    body = {"a": [{"b": "c"}], "error": "One. Two.\n"}
    assert at(body, "a", 0, "b") == "c"
    assert at(body, "a", 1) is at(body, "a", "b") is at(body, "x", "y") is at(None, "a") is None
    assert explained(body) == "One"
    assert explained({"error": {"info": "Waiting: 6.2 seconds lagged."}}) == "Waiting: 6.2 seconds lagged"
    assert explained(None) == explained({}) == "no reason given"
