"""What is fetched of a model on the hub."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fireact.errors import ModelError
from fireact.models import hub as model_hub
from fireact.models.hub import fetched, hub_answers, to_fetch
from tests import hub
from tests.faulty.server import Server, drip, silence, then

REVISION = "a" * 40
FILES = [
    "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja", "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors", "model.safetensors.index.json",
]  # fmt: skip
COPIES = [
    "consolidated.safetensors", "consolidated.00.pth", "original/model.safetensors", "original/params.json",
    "original/tokenizer.model", "metal/model.bin", "onnx/model.safetensors", "README.md",
]  # fmt: skip


def test_each_weight_is_fetched_once(tmp_path, monkeypatch):
    contents = {f"x/y/{name}": name.encode() for name in (*FILES, *COPIES)}
    with hub.serving(contents, REVISION) as (endpoint, asked):
        hub.use(monkeypatch, endpoint, tmp_path)
        folder = Path(fetched("y", "x/y", None))
    got = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert got == sorted(FILES)
    assert not [line for line in asked if any(name in line for name in COPIES)]


@pytest.mark.parametrize(
    "faulty", [silence, drip(b"HTTP/1.1 200 OK\r\n"), then(b"HTTP/1.1 200 OK\r\n", drip(b"x: 1\r\n", 0.01))]
)
def test_a_hub_that_never_ends_does_not_answer(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr(model_hub, "_PATIENCE_S", 0.2)
    with Server(lambda *_: faulty) as server:
        hub.use(monkeypatch, server.url, tmp_path)
        started = time.monotonic()
        assert not hub_answers()
    assert time.monotonic() - started < 1


def test_a_hub_that_stops_answering_is_left_at_the_deadline(tmp_path, monkeypatch):
    """What it says of a model, and then a file, comes byte by byte."""
    monkeypatch.setattr(model_hub, "hub_answers", lambda: True)
    monkeypatch.setattr(model_hub, "_WHOLE_S", 0.2)
    with Server(lambda *_: then(b"HTTP/1.1 200 OK\r\n\r\n", drip(b" ", 0.01))) as server:
        hub.use(monkeypatch, server.url, tmp_path / "a")
        started = time.monotonic()
        with pytest.raises(ModelError, match="can't be fetched from the model hub"):
            to_fetch({"name": "y", "hub": "x/y"})
        monkeypatch.setattr(model_hub, "of_download", lambda _: 0.2)
        monkeypatch.setattr(model_hub, "hf_hub_download", lambda *_, **__: time.sleep(5))
        listed = model_hub.ModelInfo(id="x/y", sha=REVISION, siblings=[{"rfilename": "config.json"}])
        monkeypatch.setattr(model_hub, "_listed", lambda *_: listed)
        with pytest.raises(ModelError, match="can't be fetched from the model hub"):
            fetched("y", "x/y", None)
    assert time.monotonic() - started < 2
