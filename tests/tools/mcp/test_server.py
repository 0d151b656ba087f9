"""Tools of real MCP servers, in processes of their own, over both transports."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.mcp import McpServer, McpTool
from tests.tools.mcp.conftest import GOOD, is_alive

COMMAND = [sys.executable, str(GOOD)]
NAMES = ["add", "environment", "fail", "look_up", "parts", "started"]
Tools = dict[str, McpTool]


def _with_tools(server: McpServer, use: Callable[[Tools], Awaitable[Any]]) -> Any:
    """What ``use`` makes of the server's tools by name; the server is closed then."""

    async def run() -> Any:
        tools = {tool.schema.name: tool for tool in server.tools(await server.listing())}
        try:
            return await use(tools)
        finally:
            await server.aclose()

    return asyncio.run(run())


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


async def _everything(tools: Tools) -> list[Any]:
    """What each tool answers, one after another and many at once."""
    answers: list[Any] = [
        list(tools),
        await tools["look_up"].call({"title": "X"}),
        await tools["parts"].call({}),
    ]
    sums = await asyncio.gather(*(tools["add"].call({"a": 1, "b": b}) for b in range(20)))
    with pytest.raises(ToolError) as error:
        await tools["fail"].call({"why": "error"})
    for odd in ("a\ud83d", "\ud83d\ude00"):
        answers.append(await tools["look_up"].call({"title": odd}))
    with pytest.raises(ToolError, match="^look-up takes no arguments that are nested more than 100 deep$"):
        await tools["look_up"].call({"title": _nested(254)})
    with pytest.raises(ToolError) as refused:
        await tools["add"].call({"a": "one", "b": 2})
    return [*answers, sums, str(error.value), str(refused.value).splitlines()[0]]


EVERYTHING = [
    NAMES,
    "X is a\\x1b[31m page.\nIt has two lines.",
    "first\n[image image/png: not readable as text]\nof a resource\n"
    "[resource application/zip file:///b.bin: not readable as text]",
    "a\ufffd is a\\x1b[31m page.\nIt has two lines.",
    "\U0001f600 is a\\x1b[31m page.\nIt has two lines.",
    [str(1 + b) for b in range(20)],
    "Error executing tool fail: no such thing",
    "Error executing tool add: 1 validation error for addArguments",
]


def test_tools_of_a_command_are_called() -> None:
    assert _with_tools(McpServer(command=COMMAND), _everything) == EVERYTHING


def test_tools_at_an_address_are_called(good_url: str) -> None:
    assert _with_tools(McpServer(url=good_url), _everything) == EVERYTHING


def test_a_tool_has_the_server_s_schema_and_description() -> None:
    async def schemas(tools: Tools) -> Any:
        return {name: tool.schema.to_json() for name, tool in tools.items()}, {t.idempotent for t in tools.values()}

    found, idempotent = _with_tools(McpServer(command=COMMAND, only=["look-up"], prefix="g_", idempotent=True), schemas)
    about = {"description": "Of a page.", "title": "Title", "type": "string"}
    parameters = {"properties": {"title": about}, "required": ["title"], "title": "look_upArguments", "type": "object"}
    assert found == {"g_look_up": {"name": "g_look_up", "description": "Looks a page up.", "parameters": parameters}}
    assert idempotent == {True}


def test_a_server_is_started_once_for_all_calls_without_our_secrets_and_ended_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKS", str(tmp_path / "marks"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    monkeypatch.setenv("FOR_IT", "its-own-secret")

    async def ask(tools: Tools) -> tuple[set[str], str]:
        return {await tools["started"].call({}) for _ in range(3)}, await tools["environment"].call({})

    (process,), seen = _with_tools(McpServer(command=COMMAND, env=["MARKS", "FOR_IT"]), ask)
    started = (tmp_path / "marks").read_text().split()
    assert started[1:] == [process]  # the first was only asked what it offers
    assert not any(is_alive(int(number)) for number in started)
    *names, its_own, ours = seen.split()
    assert (its_own, ours) == ("***", "None")  # what it repeats of its secret is not shown
    allowed = {"FOR_IT", "MARKS", "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}
    assert {*names} - {"LC_CTYPE"} == allowed & {*os.environ}  # Python sets LC_CTYPE for itself


def test_a_variable_that_env_names_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOR_IT", raising=False)
    with pytest.raises(ConfigError, match="env of an MCP server names the environment variable FOR_IT, which is not"):
        asyncio.run(McpServer(command=COMMAND, env=["FOR_IT"]).listing())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "an MCP server needs a command or a url, and not both; give one, such as tools.named.mcp.command="),
        ({"command": ["x"], "url": "http://x/"}, "an MCP server needs a command or a url, and not both"),
        ({"url": "x.org/mcp"}, "the url of an MCP server, 'x.org/mcp', is no address; it begins with http:// or"),
        (
            {"command": ["x", "--api-key", "abc"]},
            "the command of an MCP server holds a secret behind '--api-key', which",
        ),
        ({"command": ["x", "--its_token=abc"]}, "the command of an MCP server holds a secret behind '--its_token', wh"),
        ({"url": "http:///mcp"}, "the url of an MCP server, 'http:///mcp', is no address"),
    ],
)
def test_a_server_that_can_t_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        McpServer(**given)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (McpServer(command=["no-such-command", "/a/folder/x.py"]),
         "the MCP server 'no-such-command x.py' can't be started (No such file or directory); check its command, and "
         "run it by hand to see what is wrong"),
        (McpServer(url="http://127.0.0.1:9/mcp"),
         "the MCP server 'http://127.0.0.1:9/mcp' could not be asked what it offers: no answer (ConnectError); start "
         "it, or check its url and the token that it wants"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_one_sentence(server: McpServer, words: str) -> None:
    with pytest.raises(ToolError) as refused:
        asyncio.run(server.listing())
    assert str(refused.value) == words


def test_a_token_is_looked_for_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ITS_TOKEN", raising=False)
    with pytest.raises(
        ConfigError, match="^ITS_TOKEN is not set; put the token of the MCP server 'http://127.0.0.1:9/"
    ):
        asyncio.run(McpServer(url="http://127.0.0.1:9/", token_env="ITS_TOKEN").listing())


def test_what_only_names_must_be_offered() -> None:
    listing = "\n".join(json.dumps([name, "", {}]) for name in ("a", "b"))
    server = McpServer(command=["x"], only=["c"])
    with pytest.raises(ConfigError, match="^the MCP server 'x' does not offer 'c'; choose for only from 'a', 'b'$"):
        server.tools(listing)
    assert [tool.schema.name for tool in McpServer(command=["x"], only=["b", "a"]).tools(listing)] == ["b", "a"]


def test_without_the_sdk_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "mcp" or name.startswith("fireact.tools.mcp.links")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"^tools=mcp needs the extra: pip install fireact\[mcp\]$"):
        asyncio.run(McpServer(command=["x"]).listing())
