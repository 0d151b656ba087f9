from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

GOOD = Path(__file__).parent / "good_server.py"
collect_ignore_glob = [] if importlib.util.find_spec("mcp") else ["test_*.py"]


@pytest.fixture
def good_url() -> Iterator[str]:
    """The address of a well-behaved server on loopback."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    command = [sys.executable, str(GOOD), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


def is_alive(process: int, patience_s: float = 5.0) -> bool:
    """Whether there is such a process still, after some patience: one that is killed takes a moment to end."""
    deadline = time.monotonic() + patience_s
    while _is_there(process):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False


def _is_there(process: int) -> bool:
    """Zombies, for which nobody has waited, are none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
