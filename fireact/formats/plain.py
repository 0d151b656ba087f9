"""Text that simply goes on: the ReAct layout of the field and the Alpaca template of the released data.

A HotpotQA episode in the Alpaca template, targets in «»::

    Below is an instruction … ### Instruction:\\nWho wrote X?\\n\\n### Response:\\n
    «Thought: I need to find X.\\nAction: search[X]\\n»Observation: X is a book by Y.\\n
    «Thought: Y wrote it.\\nAction: finish[Y]\\n</s>»
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact.errors import ConfigError
from fireact.formats.base import Thinking, Tokenizer, asked_text, control_tokens, inert, one_line
from fireact.formats.whole import WholeFormat
from fireact.trajectories.dialogue import STOP, THINK, Dialogue, Turn, reasoned, reasoning_block, split_reasoning

_REACT_HEAD = "{few_shot}Question: {question}\n"
_ALPACA_HEAD = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:\n"
)
HEADS = {"react": _REACT_HEAD, "alpaca": _ALPACA_HEAD}
_TURN_END = "\n"


@dataclass(frozen=True, eq=False)
class PlainFormat(WholeFormat):
    """The layout called ``name``, one of ``HEADS``, whose turns end with their line."""

    name: str
    end_of_text: str
    specials: tuple[str, ...]
    end_token: str = ""
    stop_texts: tuple[str, ...] = (STOP,)

    def context(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``."""
        return plain_text(dialogue, self.name, self.specials, self.thinking)

    def reply(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``."""
        return _said(dialogue.turns[-1], self.specials, self.thinking)

    def ending(self) -> str:
        """The end token, which the model must learn to say."""
        return self.end_of_text

    def heard(self, text: str, prefill: str = "") -> tuple[str, str]:
        """See ``TextFormat``."""
        return ("", text) if prefill else reasoned(text)

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        reasoning, spoken = self.heard(text)
        return spoken == said + _TURN_END and (not reasoning or self.thinking == "keep")


def plain_format(name: str, tokenizer: Tokenizer, thinking: Thinking) -> PlainFormat:
    """The layout called ``name``, one of ``HEADS``, bound to ``tokenizer``.

    Raises:
        ConfigError: the tokenizer has no end token.
    """
    if tokenizer.eos_token is None:
        raise ConfigError("the tokenizer has no end token, so no turn could end; use another backbone")
    return PlainFormat(
        tokenizer, thinking, _prefix(tokenizer), name, tokenizer.eos_token, control_tokens(tokenizer)
    )


def plain_text(dialogue: Dialogue, name: str, specials: Sequence[str], thinking: Thinking = "none") -> str:
    """The dialogue so far in the layout called ``name``, its prefill not included."""
    head = HEADS[name].replace("{few_shot}", dialogue.few_shot and dialogue.few_shot + "\n\n")
    text = [head.replace("{question}", inert(asked_text(dialogue), specials))]
    for turn in dialogue.turns:
        text.append(_said(turn, specials, thinking))
        if turn.observation is not None:
            text.append(f"Observation: {inert(one_line(turn.observation), specials)}\n")
    return "".join(text)


def _said(turn: Turn, specials: Sequence[str], thinking: Thinking) -> str:
    reasoning, spoken = split_reasoning(turn.text)
    block = reasoning_block(inert(reasoning, [*specials, *THINK])) if thinking == "keep" else ""
    return block + inert(spoken, specials) + _TURN_END


def _prefix(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that the tokenizer puts before every text by itself: a begin token, or two as GLM's does."""
    bare = list(tokenizer("a", add_special_tokens=False).input_ids)
    whole = list(tokenizer("a", add_special_tokens=True).input_ids)
    places = (at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
    return tuple(whole[: next(places, 0)])
