"""How full lm=openai keeps a server: calls a second against a loopback server that takes 200 ms for each.

python benchmarks/openai_load.py [calls] [in flight]
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fireact.lms.openai import OpenAI  # noqa: E402
from fireact.trajectories.dialogue import Dialogue  # noqa: E402

SECONDS = 0.2
USAGE = {"prompt_tokens": 400, "completion_tokens": 20}
REPLY = json.dumps({"choices": [{"message": {"content": "Thought: A.\nAction: search[B]"}}], "usage": USAGE}).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read requests of one connection and answer each after ``SECONDS``."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = (line.split(b": ") for line in head.lower().split(b"\r\n")[1:-2])
            await reader.readexactly(int(dict(lines)[b"content-length"]))
            await asyncio.sleep(SECONDS)
            writer.write(HEAD + REPLY)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(port: Connection) -> None:
    """Say which port was free, and serve for ever."""

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def ask(url: str, calls: int, pending: int) -> float:
    """Calls a second, after as many as warm every connection."""
    lm = OpenAI("m", url, concurrency=pending)
    dialogue = Dialogue("Who wrote Emma?", "An example. " * 120)
    await asyncio.gather(*(lm.complete(dialogue) for _ in range(pending)))
    started = time.perf_counter()
    await asyncio.gather(*(lm.complete(dialogue) for _ in range(calls)))
    rate = calls / (time.perf_counter() - started)
    await lm.aclose()
    return rate


def main(calls: int = 1280, pending: int = 64) -> None:
    """Print the rate beside what the server allows."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    rate, ideal = asyncio.run(ask(f"http://127.0.0.1:{ours.recv()}/v1", calls, pending)), pending / SECONDS
    server.terminate()
    print(f"{calls} calls of {SECONDS * 1000:.0f} ms, {pending} in flight: {rate:.1f} calls/s, "
          f"{rate / ideal:.1%} of the ideal {ideal:.0f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
