"""What a chat template puts around a turn of the model: found by rendering marked turns, never by knowing a model."""

from __future__ import annotations

import functools
import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fireact.errors import ConfigError
from fireact.formats.templates import Message, Template, refused
from fireact.trajectories.dialogue import THINK

_ASKED, _SAID, _TOLD, _REASONED = "«U1»", "«A1»", "«U2»", "«R1»"
_CLOSE = f"\n{THINK[1]}\n\n"  # how models that think after ``<think>\n`` end it


@dataclass(frozen=True, slots=True)
class Frame:
    """Around a turn of the model.

    Attributes:
        lead: what the model says before its content if it does not reason: nothing mostly, the end of a think block
            that the prompt has opened, or the name of a channel.
        think: what it says before and after its reasoning; content follows.
        is_field: whether the template takes reasoning apart from content.
        is_open: whether a prompt ends inside a think block.
        terminator: what ends the turn; it ends in ``end_token`` where that is not empty.
        at_end: what the template puts after the content of a last turn.
    """

    lead: str
    think: tuple[str, str]
    is_field: bool
    is_open: bool
    terminator: str
    end_token: str
    at_end: str

    def heard(self, text: str) -> tuple[str, str]:
        """(reasoning, content) of a generated text; no content while the reasoning has not ended."""
        begin, end = self.think
        if (ended := _loose(end).search(text)) is not None:
            return _after(begin, text[: ended.start()]).strip(), text[ended.end() :]
        reasoning = _after(begin, text)
        if self.is_open or (begin.strip() and reasoning != text):
            return reasoning.strip(), ""
        return "", _after(self.lead, text)


def _after(mark: str, text: str) -> str:
    """``text`` without the mark that it begins with, if it does."""
    found = _loose(mark).match(text.lstrip()) if mark.strip() else None
    return text if found is None else text.lstrip()[found.end() :]


@functools.cache
def _loose(mark: str) -> re.Pattern[str]:
    """``mark``, white space apart: SentencePiece's decoder puts some after control tokens."""
    parts = [re.escape(part) for part in re.split(r"(?<=>)(?=.)|\s+", mark.strip()) if part]
    return re.compile(r"\s*".join(parts))


def frame_of(template: Template, specials: Sequence[str]) -> tuple[Template, Frame]:
    """The template, set to take contents as it wants them, and its frame.

    Raises:
        ConfigError: it refuses a dialogue, leaves a turn out, or ends no turn of the model's.
    """
    try:
        dialogue = _rendered(template)
    except ConfigError:
        template = replace(template, parts=True)
        dialogue = _rendered(template)
    user, said = _user(_ASKED), {"role": "assistant", "content": _SAID}
    prompt, last = template.render([user], prompt=True), template.render([user, said], prompt=False)
    at_end = last.rpartition(_SAID)[2]
    after = dialogue.partition(_SAID)[2].partition(_TOLD)[0]
    terminator, end_token = _turn_end(after, at_end, specials)
    is_open = prompt.rstrip().endswith(THINK[0])
    field = _think(template, prompt, specials)
    if last.startswith(prompt):
        lead = last[len(prompt) :].partition(_SAID)[0]
    else:
        lead = (field or ("", _CLOSE))[1] if is_open else ""
    think = field or ("" if is_open else f"{lead}{THINK[0]}\n", _CLOSE)
    return template, Frame(lead, think, field is not None, is_open, terminator, end_token, at_end)


def takes_system(template: Template) -> bool:
    """Whether the template says a system message, once and before the question; some refuse or drop it."""
    try:
        text = template.render([{"role": "system", "content": _TOLD}, _user(_ASKED)], prompt=True)
    except ConfigError:
        return False
    return text.count(_TOLD) == 1 and text.count(_ASKED) == 1 and text.find(_TOLD) < text.find(_ASKED)


def _rendered(template: Template) -> str:
    """A question, a turn and what was observed, up to where the model speaks again."""
    text = template.render([_user(_ASKED), {"role": "assistant", "content": _SAID}, _user(_TOLD)], prompt=True)
    places = [text.find(mark) for mark in (_ASKED, _SAID, _TOLD)]
    if -1 in places or places != sorted(places):
        raise refused("leaves turns out")
    return text


def _think(template: Template, prompt: str, specials: Sequence[str]) -> tuple[str, str] | None:
    """What the template puts around reasoning, in turns with a call at least; None where it takes none apart."""
    said = {"role": "assistant", "content": _SAID, "reasoning_content": _REASONED}
    text = template.render([_user(_ASKED), said], prompt=False)
    if text.count(_REASONED) == 1 and text.startswith(prompt):
        before, _, after = text[len(prompt) :].partition(_REASONED)
        return before, after.partition(_SAID)[0]
    call = {"type": "function", "function": {"name": "search", "arguments": {"query": "x"}}}
    try:
        text = template.render([_user(_ASKED), {**said, "tool_calls": [call]}], prompt=False)
    except ConfigError:
        text = ""
    before, found, after = text.partition(_REASONED)
    if found and before.startswith(prompt) and (end := _first(after, specials)):
        return before[len(prompt) :], end[0]
    return None


def _turn_end(before_user: str, at_end: str, specials: Sequence[str]) -> tuple[str, str]:
    """What ends each turn of the model, up to the first control token; and that token, if any.

    Args:
        before_user: what follows a turn of the model before the user speaks again.
        at_end: what follows the last turn of a dialogue.
    """
    always = os.path.commonprefix([before_user, at_end])
    for text in (before_user, at_end):  # two control tokens may begin alike
        torn = [at for token in specials if (at := text.find(token)) >= 0 and at < len(always) < at + len(token)]
        always = always[: min(torn, default=len(always))]
    if found := _first(always, specials):
        return found
    whole = always if always == at_end else always[: always.rfind("\n") + 1]  # never the half of a mark
    if whole.strip():
        return whole.rstrip(), ""
    if found := _first(at_end, specials):  # gpt-oss ends its last turn with another token than those before
        return found
    for token in specials:  # some templates have nothing at the end, and the user's own token ends a turn before it
        if before_user.startswith(token):
            return token, token
    raise refused("marks no end of the model's turns")


def _first(text: str, specials: Sequence[str]) -> tuple[str, str] | None:
    """``text`` up to the end of the first control token in it, and that token."""
    places = [(text.index(token), -len(token), token) for token in specials if token in text]
    if not places:
        return None
    place, _, token = min(places)
    return text[:place] + token, token


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
