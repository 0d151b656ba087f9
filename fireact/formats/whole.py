"""Prompts encoded as a whole, for layouts of every kind."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fireact.formats.base import Example, ReActTurns, Segment, Thinking, Tokenizer
from fireact.trajectories.dialogue import Dialogue, Turn, reasoning_block


@dataclass(frozen=True, eq=False)
class WholeFormat(ReActTurns, ABC):
    """A ``TextFormat`` by the texts of its prompts and replies; ``prefix`` are ids that every text begins with."""

    tokenizer: Tokenizer
    thinking: Thinking
    prefix: tuple[int, ...]

    @property
    def lead(self) -> str:
        """What the model says before a turn without reasoning; part of the prompt where the turn's begin is forced."""
        return ""

    @abstractmethod
    def context(self, dialogue: Dialogue) -> str:
        """The text after which the model speaks next, the dialogue's prefill not included."""

    @abstractmethod
    def reply(self, dialogue: Dialogue) -> str:
        """The last turn of ``dialogue`` as the model says it, to the end of the turn."""

    @abstractmethod
    def ending(self) -> str:
        """What the model says after the last turn of a finished dialogue."""

    def prompt(self, dialogue: Dialogue) -> list[int]:
        """See ``TextFormat``."""
        before = replace(dialogue, prefill="")
        ids, plain = _prompt(self, before)
        if dialogue.prefill:
            ids += self.next_ids(self.context(before), plain, self.lead + dialogue.prefill)
        return list(ids)

    def examples(self, dialogue: Dialogue, finished: bool, everything: bool = False) -> list[Example]:
        """See ``TextFormat``."""
        rows = [_Row()]
        turns, begin, learnt = dialogue.turns, 0, True
        for end in self.ends(turns):
            context = self.context(replace(dialogue, turns=turns[:begin]))
            ids = self.encode(context)
            if not rows[-1].goes_on(context, ids):
                rows.append(_Row(context, ids, barred=not all(turn.learnt for turn in turns[:begin])))
            learnt = all(turn.learnt for turn in turns[begin:end])
            reply = self.reply(replace(dialogue, turns=turns[:end]))
            rows[-1].say(reply, self.next_ids(context, ids, reply), learnt)
            begin = end
        if everything and turns and turns[-1].observation is not None:
            context = self.context(dialogue)
            ids = self.encode(context)
            if not rows[-1].goes_on(context, ids):
                rows.append(_Row(context, ids, barred=not all(turn.learnt for turn in turns)))
        if finished and (text := self.ending()):
            rows[-1].say(text, self._ids(text), learnt)
        examples = [row.example() for row in rows]
        if all(turn.learnt for turn in turns):
            return examples
        return [example for example in examples if any(segment.target for segment in example.segments)]

    def ends(self, turns: Sequence[Turn]) -> Sequence[int]:
        """After how many of ``turns`` each turn of the model ends."""
        return range(1, len(turns) + 1)

    def kept(self, reasoning: str) -> str:
        """See ``TextFormat``."""
        return reasoning_block(reasoning) if self.thinking == "keep" else ""

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a prompt."""
        return self.prefix + self._ids(text)

    def next_ids(self, context: str, ids: tuple[int, ...], text: str) -> tuple[int, ...]:
        """The token ids of ``text`` where it follows ``context``, whose own are ``ids``."""
        both = self.encode(context + text)
        if both[: len(ids)] == ids:
            return both[len(ids) :]
        # The tokenizer would merge across the seam, but a model that speaks next says tokens of its own. After a line
        # break, SentencePiece adds no space of its own to them.
        line, after = self._ids("\n"), self._ids("\n" + text)
        return after[len(line) :] if after[: len(line)] == line else self._ids(text)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)


class _Row:
    """An example as it grows; of a ``barred`` context, which shows what is not learnt, no token may be learnt."""

    def __init__(self, context: str = "", ids: tuple[int, ...] = (), barred: bool = False) -> None:
        self._text, self._ids, self._targets = context, ids, [False] * len(ids)
        self._segments = [Segment(context, barred=barred)] if context else []
        self._barred = [barred] * len(ids)

    def goes_on(self, context: str, ids: tuple[int, ...]) -> bool:
        """Take a next prompt in, if its ids begin with all that is here."""
        if ids[: len(self._ids)] != self._ids or not context.startswith(self._text):
            return False
        self._add(context[len(self._text) :], ids[len(self._ids) :], target=False)
        return True

    def say(self, text: str, ids: tuple[int, ...], learnt: bool) -> None:
        """Add what the model must say, or has said."""
        self._add(text, ids, target=learnt, barred=not learnt)

    def example(self) -> Example:
        barred = tuple(self._barred) if any(self._barred) else ()
        return Example(self._ids, tuple(self._targets), tuple(self._segments), barred)

    def _add(self, text: str, ids: tuple[int, ...], target: bool, barred: bool = False) -> None:
        self._text += text
        self._ids += ids
        self._targets += [target] * len(ids)
        self._barred += [barred] * len(ids)
        self._segments += [Segment(text, target, barred)] if text else []


@functools.lru_cache(maxsize=1024)
def _prompt(form: WholeFormat, dialogue: Dialogue) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(the prompt's ids with generated turns as they were generated, the ids of its text).

    The prompt of one turn less is mostly here already, since a dialogue asks for one after another.
    """
    plain = form.encode(form.context(dialogue))
    if not dialogue.turns:
        return plain, plain
    begin = ([0, *form.ends(dialogue.turns)])[-2]
    before = replace(dialogue, turns=dialogue.turns[:begin])
    ids, plain_before = _prompt(form, before)
    said = form.next_ids(form.context(before), plain_before, form.reply(dialogue))
    there = len(plain_before) + len(said)
    if plain[:there] != plain_before + said:
        return plain, plain
    generated = dialogue.turns[begin].ids
    return ids + (said if generated is None else generated) + plain[there:], plain
