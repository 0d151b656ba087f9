"""An MCP server as a process of ours: messages a line each way, bounded, and ended with all that it started.

The SDK has such a transport too; it holds a line of any length in memory, prints a trace for each line that is no
message, and lets the server write to our terminal. This one is entered by the SDK's client in its place.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from fireact.errors import ConfigError
from fireact.tools.mcp.notes import Notes

_LONGEST = 16 * 2**20  # bytes of a line
_MOST = 64 * 2**20  # bytes since it was last sent something
_GRACE_S, _POLL_S = 1.0, 0.01
_LAST_WORDS = 8  # pieces of 256 bytes that are kept of what it writes to stderr
_CLOSED = "closed its output"


def environment(names: Sequence[str], key: str) -> dict[str, str]:
    """What a server is given of our environment: what the SDK deems safe, and ``names``.

    Raises:
        ConfigError: one of ``names`` is not set; ``key`` says where it stands.
    """
    for name in names:
        if name not in os.environ:
            raise ConfigError(f"{key} names the environment variable {name}, which is not set; set it, or leave it out")
    return {**get_default_environment(), **{name: os.environ[name] for name in names}}


@asynccontextmanager
async def stdio(
    command: Sequence[str], variables: Mapping[str, str], notes: Notes, ended: Callable[[], None]
) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from and to a server that is started by ``command``.

    Args:
        notes: is told how the process ended, if it did so by itself, and its last words on stderr.
        ended: is called as soon as no further message comes.

    Raises:
        OSError: the command can't be started.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(_LONGEST, loop),
        *command, env=dict(variables), start_new_session=True,
    )  # fmt: skip
    process = asyncio.subprocess.Process(transport, protocol, loop)
    into, received = anyio.create_memory_object_stream[Any](0)
    sent, out = anyio.create_memory_object_stream[Any](0)
    traffic = _Traffic()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_receive, process, into, traffic, notes, ended)
            group.start_soon(_send, process, out, traffic)
            group.start_soon(_listen, process, notes)
            try:
                yield received, sent
            finally:
                with anyio.CancelScope(shield=True):
                    traffic.is_ending = True
                    received.close()
                    sent.close()
                    await _stop(process, notes)
                group.cancel_scope.cancel()
    finally:
        _signal(process, signal.SIGKILL)  # also where the task itself was cancelled in the middle of stopping
        transport.close()


@dataclass(slots=True)
class _Traffic:
    """Bytes that came since something was last sent, and whether it is we who end it."""

    received: int = 0
    is_ending: bool = False


async def _receive(process: Any, into: Any, traffic: _Traffic, notes: Notes, ended: Callable[[], None]) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        async with into:
            try:
                while line := await process.stdout.readline():
                    traffic.received += len(line)
                    if traffic.received > _MOST:
                        notes.reason = f"sends {_MOST // 2**20} MiB and more without being asked"
                        break
                    await into.send(_read(line))
                else:
                    notes.reason = "" if traffic.is_ending else _CLOSED
            except ValueError:  # asyncio's for a line beyond its limit
                notes.reason = f"sends a line of more than {_LONGEST // 2**20} MiB"
            finally:
                ended()


def _read(line: bytes) -> SessionMessage | Exception:
    """The message in a line; the session passes over an error, as what is printed by mistake is no message."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _send(process: Any, out: Any, traffic: _Traffic) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async with out:
            async for message in out:
                said = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(said.encode(errors="replace") + b"\n")
                await process.stdin.drain()
                traffic.received = 0


async def _listen(process: Any, notes: Notes) -> None:
    words: deque[bytes] = deque(maxlen=_LAST_WORDS)
    while piece := await process.stderr.read(256):
        words.append(piece)
        notes.last_words = b"".join(words).decode(errors="replace")


async def _stop(process: Any, notes: Notes) -> None:
    """Close the server's input, as the protocol wants it, then terminate it, then kill it, with all of its group."""
    by_itself = notes.reason == _CLOSED
    with suppress(OSError):
        process.stdin.close()
    if await _has_exited(process) and by_itself:
        code = process.returncode
        name = next((number.name for number in signal.Signals if number == -code), f"signal {-code}")
        notes.reason = f"was killed by {name}" if code < 0 else f"exited with code {code}"
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _signal(process, number) and not await _has_exited(process):
            continue
        break
    _signal(process, signal.SIGKILL)  # what it has started and left behind


async def _has_exited(process: Any) -> bool:
    """Whether it ends within the grace; ``wait`` would also wait for whoever has inherited its pipes."""
    for _ in range(round(_GRACE_S / _POLL_S)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(_POLL_S)
    return process.returncode is not None


def _signal(process: Any, number: int) -> bool:
    """Signal the process and all that it started; whether there was anybody."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
