"""What is fetched of a model on the hub."""

from __future__ import annotations

from pathlib import Path

from fireact.models.hub import fetched
from tests import hub

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
