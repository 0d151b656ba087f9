"""What a format is: how a dialogue is said to a model, as token ids to act on and as examples to learn from.

The prompt of an acting model is one text, encoded as a whole. What the model must say next is appended to it as token
ids. Where the next prompt's ids begin with all of that, one example goes on; where they don't, since a template drops
or moves what stood before or a tokenizer merges across the seam, the next turn is an example of its own, and its
context is the very prompt that an acting model sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fireact.trajectories.dialogue import Dialogue, cut_turn, turn_is_over
from fireact.trajectories.records import Step

Thinking = Literal["none", "keep"]
"""``none``: models are asked not to reason before a turn, and what they reason all the same is no part of the turn.
``keep``: it is kept with the turn, and learnt."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text that is wholly target (what the model must say) or wholly context; of one that is ``barred``
    nothing is learnt even where every token is."""

    text: str
    target: bool = False
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A training example of T tokens: ``ids`` (T,), whether each is a target (T,), and the same as text.

    ``barred`` (T,) says of tokens what it says of segments: they are of turns that are not ``learnt``. Empty for none.
    """

    ids: tuple[int, ...]
    targets: tuple[bool, ...]
    segments: tuple[Segment, ...]
    barred: tuple[bool, ...] = ()


class Tokenizer(Protocol):
    """What formats need of a Hugging Face tokenizer."""

    all_special_tokens: list[str]
    added_tokens_decoder: dict[int, Any]
    eos_token: str | None

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Any: ...

    def __hash__(self) -> int: ...


class TextFormat(Protocol):
    """A text layout bound to one tokenizer.

    ``end_token`` is the control token that the model says nothing after, whatever the tokenizer's own end token is;
    empty where turns end in plain text. Generation stops at it and at each of ``stop_texts``.
    """

    @property
    def end_token(self) -> str: ...

    @property
    def end_tokens(self) -> tuple[str, ...]:
        """Every control token that may end a turn of the model's, ``end_token`` included."""
        ...

    @property
    def stop_texts(self) -> tuple[str, ...]: ...

    def prompt(self, dialogue: Dialogue) -> list[int]:
        """The token ids (T,) after which the model speaks next; turns that it generated stand there as generated.

        Raises:
            ConfigError: the chat template refuses this dialogue.
        """
        ...

    def examples(self, dialogue: Dialogue, finished: bool, everything: bool = False) -> list[Example]:
        """The examples that teach every turn of ``dialogue`` that is ``learnt``, in order; none only if no turn is.

        Args:
            finished: whether the model must also learn that nothing follows.
            everything: whether what is observed after the last turn is there too; it teaches nothing to a model that
                learns its own words alone.

        Raises:
            ConfigError: the chat template refuses this dialogue.
        """
        ...

    def heard(self, text: str, prefill: str = "") -> tuple[str, str]:
        """(what the model reasoned before its turn, the turn) in a generated ``text`` that follows ``prefill``."""
        ...

    def kept(self, reasoning: str) -> str:
        """What of ``reasoning`` stays with the turn, as the text that the turn begins with; empty for nothing."""
        ...

    def closed(self, said: str, text: str, end: str) -> bool:
        """Whether a generated ``text``, of which the turn ``said`` is kept, ended as turns do in training.

        ``end`` is the control token that followed it; empty if none did.
        """
        ...

    def over(self, spoken: str) -> bool:
        """Whether nothing that the model says after ``spoken`` can change its turn any more."""
        ...

    def cut(self, spoken: str) -> str:
        """The turn in what the model spoke, without white space at its end."""
        ...

    def steps(self, text: str, dialogue: Dialogue, whole: bool = True) -> tuple[Step, ...] | None:
        """What a turn that reads ``text`` does in ``dialogue``; None where it is for the loop to read, as ReAct text.

        One that holds no call that can be read, nor an answer, is a step without an action; so is one that did not come
        to its end, which ``whole`` tells.
        """
        ...

    def unsaid(self, step: Step) -> bool:
        """Whether the thought of ``step``, its reasoning apart, has no place in this format."""
        ...

    def __hash__(self) -> int: ...


class ReActTurns:
    """The part of a ``TextFormat`` whose turns are ReAct text."""

    @property
    def end_tokens(self: TextFormat) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return (self.end_token,) if self.end_token else ()

    def over(self: TextFormat, spoken: str) -> bool:
        """See ``TextFormat``."""
        return turn_is_over(spoken, self.stop_texts)

    def cut(self: TextFormat, spoken: str) -> str:
        """See ``TextFormat``."""
        return cut_turn(spoken, self.stop_texts).rstrip()

    def steps(self, text: str, dialogue: Dialogue, whole: bool = True) -> tuple[Step, ...] | None:
        """See ``TextFormat``."""
        return None

    def unsaid(self, step: Step) -> bool:
        """See ``TextFormat``."""
        return False


def control_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Every text that the tokenizer would take for a control token, longest first; some have no named role."""
    unnamed = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(unnamed | set(tokenizer.all_special_tokens), key=lambda token: (-len(token), token)))


def asked_text(dialogue: Dialogue) -> str:
    """The question, after the system text where a layout has no other place for it."""
    return "\n\n".join(filter(None, [dialogue.system.strip(), dialogue.question]))


def one_line(text: str) -> str:
    """An observation is one line, so nothing in it can pass for a thought or an action."""
    return " ".join(text.split())


def inert(text: str, specials: Sequence[str]) -> str:
    """``text`` with a zero-width space inside every control token it spells out, so that none takes effect."""
    for token in specials:
        if token in text:
            text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text
