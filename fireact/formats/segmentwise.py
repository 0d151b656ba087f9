"""How adapters of before were trained: every stretch of text encoded on its own.

Their chat template is taken apart into four strings between which contents stand. An adapter whose folder names no
encoding was trained so, and acts so; nothing new is.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fireact.errors import ConfigError
from fireact.formats.base import Example, ReActTurns, Segment, Tokenizer, asked_text, control_tokens, inert, one_line
from fireact.formats.plain import HEADS
from fireact.trajectories.dialogue import STOP, Dialogue


@dataclass(frozen=True, eq=False)
class SegmentFormat(ReActTurns):
    """A ``TextFormat``: ``before`` question ``to_model`` turn ``terminator`` ``to_user`` observation ``to_model`` …,
    and ``ending`` at the end. Turns of the model end in ``end_token`` where that is not empty."""

    tokenizer: Tokenizer
    before: str
    to_model: str
    terminator: str
    end_token: str
    to_user: str
    ending: str
    specials: tuple[str, ...]
    is_chat: bool

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return (STOP, self.terminator) if self.is_chat and not self.end_token else (STOP,)

    def prompt(self, dialogue: Dialogue) -> list[int]:
        """See ``TextFormat``."""
        said = [(segment, turn_ids) for segment, turn_ids in self._segments(dialogue)]
        said += [(Segment(dialogue.prefill), None)] if dialogue.prefill else []
        return [number for segment, ids in said for number in (self._ids(segment.text) if ids is None else ids)]

    def examples(self, dialogue: Dialogue, finished: bool, everything: bool = False) -> list[Example]:
        """See ``TextFormat``; one at most."""
        learnt = not dialogue.turns or dialogue.turns[-1].learnt
        segments = [segment for segment, _ in self._segments(dialogue)]
        while not everything and segments and not segments[-1].target:
            segments.pop()
        segments += [Segment(self.ending, True)] if finished and self.ending and learnt else []
        pieces = [self._ids(segment.text) for segment in segments]
        targets = [segment.target for segment, ids in zip(segments, pieces, strict=True) for _ in ids]
        barred = [segment.barred for segment, ids in zip(segments, pieces, strict=True) for _ in ids]
        ids = tuple(number for piece in pieces for number in piece)
        example = Example(ids, tuple(targets), tuple(segments), tuple(barred) if any(barred) else ())
        return [] if dialogue.turns and not any(segment.target for segment in segments) else [example]

    def heard(self, text: str, prefill: str = "") -> tuple[str, str]:
        """See ``TextFormat``; these models do not reason apart."""
        return "", text

    def kept(self, reasoning: str) -> str:
        """See ``TextFormat``."""
        return ""

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        if not self.end_token:
            return text == said + self.terminator
        return end == self.end_token and text.endswith(self.terminator.removesuffix(end))

    def _segments(self, dialogue: Dialogue) -> list[tuple[Segment, tuple[int, ...] | None]]:
        """What is said so far, and the ids that a turn was generated with."""
        few_shot, question = dialogue.few_shot, inert(asked_text(dialogue), self.specials)
        if self.is_chat:
            asked = inert("\n\n".join(filter(None, [few_shot, asked_text(dialogue)])), self.specials)
            head = self.before + asked + self.to_model
        else:
            head = self.before.replace("{few_shot}", few_shot and few_shot + "\n\n").replace("{question}", question)
        out: list[tuple[Segment, tuple[int, ...] | None]] = [(Segment(head), None)]
        for turn in dialogue.turns:
            said = inert(turn.text, self.specials) + self.terminator
            out.append((Segment(said, turn.learnt, not turn.learnt), turn.ids))
            if turn.observation is not None:
                observation = inert(one_line(turn.observation), self.specials)
                out.append((Segment(f"{self.to_user}Observation: {observation}{self.to_model}"), None))
        return out

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


def segment_format(name: str, tokenizer: Any) -> SegmentFormat:
    """The format called ``name`` (react, alpaca or chat) as it was.

    Raises:
        ConfigError: the tokenizer has no end token, or no chat template whose turns can be told apart.
    """
    specials = control_tokens(tokenizer)
    if name == "chat":
        return _chat(tokenizer, specials)
    if tokenizer.eos_token is None:
        raise ConfigError("the tokenizer has no end token, so no turn could end; use another backbone")
    head = _begin(tokenizer) + HEADS[name]
    return SegmentFormat(tokenizer, head, "\n", "\n", "", "", tokenizer.eos_token, specials, is_chat=False)


def _begin(tokenizer: Any) -> str:
    """The begin token, where the tokenizer puts one before every text by itself."""
    ids = tokenizer("", add_special_tokens=True).input_ids
    begin = getattr(tokenizer, "bos_token", None)
    return begin if begin and ids and ids[0] == tokenizer(begin, add_special_tokens=False).input_ids[-1] else ""


def _chat(tokenizer: Any, specials: tuple[str, ...]) -> SegmentFormat:
    """Marked contents are rendered once, and what lies between the marks is read off."""
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("this backbone's tokenizer has no chat template; use backbone.format=alpaca")
    marks = {"«U1»": "user", "«A1»": "assistant", "«U2»": "user"}
    messages = [{"role": role, "content": mark} for mark, role in marks.items()]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    parts = re.split("|".join(marks), text)
    if len(parts) != 4 or parts[1] != parts[3]:
        raise ConfigError("this backbone's chat template is not one that this adapter can have been trained with; act "
                          "with the tokenizer in its folder, or tune it again")
    before, to_model, after_model, _ = parts
    at_end = tokenizer.apply_chat_template(messages[:2], tokenize=False).split(messages[1]["content"])[-1]
    terminator, end_token = _turn_end(after_model, at_end, specials)
    inert_texts = specials if end_token else (*specials, terminator)
    to_user = after_model.removeprefix(terminator)
    return SegmentFormat(tokenizer, before, to_model, terminator, end_token, to_user, "", inert_texts, is_chat=True)


def _turn_end(before_user: str, at_end: str, specials: Sequence[str]) -> tuple[str, str]:
    """What ended each turn of the model, up to the first control token; and that token, if any."""
    always = os.path.commonprefix([before_user, at_end])
    if found := [(always.index(token), -len(token), token) for token in specials if token in always]:
        place, _, token = min(found)
        return always[:place] + token, token
    if always.strip():
        return always.rstrip(), ""
    for token in specials:
        if before_user.startswith(token):
            return token, token
    raise ConfigError("this backbone's chat template marks no end of the model's turns; use backbone.format=alpaca")
