"""A tokenizer's own chat template."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fireact.errors import ConfigError
from fireact.formats.base import Segment, control_tokens, inert, one_line
from fireact.trajectories.dialogue import STOP, Dialogue


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """A tokenizer's own chat template, taken apart into the four strings between which contents stand.

    ``terminator`` ends in ``end_token`` where that is not empty.
    """

    before: str
    to_model: str
    terminator: str
    end_token: str
    to_user: str
    specials: tuple[str, ...]

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return (STOP,) if self.end_token else (STOP, self.terminator)

    def segments(self, dialogue: Dialogue) -> list[Segment]:
        """See ``TextFormat``; few-shot text and question form the first user turn."""
        question = inert("\n\n".join(filter(None, [dialogue.few_shot, dialogue.question])), self.specials)
        out = [Segment(self.before + question + self.to_model)]
        for turn in dialogue.turns:
            out.append(Segment(inert(turn.text, self.specials) + self.terminator, True, turn.ids))
            if turn.observation is not None:
                observation = inert(one_line(turn.observation), self.specials)
                out.append(Segment(f"{self.to_user}Observation: {observation}{self.to_model}"))
        return [*out, Segment(dialogue.opening)] if dialogue.opening else out

    def end(self) -> list[Segment]:
        """Nothing: each turn ends with its own terminator."""
        return []

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        if not self.end_token:
            return text == said + self.terminator
        return end == self.end_token and text.endswith(self.terminator.removesuffix(end))


def chat_format(tokenizer: Any) -> ChatFormat:
    """The tokenizer's template: marked contents are rendered once, and what lies between the marks is read off.

    Raises:
        ConfigError: there is no template, or turns of one can't be told apart so.
    """
    specials = control_tokens(tokenizer)
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("this backbone's tokenizer has no chat template; use backbone.format=alpaca")
    marks = {"«U1»": "user", "«A1»": "assistant", "«U2»": "user"}
    messages = [{"role": role, "content": mark} for mark, role in marks.items()]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    parts = re.split("|".join(marks), text)
    if len(parts) != 4:
        raise ConfigError("this backbone's chat template leaves turns out; use backbone.format=alpaca")
    before, to_model, after_model, to_model_again = parts
    if to_model != to_model_again:
        raise ConfigError("this backbone's chat template renders turns unevenly; use backbone.format=alpaca")
    at_end = tokenizer.apply_chat_template(messages[:2], tokenize=False).split(messages[1]["content"])[-1]
    terminator, end_token = _turn_end(after_model, at_end, specials)
    inert = specials if end_token else [*specials, terminator]
    return ChatFormat(before, to_model, terminator, end_token, after_model.removeprefix(terminator), tuple(inert))


def _turn_end(before_user: str, at_end: str, specials: Sequence[str]) -> tuple[str, str]:
    """What a template puts after each turn of the model, up to the first control token; and that token, if any.

    Args:
        before_user: what follows a turn of the model before the user speaks again.
        at_end: what follows the last turn of a dialogue.
    """
    always = os.path.commonprefix([before_user, at_end])
    if found := [(always.index(token), -len(token), token) for token in specials if token in always]:
        place, _, token = min(found)
        return always[:place] + token, token
    if always.strip():
        return always.rstrip(), ""
    for token in specials:  # some templates have nothing at the end, and the user's own token ends a turn before it
        if before_user.startswith(token):
            return token, token
    raise ConfigError("this backbone's chat template marks no end of the model's turns; use backbone.format=alpaca")
