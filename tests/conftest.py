"""Real but tiny parts, built here: a byte-level BPE tokenizer and a Llama; the embedded backbone where prepared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = [
    "Thought: I need to find who wrote it.\nAction: search[a book]\nObservation: A book by Y.\nAction: finish[Y]\n"
]


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE tokenizer of about 300 tokens with a ChatML template; ``<|im_end|>`` ends turns."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_TEXT, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<pad>"
    )
    fast.chat_template = CHATML
    return fast


@pytest.fixture(scope="session")
def tiny_folder(tokenizer, tmp_path_factory):
    """A model folder: a two-layer Llama with grouped heads and random weights, and ``tokenizer``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """``tiny_folder`` as a Backbone in chat format."""
    from fireact.models.backbone import Backbone

    return Backbone("tiny", "fireact/tiny", path=str(tiny_folder), format="chat")


@pytest.fixture(scope="session")
def smollm2():
    """The embedded backbone; skips where nobody has prepared it."""
    from fireact.models.backbone import Backbone

    folder = ROOT / ".cache" / "backbones" / "smollm2_135m"
    if not folder.is_dir():
        pytest.skip("the embedded backbone is not prepared; run: python -m fireact.models.backbone")
    return Backbone("smollm2_135m", "HuggingFaceTB/SmolLM2-135M-Instruct", path=str(folder), format="chat")


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; skips where it is missing."""
    folder = Path(os.environ.get("FIREACT_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not (folder / "hotpotqa").is_dir():
        pytest.skip("the real data sets are not here; set FIREACT_DATA to their folder")
    return folder
