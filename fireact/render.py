"""Trajectory ⇄ text: the one place that knows ReAct, Alpaca and chat text, for acting and for learning alike.

A dialogue is rendered as a list of segments, each either context (what the environment said) or target (what the
model must say). Every segment is tokenised on its own, so the prompt that an acting model sees is, token for token,
a prefix of the row it was trained on, and the loss mask needs no searching.

A rendered HotpotQA episode, targets in «»::

    Below is an instruction … ### Instruction:\\nWho wrote X?\\n\\n### Response:\\n
    «Thought: I need to find X.\\nAction: search[X]\\n»Observation: X is a book by Y.\\n
    «Thought: Y wrote it.\\nAction: finish[Y]\\n</s>»
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fireact.errors import ConfigError, ParseError
from fireact.records import Step, Trajectory

_ACTION_LINE = re.compile(r"^Action:[ \t]*(\w+)\[(.*)\][ \t]*$", re.MULTILINE)
_COMPLETE_ACTION_LINE = re.compile(_ACTION_LINE.pattern + r"\n", re.MULTILINE)
STOP = "\nObservation:"
NO_ACTION = "That turn held no action."  # how the loop answers one, before it says what to write


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model and what was answered; ``ids`` are its generated tokens where the model is local."""

    text: str
    observation: str | None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Everything said so far. ``few_shot`` is empty for a tuned model; ``opening`` is forced on the next turn."""

    question: str
    few_shot: str = ""
    turns: tuple[Turn, ...] = ()
    opening: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text that is wholly target or wholly context; ``ids`` override its tokenisation."""

    text: str
    target: bool = False
    ids: tuple[int, ...] | None = None


def parse_step(text: str) -> Step:
    """The first action line of a model's turn, with everything before it as the thought.

    Raises:
        ParseError: there is no line ``Action: name[argument]``.
    """
    match = _ACTION_LINE.search(text)
    if match is None:
        raise ParseError("no line of the form Action: name[argument]")
    thought = text[: match.start()].strip().removeprefix("Thought:").strip()
    return Step(thought, match.group(1), match.group(2))


def cut_after_action(text: str) -> str | None:
    """``text`` up to the end of its first finished action line, newline excluded; None if there is none yet."""
    match = _COMPLETE_ACTION_LINE.search(text)
    return None if match is None else text[: match.end() - 1].rstrip()


def turn_is_over(text: str, stops: Sequence[str] = (STOP,)) -> bool:
    """Whether nothing that a model says after ``text`` can change its turn any more; each of ``stops`` ends it too."""
    return cut_after_action(text) is not None or any(stop in text for stop in stops)


def cut_turn(text: str, stops: Sequence[str] = (STOP,)) -> str:
    """The turn in what a model said: up to the end of its first action line, or to the first of ``stops``."""
    before = re.split("|".join(map(re.escape, stops)), text)[0]
    return cut_after_action(before + "\n") or before


def step_text(step: Step) -> str:
    """The model's turn that ``parse_step`` reads back as ``step``; a turn without action is its own text."""
    if not step.action:
        return step.thought
    thought = f"Thought: {step.thought}\n" if step.thought else ""
    return f"{thought}Action: {step.action}[{step.argument}]"


def dialogue_of(trajectory: Trajectory) -> Dialogue:
    """The dialogue a tuned model would have had: no few-shot prompt, every step a turn."""
    turns = tuple(Turn(step_text(step), step.observation) for step in trajectory.steps)
    return Dialogue(trajectory.question.prompt(), turns=turns)


class Tokenizer(Protocol):
    """What rendering needs of a Hugging Face tokenizer."""

    all_special_tokens: list[str]
    added_tokens_decoder: dict[int, Any]
    eos_token: str | None

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Any: ...

    def __hash__(self) -> int: ...


class TextFormat(Protocol):
    """A text layout bound to one tokenizer.

    ``terminator`` ends each turn of the model and is a target. ``end_token`` is the control token that the model says
    nothing after, whatever the tokenizer's own end token is; empty where turns end in plain text. Generation stops at
    it and at each of ``stop_texts``.
    """

    @property
    def terminator(self) -> str: ...

    @property
    def end_token(self) -> str: ...

    @property
    def stop_texts(self) -> tuple[str, ...]: ...

    def segments(self, dialogue: Dialogue) -> list[Segment]:
        """The dialogue so far, ending where the model speaks next (or, after an open last turn, with that turn)."""
        ...

    def end(self) -> list[Segment]:
        """What closes a finished dialogue in a training row."""
        ...

    def closed(self, said: str, text: str, end: str) -> bool:
        """Whether a generated ``text``, of which ``said`` is kept, ended as turns do in training.

        ``end`` is the control token that followed it; empty if none did.
        """
        ...


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
        out = [Segment(self.begin + head.replace("{question}", _inert(dialogue.question, self.specials)))]
        for turn in dialogue.turns:
            out.append(Segment(_inert(turn.text, self.specials) + self.terminator, True, turn.ids))
            if turn.observation is not None:
                out.append(Segment(f"Observation: {_inert(_one_line(turn.observation), self.specials)}\n"))
        return [*out, Segment(dialogue.opening)] if dialogue.opening else out

    def end(self) -> list[Segment]:
        """The end token, which the model must learn to say."""
        return [Segment(self.end_token, True)]

    def closed(self, said: str, text: str, end: str) -> bool:
        """See ``TextFormat``."""
        return text == said + self.terminator


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
        question = _inert("\n\n".join(filter(None, [dialogue.few_shot, dialogue.question])), self.specials)
        out = [Segment(self.before + question + self.to_model)]
        for turn in dialogue.turns:
            out.append(Segment(_inert(turn.text, self.specials) + self.terminator, True, turn.ids))
            if turn.observation is not None:
                observation = _inert(_one_line(turn.observation), self.specials)
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


_REACT_HEAD = "{few_shot}Question: {question}\n"
_ALPACA_HEAD = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:\n"
)
_HEADS = {"react": _REACT_HEAD, "alpaca": _ALPACA_HEAD}
# What common open models take for control tokens: a served model's tokenizer is out of reach, but its server may read
# these wherever they stand.
_USUAL_SPECIALS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "[INST]",
    "[/INST]",
)


def text_format(name: str, tokenizer: Tokenizer) -> TextFormat:
    """The format called ``name`` (react, alpaca or chat) bound to ``tokenizer``.

    Raises:
        ConfigError: the name is unknown, or the tokenizer has no usable chat template or, for the others, no end token.
    """
    specials = _control_tokens(tokenizer)
    if name == "chat":
        return _chat_format(tokenizer, specials)
    if name not in _HEADS:
        raise ConfigError(f"backbone.format={name} is unknown; choose react, alpaca or chat")
    if tokenizer.eos_token is None:
        raise ConfigError("the tokenizer has no end token, so no turn could end; use another backbone")
    return PlainFormat(_HEADS[name], _begin(tokenizer), tokenizer.eos_token, specials)


def served_text(dialogue: Dialogue, name: str) -> str:
    """The dialogue as one text for a model behind an API, whose tokenizer puts its begin token itself.

    Raises:
        ConfigError: there is no plain layout called ``name``.
    """
    if name not in _HEADS:
        raise ConfigError(f"lm.format={name} is unknown; choose {' or '.join(_HEADS)}")
    layout = PlainFormat(_HEADS[name], begin="", end_token="", specials=_USUAL_SPECIALS)
    return "".join(segment.text for segment in layout.segments(dialogue))


def served_messages(dialogue: Dialogue) -> list[dict[str, str]]:
    """The dialogue as chat messages for a model behind an API.

    Few-shot text is plain ReAct text in one message of the user's, to be gone on with; without it, user and assistant
    alternate as in the paper's released chat data, and an opening begins the assistant's message.
    """
    if dialogue.few_shot:
        return [_message("user", served_text(dialogue, "react"))]
    messages = [_message("user", dialogue.question)]
    for turn in dialogue.turns:
        messages.append(_message("assistant", turn.text))
        if turn.observation is not None:
            messages.append(_message("user", f"Observation: {_one_line(turn.observation)}"))
    return [*messages, _message("assistant", dialogue.opening)] if dialogue.opening else messages


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": _inert(content, _USUAL_SPECIALS)}


def _control_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Every text that the tokenizer would take for a control token, longest first; some have no named role."""
    unnamed = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(unnamed | set(tokenizer.all_special_tokens), key=lambda token: (-len(token), token)))


def _begin(tokenizer: Tokenizer) -> str:
    """The begin token, where the tokenizer puts one before every text by itself."""
    ids = tokenizer("", add_special_tokens=True).input_ids
    begin = getattr(tokenizer, "bos_token", None)
    return begin if begin and ids and ids[0] == tokenizer(begin, add_special_tokens=False).input_ids[-1] else ""


def _chat_format(tokenizer: Any, specials: Sequence[str]) -> ChatFormat:
    """Render marked contents once and read the template off between the marks."""
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


def encode(segments: Sequence[Segment], tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Token ids and, for each, whether it is a target; both of length T."""
    ids: list[int] = []
    targets: list[bool] = []
    for segment in segments:
        if segment.ids is not None:
            piece: Sequence[int] = segment.ids
        else:
            piece = tokenizer(segment.text, add_special_tokens=False).input_ids
        ids.extend(piece)
        targets.extend([segment.target] * len(piece))
    return ids, targets


def _one_line(text: str) -> str:
    """An observation is one line, so nothing in it can pass for a thought or an action."""
    return " ".join(text.split())


def _inert(text: str, specials: Sequence[str]) -> str:
    """``text`` with a zero-width space inside every control token it spells out, so that none takes effect."""
    for token in specials:
        if token in text:
            text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text
