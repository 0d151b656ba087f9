"""What a format is: a dialogue as segments of text, each either context (what the environment said) or target (what the
model must say).

Every segment is tokenised on its own, so the prompt that an acting model sees is, token for token, a prefix of the row
it was trained on, and the loss mask needs no searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fireact.trajectories.dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text that is wholly target or wholly context; ``ids`` override its tokenisation."""

    text: str
    target: bool = False
    ids: tuple[int, ...] | None = None


class Tokenizer(Protocol):
    """What rendering needs of a Hugging Face tokenizer."""

    all_special_tokens: list[str]
    added_tokens_decoder: dict[int, Any]
    eos_token: str | None

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Any: ...

    def __hash__(self) -> int: ...


class TextFormat(Protocol):
    """A text layout bound to one tokenizer.

    ``terminator`` ends each turn of the model and is a target. ``end_token`` is the control token that the model says
    nothing after, whatever the tokenizer's own end token is; empty where turns end in plain text. Generation stops at
    it and at each of ``stop_texts``.
    """

    @property
    def terminator(self) -> str: ...

    @property
    def end_token(self) -> str: ...

    @property
    def stop_texts(self) -> tuple[str, ...]: ...

    def segments(self, dialogue: Dialogue) -> list[Segment]:
        """The dialogue so far, ending where the model speaks next (or, after an open last turn, with that turn)."""
        ...

    def end(self) -> list[Segment]:
        """What closes a finished dialogue in a training row."""
        ...

    def closed(self, said: str, text: str, end: str) -> bool:
        """Whether a generated ``text``, of which ``said`` is kept, ended as turns do in training.

        ``end`` is the control token that followed it; empty if none did.
        """
        ...


def encode(segments: Sequence[Segment], tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Token ids and, for each, whether it is a target; both of length T."""
    ids: list[int] = []
    targets: list[bool] = []
    for segment in segments:
        if segment.ids is not None:
            piece: Sequence[int] = segment.ids
        else:
            piece = tokenizer(segment.text, add_special_tokens=False).input_ids
        ids.extend(piece)
        targets.extend([segment.target] * len(piece))
    return ids, targets


def control_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Every text that the tokenizer would take for a control token, longest first; some have no named role."""
    unnamed = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(unnamed | set(tokenizer.all_special_tokens), key=lambda token: (-len(token), token)))


def one_line(text: str) -> str:
    """An observation is one line, so nothing in it can pass for a thought or an action."""
    return " ".join(text.split())


def inert(text: str, specials: Sequence[str]) -> str:
    """``text`` with a zero-width space inside every control token it spells out, so that none takes effect."""
    for token in specials:
        if token in text:
            text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text
