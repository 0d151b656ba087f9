"""How a chat template writes calls: found by having it say some and reading them back, never by knowing a model."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

from fireact.errors import ConfigError
from fireact.formats import readers
from fireact.formats.base import Thinking
from fireact.formats.chat import chat_format
from fireact.formats.native import NativeFormat
from fireact.trajectories.dialogue import Dialogue, Turn, reasoning_block
from fireact.trajectories.records import FINISH, Step
from fireact.trajectories.tool_schema import ToolSchema

_TAG = re.compile(r"</?[a-z]+(?:_[a-z]+)*>")  # such as <tool_response>: nothing from outside may end one
_A, _B = (ToolSchema(name, f"about {name}", '{"type": "object", "properties": {"key": {"type": "string"}}}')
          for name in ("first_tool", "second_tool"))  # fmt: skip
_SHOWS_NONE = "+backbone.chat_template=hermes, which says them in a documented way, or backbone.format=chat"


def native_format(tokenizer: Any, thinking: Thinking, args: Mapping[str, Any]) -> NativeFormat:
    """The tokenizer's template with tools.

    Raises:
        ConfigError: there is no template, it shows no tools, calls or results, or writes calls in no way that is known.
    """
    chat = chat_format(tokenizer, thinking, args)
    parts = {field.name: getattr(chat, field.name) for field in fields(chat)}
    tags = tuple(sorted({*_TAG.findall(chat.template.source)} - {*chat.specials}))
    form = partial(NativeFormat, **parts, has_several=True, tags=tags)
    asked = Dialogue("«U1»", tools=(_A, _B))
    bare = form(reader="", read=readers.hermes, call_end="", has_thoughts=True, as_text=False)
    shown = bare.context(asked)
    if not all(tool.name in shown and tool.description in shown for tool in asked.tools):
        raise ConfigError(f"this backbone's chat template shows the model no tools; use {_SHOWS_NONE}")
    own = readers.of_tokenizer(tokenizer, shown)
    ways = {**({"its own": own} if own else {}), **readers.READERS}
    why = ConfigError(f"this backbone's chat template writes calls in no way that can be read; use {_SHOWS_NONE}")
    for as_text in (False, True):
        bare = replace(bare, as_text=as_text)
        try:
            ended = replace(bare, call_end=_call_end(bare, asked))
        except ConfigError as error:  # some take arguments as an object alone, some as text
            why = error if not as_text else why
            continue
        for reader, read in ways.items():
            for thoughts in (True, False):
                found = replace(ended, reader=reader, read=read, has_thoughts=thoughts)
                if _reads(found, asked, ("", "«T1»" if thoughts else ""), ("a",)):
                    return _finished(found, asked)
    raise why


def _finished(form: NativeFormat, asked: Dialogue) -> NativeFormat:
    """The format, told whether a turn may hold several calls."""
    if form.thinking == "keep" and not _reads(form, asked, (reasoning_block("«R1»").strip(),), ("a",)):
        raise ConfigError("this backbone's chat template shows no reasoning before calls; set backbone.thinking=none")
    return replace(form, has_several=_reads(form, asked, ("",), ("a", "b")))



def _call_end(form: NativeFormat, asked: Dialogue) -> str:
    """The control token that ends a turn with a call, whatever follows it; empty where the turn's own text does."""
    called = replace(asked, turns=(_turn("", "«X1»", "«O1»"),))
    at_end = form.said(called).rpartition("«X1»")[2]
    result = form.context(called)
    after, found, _ = result.rpartition("«X1»")[2].partition("«O1»")
    if "«X1»" not in result or not found:
        raise ConfigError(f"this backbone's chat template leaves out calls or what they find; use {_SHOWS_NONE}")
    always = os.path.commonprefix([at_end, after])
    places = [(always.rfind(token) + len(token), token) for token in form.specials if token in always]
    return max(places, default=(0, ""))[1]


def _reads(form: NativeFormat, asked: Dialogue, thoughts: Sequence[str], arguments: Sequence[str]) -> bool:
    """Whether turns with these calls, and an answer, are read back as they were said."""
    answer = Turn("", None, step=Step("", FINISH, "an answer\nin two lines"))
    for thought in thoughts:
        turns = [_turn("" if place else thought, argument, "«O1»", place) for place, argument in enumerate(arguments)]
        for said in (turns, [*turns, answer]):
            begin = [0, *form.ends(said)][-2]
            try:
                reply = form.reply(replace(asked, turns=tuple(said)))
            except ConfigError:
                return False
            end = next((token for token in form.end_tokens if reply.endswith(token)), "")
            reasoning, spoken = form.heard(reply.removesuffix(end) if end else reply)
            text = form.kept(reasoning) + form.cut(spoken).strip()
            if form.steps(text, asked) != tuple(turn.step for turn in said[begin:]):
                return False
    return True


def _turn(thought: str, argument: str, observation: str, place: int = 0) -> Turn:
    return Turn("", observation, step=Step(thought, (_A, _B)[place].name, argument, continues=place > 0))
