"""Text that simply goes on: the ReAct layout of the field and the Alpaca template of the released data.

A HotpotQA episode in the Alpaca template, targets in «»::

    Below is an instruction … ### Instruction:\\nWho wrote X?\\n\\n### Response:\\n
    «Thought: I need to find X.\\nAction: search[X]\\n»Observation: X is a book by Y.\\n
    «Thought: Y wrote it.\\nAction: finish[Y]\\n</s>»
"""

from __future__ import annotations

from dataclasses import dataclass

from fireact.errors import ConfigError
from fireact.formats.base import Segment, Tokenizer, control_tokens, inert, one_line
from fireact.trajectories.dialogue import STOP, Dialogue

_REACT_HEAD = "{few_shot}Question: {question}\n"
_ALPACA_HEAD = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:\n"
)
HEADS = {"react": _REACT_HEAD, "alpaca": _ALPACA_HEAD}


@dataclass(frozen=True, slots=True)
class PlainFormat:
    """Text that simply goes on: the ReAct layout of the field and the Alpaca template of the released data."""

    head: str
    begin: str
    end_token: str
    specials: tuple[str, ...]
    terminator: str = "\n"
    stop_texts: tuple[str, ...] = (STOP,)

    def segments(self, dialogue: Dialogue) -> list[Segment]:
        """See ``TextFormat``."""
        head = self.head.replace("{few_shot}", dialogue.few_shot and dialogue.few_shot + "\n\n")
        out = [Segment(self.begin + head.replace("{question}", inert(dialogue.question, self.specials)))]
        for turn in dialogue.turns:
            out.append(Segment(inert(turn.text, self.specials) + self.terminator, True, turn.ids))
            if turn.observation is not None:
                out.append(Segment(f"Observation: {inert(one_line(turn.observation), self.specials)}\n"))
        return [*out, Segment(dialogue.opening)] if dialogue.opening else out

    def end(self) -> list[Segment]:
        """The end token, which the model must learn to say."""
        return [Segment(self.end_token, True)]

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        return text == said + self.terminator


def plain_format(name: str, tokenizer: Tokenizer) -> PlainFormat:
    """The layout called ``name``, one of ``HEADS``, bound to ``tokenizer``.

    Raises:
        ConfigError: the tokenizer has no end token.
    """
    if tokenizer.eos_token is None:
        raise ConfigError("the tokenizer has no end token, so no turn could end; use another backbone")
    return PlainFormat(HEADS[name], _begin(tokenizer), tokenizer.eos_token, control_tokens(tokenizer))


def _begin(tokenizer: Tokenizer) -> str:
    """The begin token, where the tokenizer puts one before every text by itself."""
    ids = tokenizer("", add_special_tokens=True).input_ids
    begin = getattr(tokenizer, "bos_token", None)
    return begin if begin and ids and ids[0] == tokenizer(begin, add_special_tokens=False).input_ids[-1] else ""
