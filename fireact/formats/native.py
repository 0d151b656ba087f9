"""Native tool calls: tools, calls and results as the model's own chat template says them.

Of an episode's steps, those that call are ``tool_calls`` of an assistant's message (several, where a step ``continues``
the one before), what was observed is a message of the role ``tool``, and ``finish`` is a plain message of the
assistant's: its argument. How calls are written and read is found by rendering some and reading them back.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fireact.errors import DataError, ParseError
from fireact.formats import calls, readers
from fireact.formats.base import inert
from fireact.formats.chat import ChatFormat
from fireact.formats.templates import Message, refused
from fireact.trajectories.dialogue import Dialogue, Turn, reasoning_block, split_reasoning, step_of, turn_ends
from fireact.trajectories.records import FINISH, Step
from fireact.trajectories.tool_schema import ToolSchema, call_ids


@dataclass(frozen=True, eq=False)
class NativeFormat(ChatFormat):
    """A chat template that says tools.

    Attributes:
        reader: the name of how its calls are read; see ``readers``.
        read: the same.
        call_end: the control token that ends a turn with calls.
        has_thoughts: whether what is said beside calls is shown; else it is left out, as the template does.
        has_several: whether a turn may hold several calls.
        as_text: whether arguments are given to it as JSON text.
        tags: what contents may not spell, besides control tokens.
    """

    reader: str
    read: readers.Reader
    call_end: str
    has_thoughts: bool
    has_several: bool
    as_text: bool
    tags: tuple[str, ...]

    @property
    def end_tokens(self) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return tuple(dict.fromkeys(filter(None, (self.end_token, self.call_end))))

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """See ``TextFormat``."""
        return () if self.end_token else (self.frame.terminator,)

    def context(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``."""
        return self._render(dialogue, self.messages(dialogue), prompt=True)

    def said(self, dialogue: Dialogue) -> str:
        """The text of a dialogue up to the end of its last turn, what that was answered not included."""
        return self._render(dialogue, self.messages(dialogue, observed=False), prompt=False)

    def reply(self, dialogue: Dialogue) -> str:
        """See ``WholeFormat``; what the template makes of the turn, up to the token that ends it.

        Raises:
            ConfigError: the template does not go on from the prompt of that turn.
        """
        begin = [0, *self.ends(dialogue.turns)][-2]
        before = self.messages(replace(dialogue, turns=dialogue.turns[:begin]))
        prompt = self._render(dialogue, before, prompt=True)
        whole = self.said(dialogue)
        said = whole[len(prompt) :]
        if not whole.startswith(prompt):  # the prompt opens or closes a think block that the turn doesn't show
            base = self._render(dialogue, before, prompt=False)
            if not (whole.startswith(base) and prompt.startswith(base)):
                if begin:  # an answer makes gpt-oss' drop what was reasoned before; the turn itself stays the same
                    return self.reply(replace(dialogue, turns=dialogue.turns[begin:]))
                raise refused("does not go on from its own prompt")
            begun = os.path.commonprefix([whole[len(base) :], prompt[len(base) :]])
            said, lead = whole[len(base) + len(begun) :], self.frame.lead
            if lead.strip() and said.lstrip().startswith(lead.strip()):
                said = said.lstrip().removeprefix(lead.strip())
            said = lead + said
        ends = [said.rfind(end) + len(end) for end in (self.frame.terminator, self.call_end) if end and end in said]
        if not ends:
            raise refused("ends a turn of the model's otherwise than others")
        return said[: max(ends)]

    def ends(self, turns: Sequence[Turn]) -> Sequence[int]:
        """See ``WholeFormat``: a turn of the model may make several calls."""
        return turn_ends(turns)

    def heard(self, text: str, prefill: str = "") -> tuple[str, str]:
        """See ``TextFormat``."""
        if self.reader == "channels":
            return ("", text) if prefill else readers.analysis(text)
        return super().heard(text, prefill)

    def over(self, spoken: str) -> bool:
        """See ``TextFormat``: a turn may go on after a call."""
        return any(stop in spoken for stop in self.stop_texts)

    def cut(self, spoken: str) -> str:
        """See ``TextFormat``."""
        return min((spoken.partition(stop)[0] for stop in self.stop_texts), key=len, default=spoken).rstrip()

    def steps(self, text: str, dialogue: Dialogue, whole: bool = True) -> tuple[Step, ...]:
        """See ``TextFormat``."""
        reasoning, spoken = split_reasoning(text)
        try:
            if not whole:
                raise ParseError("the turn was cut off")
            content, called = self.read(spoken, calls.told(dialogue))
            if len(called) > 1 and not self.has_several:
                raise ParseError("several calls in a turn")
            return calls.steps_of(reasoning_block(reasoning), content, called, calls.told(dialogue))
        except ParseError:
            return (Step(text, "", ""),)

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        if self.heard(text)[0] and self.thinking != "keep":
            return False
        if self.end_tokens:
            return end in self.end_tokens
        return text.rstrip() == said + self.frame.terminator

    def unsaid(self, step: Step) -> bool:
        """See ``TextFormat``: an answer is a message of its own, and some templates show calls alone."""
        thought = split_reasoning(step.thought)[1].strip()
        return bool(thought) and bool(step.action) and (step.action == FINISH or not self.has_thoughts)

    def messages(self, dialogue: Dialogue, observed: bool = True) -> list[Message]:
        """See ``ChatFormat``; without what the last turn was answered, unless ``observed``.

        Raises:
            DataError: a step calls what is none of the dialogue's tools, or otherwise than the template can say.
        """
        messages, begin, number = self._asked(dialogue), 0, 0
        for end in self.ends(dialogue.turns):
            steps = [step_of(turn) for turn in dialogue.turns[begin:end]]
            ids = call_ids(number, len(steps))
            messages.append(self._message(steps, ids, calls.told(dialogue)))
            if observed or end < len(dialogue.turns):
                for turn, step, name in zip(dialogue.turns[begin:end], steps, ids, strict=True):
                    messages += [] if turn.observation is None else [self._result(step, name, turn.observation)]
            begin, number = end, number + len(steps)
        return messages

    def _message(self, steps: Sequence[Step], ids: Sequence[str], tools: Sequence[ToolSchema]) -> Message:
        first = steps[0]
        reasoning, thought = split_reasoning(first.thought)
        message: Message = {"role": "assistant", "content": self._inert(thought.strip())}
        if len(steps) > 1 and not (self.has_several and all(step.action not in ("", FINISH) for step in steps)):
            what = "an answer beside a call" if self.has_several else "several calls in a turn"
            raise DataError(f"a trajectory has {what}, which this backbone's chat template can't say; leave it out, or "
                            "use another backbone.format")
        if first.action == FINISH:
            if not first.argument.strip():
                raise DataError("a trajectory's answer is empty, which among native calls is a turn that says nothing; "
                                "leave it out, or use another backbone.format")
            message["content"] = self._inert(first.argument)
        elif first.action:
            message["content"] *= self.has_thoughts
            functions = [{"name": step.action, "arguments": self._arguments(step, tools)} for step in steps]
            message["tool_calls"] = [
                {"id": name, "type": "function", "function": function}
                for name, function in zip(ids, functions, strict=True)
            ]
        if kept := self._inert(reasoning) if self.thinking == "keep" else "":
            if self.frame.is_field or self.reader == "channels":
                message |= {"reasoning_content": kept, "thinking": kept}
            else:
                message["content"] = reasoning_block(kept) + message["content"]
        return message

    def _result(self, step: Step, name: str, observation: str) -> Message:
        if step.action in ("", FINISH):
            return {"role": "user", "content": self._inert(observation)}
        return {"role": "tool", "name": step.action, "tool_call_id": name, "content": self._inert(observation)}

    def _arguments(self, step: Step, tools: Sequence[ToolSchema]) -> Any:
        arguments = self._all_inert(calls.arguments_of(step, tools))
        return calls.text_of(arguments) if self.as_text else arguments

    def _render(self, dialogue: Dialogue, messages: Sequence[Message], prompt: bool) -> str:
        return self.template.render(messages, prompt, self._all_inert(calls.schemas(calls.told(dialogue))))

    def _inert(self, text: str) -> str:
        return inert(text, (*self.specials, *self.tags))

    def _all_inert(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._inert(value)
        if isinstance(value, Mapping):
            return {key: self._all_inert(member) for key, member in value.items()}
        return [self._all_inert(member) for member in value] if isinstance(value, list) else value
