"""A tool within limits: whatever somebody's class does, its call ends as the run wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.limited import Limited
from fireact.trajectories.tool_schema import ToolSchema


class Odd:
    """Does what its argument says."""

    schema = ToolSchema(
        "odd", "", '{"properties": {"how": {"type": "string", "enum": ["long", "hangs", "raises", "refuses", "number", '
        '"half", "stops"]}, "n": {"type": "integer"}}, "required": ["how"]}'
    )
    idempotent = False

    async def call(self, arguments: Mapping[str, Any]) -> Any:
        match arguments["how"]:
            case "long":
                return "ab" * 10
            case "hangs":
                await asyncio.sleep(60)
            case "raises":
                raise KeyError("x")
            case "refuses":
                raise ToolError("no such page")
            case "number":
                return 3
            case "half":
                return "a\ud83d"
            case "stops":
                raise ConfigError("no key")

    async def aclose(self) -> None: ...


def _call(arguments: dict[str, Any], on_error: Literal["observation", "end"]) -> str:
    return asyncio.run(Limited(Odd(), 0.05, 8, on_error).call(arguments))


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("hangs", "odd did not answer within 0.05 s"), ("raises", "odd failed with KeyError: 'x'"),
        ("refuses", "no such page"), ("number", "odd answered with int; a tool answers with text"),
    ],
)  # fmt: skip
def test_a_failure_is_read_or_ends_the_episode(how: str, answer: str) -> None:
    said = f"Error: {answer}"
    assert _call({"how": how}, "observation") == f"{said[:8]} … [{len(said) - 8} more characters]"
    with pytest.raises(ToolError) as failure:
        _call({"how": how}, "end")
    assert str(failure.value) == answer


def test_answers_are_cut_and_halves_of_characters_replaced() -> None:
    assert _call({"how": "long"}, "end") == "abababab … [12 more characters]"
    assert _call({"how": "half"}, "end") == "a\ufffd"


def test_what_never_will_work_stops_the_run() -> None:
    with pytest.raises(ConfigError, match="no key"):
        _call({"how": "stops"}, "observation")


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ({}, "odd needs the argument how"), ({"how": 1}, "odd takes how as string"),
        ({"how": "x"}, "odd takes how as one of long, hangs, raises, refuses, number, half, stops"),
        ({"how": "long", "n": "1"}, "odd takes n as integer"), ({"how": "long", "n": True}, "odd takes n as integer"),
        ({"how": "long", "m": 1}, "odd has no argument m; it takes how, n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("on_error", ["observation", "end"])
def test_a_call_that_does_not_fit_the_schema_is_read_by_the_model(
    arguments: dict[str, Any], mistake: str, on_error: Literal["observation", "end"]
) -> None:
    assert _call(arguments, on_error) == f"Error: {mistake}."
