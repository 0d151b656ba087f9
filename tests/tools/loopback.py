"""A loopback server that replays the answers of a search service, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fireact.tools.http import Limits

QUICK = Limits(timeout=5, retries=2, backoff=0.001, longest_wait=5, per_second=10_000, connections=4)


class Service:
    """Gives ``answers`` in turn, the last one for ever; each is a JSON value or (status, body, headers)."""

    def __init__(self) -> None:
        self.answers: list[Any] = [{}]
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.pending = self.most = 0
        self.gate = threading.Event()  # closed, requests wait for each other
        self.gate.set()
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, address: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        with self.lock:
            self.asked.append({key: values[0] for key, values in parse_qs(urlsplit(address).query).items()})
            self.headers.append(headers)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.pending += 1
            self.most = max(self.most, self.pending)
        self.gate.wait(5)
        with self.lock:
            self.pending -= 1
        status, body, extra = answer if isinstance(answer, tuple) else (200, answer, {})
        return status, body if isinstance(body, bytes) else json.dumps(body).encode(), extra
