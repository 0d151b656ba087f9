"""The one place that knows how a trajectory is said to a model, for acting and for learning alike."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from fireact.errors import ConfigError
from fireact.formats.base import TextFormat, Thinking, Tokenizer
from fireact.formats.chat import chat_format
from fireact.formats.plain import HEADS, plain_format
from fireact.formats.rendered_calls import native_format
from fireact.formats.segmentwise import segment_format

WHOLE, SEGMENTS = "whole", "segments"
"""How prompts are encoded: as whole texts, or, by adapters whose folder names no encoding, stretch by stretch."""


def text_format(
    name: str,
    tokenizer: Tokenizer,
    thinking: Thinking = "none",
    template_args: Mapping[str, Any] | None = None,
    encoding: str = WHOLE,
) -> TextFormat:
    """The format called ``name`` (react, alpaca, chat or tools) bound to ``tokenizer``.

    Args:
        thinking: see ``Thinking``.
        template_args: what the chat template is given besides, such as ``enable_thinking``; its ``date`` is the day
            that the template takes for today.
        encoding: ``WHOLE`` or ``SEGMENTS``.

    Raises:
        ConfigError: the name is unknown, or the tokenizer has no usable chat template or, for the others, no end token.
    """
    if name not in ("chat", "tools", *HEADS):
        raise ConfigError(f"backbone.format={name} is unknown; choose react, alpaca, chat or tools")
    args = json.dumps(dict(template_args or {}), sort_keys=True)
    ends = f"{tokenizer.eos_token} {getattr(tokenizer, 'chat_template', None)}"
    return _text_format(name, tokenizer, ends, thinking, args, encoding)


@functools.lru_cache(maxsize=8)
def _text_format(
    name: str, tokenizer: Tokenizer, _ends: str, thinking: Thinking, args: str, encoding: str
) -> TextFormat:
    """One format for all cells of a sweep, so that their rows are made once; ``_ends`` tells when a tokenizer changed.
    """
    if encoding == SEGMENTS:
        if name == "tools":
            raise ConfigError("this adapter was trained before there was backbone.format=tools; choose its own format")
        return segment_format(name, tokenizer)
    if name in ("chat", "tools"):
        make = chat_format if name == "chat" else native_format
        return make(tokenizer, thinking, json.loads(args))
    return plain_format(name, tokenizer, thinking)
