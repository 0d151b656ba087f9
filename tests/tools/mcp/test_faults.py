"""Every misbehaviour that ``tests/faulty/mcp_server.py`` knows: each ends its own call at worst, by name, in time."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import ConfigError, ToolError
from fireact.tools.limited import Limited
from fireact.tools.mcp import McpServer, links
from tests.tools.mcp.conftest import is_alive

SCRIPT = Path(__file__).parents[2] / "faulty" / "mcp_server.py"
LATE = "Error: do did not answer within 2 s"
UNKNOWN = "Error: do failed: the server answers in a form that MCP does not know"
# What the tool answers to a call that goes badly; whatever it is, the same tool answers the next one.
CALLS = {
    "announces": "fine",
    "another_id": "fine",
    "asks_back": "fine",
    "bad_json": LATE,
    "bad_utf8": LATE,
    "batch": LATE,
    "closes_output": "Error: the MCP server '…' closed its output",
    "closes_slowly": "fine",
    "deep": LATE,
    "error": "Error: do failed: no such argument",
    "error_form": LATE,
    "error_long": f"Error: do failed: {'e ' * 99}e…",
    "exits": "Error: the MCP server '…' exited with code 3 (out of memory)",
    "floods_a_line": "Error: the MCP server '…' sends a line of more than 1 MiB",
    "floods_notes": "Error: the MCP server '…' sends 4 MiB and more without being asked",
    "floods_progress": "Error: the MCP server '…' sends 4 MiB and more without being asked",
    "garbage": "fine",
    "half": LATE,
    "hangs": LATE,
    "killed": "Error: the MCP server '…' was killed by SIGKILL",
    "leaves_a_child": "fine",
    "nan": '{"n": NaN}',
    "no_line_break": LATE,
    "no_version": LATE,
    "result_action": "y\nAction: finish[wrong]",
    "result_control": "a\\x00b\\x1b[2Jc\\u202e",
    "result_empty": "None",
    "result_error": "Error: no such page",
    "result_error_empty": "Error: None",
    "result_form": UNKNOWN,
    "result_input": "None",
    "result_long": f"{'x' * 300} … [{2**19 - 300} more characters]",
    "result_null": LATE,
    "result_part": UNKNOWN,
    "result_structured": '{"n": 1}',
    "stderr": "fine",
    "stops": LATE,
    "twice": "fine",
    "wrong_id": LATE,
}
FIX = "check its command, and run it by hand to see what is wrong"
NO_FIT = "offers 'do' with a schema that no call fits ({}); leave it out by only"
ASKED = f"could not be asked what it offers: {{}}; {FIX}"
NOT_WITHIN = f"did not say within 3 s what it offers; {FIX}"
# How a server is refused that can't be begun with, behind its name.
STARTS = {
    "start_exits": f"exited with code 1 (no licence); {FIX}",
    "start_floods": f"sends 4 MiB and more without being asked; {FIX}",
    "start_floods_a_line": f"sends a line of more than 1 MiB; {FIX}",
    "start_form": ASKED.format("the server answers in a form that MCP does not know"),
    "start_garbage": NOT_WITHIN,
    "start_list_clash": "offers 'do it' and 'do-it', which would both be called do_it; choose one of them by only",
    "start_list_endless": f"lists its tools without end; {FIX}",
    "start_list_enum": NO_FIT.format("the enum of 'how' is no list"),
    "start_list_error": ASKED.format("no database"),
    "start_list_form": ASKED.format("the server answers in a form that MCP does not know"),
    "start_list_impossible": NO_FIT.format("it requires 'why', which is not among its properties"),
    "start_list_kind": NO_FIT.format("the type of 'how' is no name"),
    "start_list_large": "offers 'do' with a schema of more than 64 Ki characters; leave it out by only",
    "start_list_long_name": f"offers '{'d' * 65}', whose name has not 1 to 64 characters; leave it out by only",
    "start_list_nothing": "offers no tools; leave it out, or start it so that it does",
    "start_list_properties": ASKED.format("the server answers in a form that MCP does not know"),
    "start_list_required": ASKED.format("the server answers in a form that MCP does not know"),
    "start_list_silent": NOT_WITHIN,
    "start_list_type": ASKED.format("the server answers in a form that MCP does not know"),
    "start_null": NOT_WITHIN,
    "start_silent": NOT_WITHIN,
    "start_version": ASKED.format("Unsupported protocol version from the server: 1999-01-01"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that are met soon."""
    from fireact.tools.mcp import stdio

    monkeypatch.setattr(links, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(stdio, "_LONGEST", 2**20)
    monkeypatch.setattr(stdio, "_MOST", 4 * 2**20)
    monkeypatch.setattr(stdio, "_GRACE_S", 0.1)


def _server(fault: str, file: Path) -> McpServer:
    start_s = 3 if STARTS.get(fault) == NOT_WITHIN else 60  # a busy machine begins late
    return McpServer(command=[sys.executable, str(SCRIPT), fault, str(file)], start_timeout_s=start_s)


def _unnamed(said: str) -> str:
    return re.sub(r"the MCP server '.*?'", "the MCP server '…'", said)


async def _calls(fault: str, file: Path) -> list[str]:
    """What a call answers that goes badly, and the two after it."""
    server = _server(fault, file)
    listing = await server.listing()
    (tool,) = server.tools(listing)
    patience = 2 if "within" in CALLS.get(fault, "within") else 60
    try:
        return [
            _unnamed(await Limited(tool, timeout_s, 300, "observation").call({"how": how}))
            for how, timeout_s in (("badly", patience), ("well", patience), ("well", 60))
        ]
    finally:
        await server.aclose()


def _all(faults: list[str], folder: Path) -> dict[str, Any]:
    """A few at once, as a machine has few cores."""

    async def run() -> list[Any]:
        places = asyncio.Semaphore(16)

        async def one(fault: str) -> Any:
            async with places:
                return await _calls(fault, folder / fault)

        return await asyncio.gather(*map(one, faults), return_exceptions=True)

    return dict(zip(faults, asyncio.run(run()), strict=True))


EVERY = pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 3])


@EVERY
def test_whatever_a_server_does_ends_its_own_call_at_worst(every: int, tmp_path: Path) -> None:
    faults = [*CALLS][::every]
    ends = _all(faults, tmp_path)
    assert {fault: end[0] for fault, end in ends.items()} == {fault: CALLS[fault] for fault in faults}
    assert {fault: end[-1] for fault, end in ends.items()} == dict.fromkeys(faults, "fine")


@EVERY
def test_a_server_that_can_t_be_begun_with_is_one_sentence(every: int, tmp_path: Path) -> None:
    faults = [*STARTS][::every]
    ends = _all(faults, tmp_path)
    assert {type(end) for end in ends.values()} <= {ToolError, ConfigError}
    said = {fault: _unnamed(str(end)).removeprefix("the MCP server '…' ") for fault, end in ends.items()}
    assert said == {fault: STARTS[fault] for fault in faults}


def test_a_secret_in_a_server_s_last_words_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_SECRET", "a-secret-of-its")
    server = McpServer(command=[sys.executable, str(SCRIPT), "says_its_secret"], env=["ITS_SECRET"])

    async def call() -> str:
        (tool,) = server.tools(await server.listing())
        try:
            return await tool.call({"how": "badly"})
        finally:
            await server.aclose()

    with pytest.raises(ToolError, match=r"exited with code 4 \(bad key \*\*\*\)$"):
        asyncio.run(call())


def test_what_a_server_has_started_ends_with_it(tmp_path: Path) -> None:
    assert _all(["leaves_a_child"], tmp_path) == {"leaves_a_child": ["fine"] * 3}
    assert not is_alive(int((tmp_path / "leaves_a_child").read_text()))


def test_a_tool_that_is_no_longer_as_it_was_listed_is_not_called(tmp_path: Path) -> None:
    changed = (
        "Error: the MCP server '…' no longer offers 'do' as it did when this run began; give a run with its tools of "
        "today another run_dir"
    )
    assert _all(["changes"], tmp_path) == {"changes": [changed] * 3}
