"""Every causal architecture of the pinned transformers: what of our ways to tune and to act gives its own numbers.

    python benchmarks/architectures.py                 writes docs/models.md; goes on where it was stopped
    python benchmarks/architectures.py qwen3 gpt_oss   tries these anew, and times them in processes of their own

Each is tried as ``fireact/models/probe.py`` tries it: on a float32 toy of its default configuration, built on the CPU
from the configuration alone, with the same classes and kinds of layers. Where the default configuration lacks what
every real one says, ``NEEDS`` adds it.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

DONE, PAGE = ROOT / ".cache" / "architectures.jsonl", ROOT / "docs" / "models.md"
BEGIN, END = "<!-- matrix: python benchmarks/architectures.py -->", "<!-- end of the matrix -->"
COLUMNS = ("loss", "padded", "packed", "merged", "generates", "engine", "shared", "together")
NEEDS: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [9, 18, 27]},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {"n_routed_experts": 128, "num_experts_per_tok": 6, "n_shared_experts": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "mamba", "attention", "mamba"] * 8},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "lfm2": {"layer_types": ["conv", "conv", "full_attention"] * 10 + ["conv", "conv"]},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention"] * 10 + ["conv", "conv"]},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
    "qwen2_5_vl": {"text_config": {"rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24]}}},
    "xmod": {"default_language": "en_XX", "is_decoder": True},
}
OF_ALL_KINDS = ("llava", "mistral3", "qwen2_5_vl", "qwen3_vl")  # that read images too, and have no class for text only


def tried(kind: str) -> dict[str, str]:
    """What became of each column, "pass" or why not, for the architecture called ``kind``."""
    import torch
    from transformers import AutoConfig

    from fireact.errors import FireActError
    from fireact.lms.huggingface.trial import Trial
    from fireact.models import probe
    from fireact.models.adapters import merges
    from fireact.models.backbone import Adapter, Backbone
    from fireact.models.check import generated
    from fireact.training import shortcuts

    torch.set_num_threads(1)
    adapter = Adapter("lora", "lora", targets="all-linear")
    with tempfile.TemporaryDirectory() as folder:
        try:
            config = AutoConfig.for_model(kind, **NEEDS.get(kind, {}))
            found = shortcuts.found(config, kind, folder)
        except FireActError as error:
            return {"loss": f"refused: {error}"}
        except Exception as error:
            return {"loss": f"untried: its default configuration can't be made ({_said(error)})"}
        verdicts = {"loss": found.loss, "padded": found.padded, "packed": found.packed}
        if found.loss.kind != "untried":
            verdicts["merged"] = merges(adapter, Backbone(kind, None, cache_dir=folder), config)
            verdicts["generates"] = probe.equal(config, "generates", generated, folder)
        said = {column: "pass" if each.exact else f"{each.kind}: {each.why}" for column, each in verdicts.items()}
        if found.loss.kind != "untried":
            ways = Trial(config, cache_dir=folder)
            acting = {"engine": ways.engine, "shared": ways.shared, "together": ways.together}
            said |= {column: f"off: {why}" if why else "pass" for column, why in acting.items()}
        return said


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def page(results: dict[str, dict[str, str]]) -> str:
    """The matrix as Markdown, and why each thing is off."""
    lines = ["| architecture | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 1) + "|"]
    notes: dict[str, list[str]] = {}
    for kind in sorted(results):
        cells = []
        for column in COLUMNS:
            word, _, why = results[kind].get(column, "").partition(": ")
            cells.append(word)
            if why:
                notes.setdefault(why.split("backbone ")[-1].removeprefix(kind + " "), []).append(f"{kind} {column}")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    lines += ["", "Why, by what was said:", ""]
    lines += [f"- {why}: {', '.join(places)}" for why, places in sorted(notes.items())]
    return "\n".join(lines)


def main(named: list[str]) -> None:
    """Try the architectures that are ``named``, or all that were not tried yet, and write the page."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    if named:
        for kind in named:
            script = (f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom benchmarks.architectures import *\n"
                      f"import torch, transformers, peft, fireact.training.module, fireact.models.adapters\n"
                      f"start = time.process_time(); said = tried({kind!r})\n"
                      f"print(round(time.process_time() - start, 2), said)")
            print(kind, subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip())
        return
    DONE.parent.mkdir(exist_ok=True)
    known = [json.loads(line) for line in DONE.read_text().splitlines()] if DONE.is_file() else []
    results = {kind: said for kind, said in known}
    for kind in sorted({*CAUSAL, *OF_ALL_KINDS} - set(results)):
        start = time.process_time()
        results[kind] = tried(kind)
        with DONE.open("a") as file:
            file.write(json.dumps([kind, results[kind]]) + "\n")
        print(f"{kind:28} {time.process_time() - start:5.1f} s  {results[kind]}", flush=True)
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)[0], text.split(END)[-1]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "torch", "peft"))
    PAGE.write_text(f"{head}{BEGIN}\n\n{versions}; {len(results)} architectures.\n\n{page(results)}\n\n{END}{rest}",
                    encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
