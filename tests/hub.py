"""A hub on loopback that serves files of a data set or a model, as ``hf_hub_download`` and its like ask for them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants


@contextmanager
def serving(contents: dict[str, bytes], revision: str) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub and the paths that it has been asked for; ``contents`` by ``datasets/OWNER/NAME/PATH``."""
    asked: list[str] = []

    def listing(model: str, as_tree: bool) -> bytes:
        files = {path.removeprefix(f"{model}/"): len(content) for path, content in contents.items()
                 if path.startswith(f"{model}/")}  # fmt: skip
        tree = [{"type": "file", "path": file, "size": size, "oid": file} for file, size in files.items()]
        siblings = [{"rfilename": file, "size": size} for file, size in files.items()]
        return json.dumps(tree if as_tree else {"id": model, "sha": revision, "siblings": siblings}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            content = contents.get(self.path.lstrip("/").replace(f"/resolve/{revision}", ""))
            if self.path.startswith("/api/models/"):
                content = listing("/".join(self.path.partition("?")[0].split("/")[3:5]), "/tree/" in self.path)
            asked.append(f"{self.command} {self.path}")
            self.send_response(200 if content is not None else 404)
            if content is not None:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", revision)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if content is not None and self.command == "GET":
                self.wfile.write(content)

        do_GET = do_HEAD

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path, offline: bool = False) -> None:
    """What HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE would set, had they been there at the start."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                        endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
