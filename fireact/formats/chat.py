"""A tokenizer's own chat template: every prompt is its official text, and every reply what it says of a turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fireact.formats.base import Thinking, asked_text, control_tokens, inert, one_line
from fireact.formats.frames import Frame, frame_of, takes_system
from fireact.formats.templates import Message, Template, template_of
from fireact.formats.whole import WholeFormat
from fireact.trajectories.dialogue import STOP, THINK, Dialogue, Turn, reasoning_block, split_reasoning

_THINKS = ("enable_thinking", "thinking")  # what templates call the argument that asks for reasoning


@dataclass(frozen=True, eq=False)
class ChatFormat(WholeFormat):
    """The chat ``template``, and the ``frame`` that it puts around the model's turns; few-shot text and question form
    the first user turn."""

    template: Template
    frame: Frame
    specials: tuple[str, ...]
    has_system: bool  # whether the template says a system message of its own; else its text begins the first user's

    @property
    def end_token(self) -> str:
        """See ``TextFormat``."""
        return self.frame.end_token

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return (STOP,) if self.end_token else (STOP, self.frame.terminator)

    @property
    def lead(self) -> str:
        """See ``WholeFormat``."""
        return self.frame.lead

    def context(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``."""
        return self.template.render(self.messages(dialogue), prompt=True)

    def reply(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``; what the template makes of the turn, where its text goes on from the prompt.

        Where it doesn't (DeepSeek-R1's opens a think block in its prompt and shows none in its turns), the block is
        closed and the turn follows.
        """
        *before, last = dialogue.turns
        messages = self.messages(replace(dialogue, turns=tuple(before)))
        prompt = self.template.render(messages, prompt=True)
        whole = self.template.render([*messages, self._assistant(last)], prompt=False)
        reasoning, content = self._parts(last)
        frame = self.frame
        if whole.startswith(prompt) and whole.endswith(frame.at_end):
            said = whole[len(prompt) : len(whole) - len(frame.at_end)]
            if reasoning in said and said.endswith(content):
                return said + frame.terminator
        lead = frame.think[0] + reasoning + frame.think[1] if reasoning else frame.lead
        return lead + content + frame.terminator

    def ending(self) -> str:
        """Nothing: each turn ends with its own terminator."""
        return ""

    def heard(self, text: str, prefill: str = "") -> tuple[str, str]:
        """See ``TextFormat``."""
        return ("", text) if prefill else self.frame.heard(text)

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        reasoning, spoken = self.heard(text)
        if reasoning and self.thinking != "keep":
            return False
        terminator = self.frame.terminator
        if not self.end_token:
            return spoken.lstrip() == said + terminator
        return end == self.end_token and text.endswith(terminator.removesuffix(end))

    def messages(self, dialogue: Dialogue) -> list[Message]:
        """The dialogue so far as chat messages, without its prefill; no text in them takes effect as a control token.
        """
        messages = self._asked(dialogue)
        for turn in dialogue.turns:
            messages.append(self._assistant(turn))
            if turn.observation is not None:
                observation = inert(one_line(turn.observation), self.specials)
                messages.append({"role": "user", "content": f"Observation: {observation}"})
        return messages

    def _asked(self, dialogue: Dialogue) -> list[Message]:
        """The system message, if there is one, and the first of the user's."""
        system = dialogue.system.strip()
        said = [dialogue.few_shot, dialogue.question] if self.has_system else [dialogue.few_shot, asked_text(dialogue)]
        asked = inert("\n\n".join(filter(None, said)), self.specials)
        first = [{"role": "system", "content": inert(system, self.specials)}] if system and self.has_system else []
        return [*first, {"role": "user", "content": asked}]

    def _assistant(self, turn: Turn) -> Message:
        reasoning, content = self._parts(turn)
        if reasoning and self.frame.is_field:
            return {"role": "assistant", "content": content, "reasoning_content": reasoning}
        return {"role": "assistant", "content": reasoning_block(reasoning) + content}

    def _parts(self, turn: Turn) -> tuple[str, str]:
        """(what of its reasoning is kept, the rest)."""
        reasoning, spoken = split_reasoning(turn.text)
        kept = inert(reasoning, self.specials) if self.thinking == "keep" else ""
        return kept, inert(spoken.strip(), self.specials)


def chat_format(tokenizer: Any, thinking: Thinking, args: Mapping[str, Any]) -> ChatFormat:
    """The tokenizer's template, and what it puts around turns, found by rendering marked ones.

    Raises:
        ConfigError: there is no template, or it does not say all that is said.
    """
    asked = dict.fromkeys(_THINKS, thinking == "keep")
    template = template_of(tokenizer, {**asked, **args})
    specials = control_tokens(tokenizer)
    template, frame = frame_of(template, specials)
    known = template.source + "".join(map(str, tokenizer.added_tokens_decoder.values()))
    marks = [mark for mark in THINK if mark in known and mark not in specials]
    ends = [] if frame.end_token else [frame.terminator]
    specials = (*specials, *marks, *ends)
    return ChatFormat(tokenizer, thinking, (), template, frame, specials, takes_system(template))
