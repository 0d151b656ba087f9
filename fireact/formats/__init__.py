"""The one place that knows how a trajectory is said to a model, for acting and for learning alike."""

from __future__ import annotations

from fireact.errors import ConfigError
from fireact.formats.base import TextFormat, Tokenizer
from fireact.formats.chat import chat_format
from fireact.formats.plain import HEADS, plain_format


def text_format(name: str, tokenizer: Tokenizer) -> TextFormat:
    """The format called ``name`` (react, alpaca or chat) bound to ``tokenizer``.

    Raises:
        ConfigError: the name is unknown, or the tokenizer has no usable chat template or, for the others, no end token.
    """
    if name == "chat":
        return chat_format(tokenizer)
    if name not in HEADS:
        raise ConfigError(f"backbone.format={name} is unknown; choose react, alpaca or chat")
    return plain_format(name, tokenizer)
