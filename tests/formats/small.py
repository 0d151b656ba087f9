"""Small tokenizers and chat templates of each kind that real ones are of."""

from __future__ import annotations

import string
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fireact.trajectories.dialogue import Dialogue, Turn, reasoning_block

MARKS = ["<|im_start|>", "<|im_end|>", "<|channel|>", "<|message|>", "<|return|>", "<|user|>", "<|end|>"]
_TEXT = ["Question: Who wrote Emma?\nThought: I need Emma.\nAction: search[Emma]\nObservation: Emma is a book\n"
         "Action: finish[Jane Austen]\n<think>\n\n</think>\n\n"]  # fmt: skip
_OPEN = "<|im_start|>assistant\n"
_EACH = "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% else %}"
_SPEAK = "{% endif %}{% endfor %}{% if add_generation_prompt %}" + _OPEN + "{% endif %}"
_DROPPED = "{{ m.content.split('</think>')[-1].lstrip('\n') }}<|im_end|>\n"
CHATML = _EACH + _OPEN + "{{ m.content }}<|im_end|>\n" + _SPEAK
# Name → template, and whether a trajectory is one row (with ``thinking`` none, with keep).
TEMPLATES = {
    "ChatML": (CHATML, True, True),
    "a day": ("<|im_start|>system\n{{ strftime_now('%d %b %Y') }}<|im_end|>\n" + CHATML, True, True),
    "no generation prompt": (CHATML.replace("{% if add_generation_prompt %}" + _OPEN + "{% endif %}", ""), True, True),
    "drops its think block": (
        _EACH + _OPEN + "{% if loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}" + _DROPPED
        + "{% endif %}{% endfor %}{% if add_generation_prompt %}" + _OPEN
        + "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}", False, False,
    ),
    "opens a think block": (_EACH + _OPEN + _DROPPED + _SPEAK.replace(_OPEN, _OPEN + "<think>\n"), False, False),
    "channels": (
        _EACH + _OPEN + "{% if m.thinking and loop.last %}<|channel|>analysis<|message|>{{ m.thinking }}<|end|>" + _OPEN
        + "{% endif %}<|channel|>final<|message|>{{ m.content }}"
        + "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}" + _SPEAK,
        False, False,
    ),
    "parts": (_EACH.replace("m.content", "m.content[0].text") + _OPEN + "{{ m.content[0].text }}<|im_end|>\n" + _SPEAK,
              True, True),
    "the user's mark ends a turn": (
        "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}{% else %}<|channel|>"
        "{{ m.content | trim }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|channel|>{% endif %}", True, True,
    ),
    "moves the last question": (
        "{% for m in messages %}{% if not loop.last or m.role != 'user' %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|user|>{{ messages[-1].content }}"
        "<|im_end|>\n" + _OPEN + "{% endif %}", False, False,
    ),
}  # fmt: skip


def byte_level() -> Any:
    """Byte-level BPE, whose words begin with their space, as GPT-2's and all that came of it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    return _trained(bpe, pre_tokenizers.ByteLevel.alphabet())


def sentencepiece() -> Any:
    """As Llama 2's: a space before every text, line breaks apart; the begin token stands before every text."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    return _trained(_spaced(bpe), [*string.printable, "▁"], begin=True)


def merging() -> Any:
    """One that merges over every seam: line ends with what follows them too."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Replace(" ", "▁")
    return _trained(_spaced(bpe), [*string.printable, "▁"])


TOKENIZERS = {"byte level": byte_level, "SentencePiece": sentencepiece, "merging": merging}


def _spaced(bpe: Tokenizer) -> Tokenizer:
    bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return bpe


def _trained(bpe: Tokenizer, alphabet: list[str], begin: bool = False) -> Any:
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<s>", "</s>", *MARKS], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_TEXT * 3, trainer)
    if begin:
        from tokenizers.processors import TemplateProcessing

        bpe.post_processor = TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")


def episode(reasons: bool = False) -> Dialogue:
    """Three turns; what is reasoned before them holds an action line, which must not count."""
    thoughts = ("Whose?\nAction: search[no]", "Not said.", "I know.") if reasons else ("",) * 3
    texts = ("Thought: I need Emma.\nAction: search[Emma]", "Action: search[Jane Austen]",
             "Thought: Austen wrote it.\nAction: finish[Jane Austen]")  # fmt: skip
    told = ("Emma is a book", "Jane Austen  wrote\nEmma", None)
    blocks = map(reasoning_block, thoughts)
    turns = (Turn(block + text, answer) for block, text, answer in zip(blocks, texts, told, strict=True))
    return Dialogue("Who wrote Emma?", turns=tuple(turns))
