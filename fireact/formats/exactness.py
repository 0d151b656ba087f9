"""Whether a format says a dialogue exactly: measured on one, against the official text, never assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fireact.formats import calls, text_format
from fireact.formats.base import Example, TextFormat, Thinking, one_line
from fireact.formats.chat import ChatFormat
from fireact.formats.native import NativeFormat
from fireact.formats.plain import PlainFormat
from fireact.formats.whole import WholeFormat
from fireact.trajectories.dialogue import Dialogue, Turn, split_reasoning, step_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found of a dialogue of ``turns`` turns: the ``rows`` that teach it, and every fault as a sentence."""

    turns: int
    rows: int
    faults: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """In a table's words."""
        if self.faults:
            return "not exact: " + "; ".join(self.faults)
        return "exact, one row a trajectory" if self.rows == 1 else "exact, one row a turn"


def measure(
    name: str,
    tokenizer: Any,
    dialogue: Dialogue,
    thinking: Thinking = "none",
    template_args: Mapping[str, Any] | None = None,
) -> Outcome:
    """Say ``dialogue``, whose last turn finishes it, in the format called ``name``, and compare.

    Checked are, for every turn: the acting prompt is the official one, in token ids; the context of its training row is
    that prompt; what is learnt is read back as the turn. How many rows there are is measured.

    Raises:
        ConfigError: the format refuses the tokenizer or the dialogue.
    """
    form = text_format(name, tokenizer, thinking, template_args)
    assert isinstance(form, WholeFormat)
    bounds = [0, *form.ends(dialogue.turns)]
    befores = [replace(dialogue, turns=dialogue.turns[:begin]) for begin in bounds[:-1]]
    prompts = [form.prompt(before) for before in befores]
    examples = form.examples(dialogue, finished=True)
    faults = []
    for number, (before, prompt) in enumerate(zip(befores, prompts, strict=True), start=1):
        if prompt != _official(form, tokenizer, before, template_args):
            faults.append(f"the prompt of turn {number} is not the official one")
    learnt = [turn for example in examples for turn in _turns(example)]
    if [context for context, _ in learnt] != prompts:
        faults.append("the context of a row is not the prompt of acting")
    for number, (_, said) in enumerate(learnt[: len(befores)], start=1):
        turns = dialogue.turns[bounds[number - 1] : bounds[number]]
        if not _is_read_back(form, dialogue, turns, *_read(form, tokenizer, said)):
            faults.append(f"what is learnt of turn {number} is read back as another")
    return Outcome(len(befores), len(examples), tuple(faults))


def _is_read_back(form: WholeFormat, dialogue: Dialogue, turns: Sequence[Turn], text: str, ended: bool) -> bool:
    reasoning, spoken = split_reasoning(turns[0].text)
    steps = form.steps(text, dialogue)
    if steps is None:
        return ended and text == form.kept(reasoning) + spoken
    said = []
    for step in map(step_of, turns):
        reasoning, thought = split_reasoning(step.thought)
        said.append(replace(step, thought=(form.kept(reasoning) + ("" if form.unsaid(step) else thought)).strip()))
    return ended and steps == tuple(said)


def _official(
    form: TextFormat, tokenizer: Any, dialogue: Dialogue, template_args: Mapping[str, Any] | None
) -> list[int]:
    """The prompt as transformers encodes it."""
    if not isinstance(form, ChatFormat):
        assert isinstance(form, PlainFormat)
        ids = list(tokenizer(form.context(dialogue), add_special_tokens=True).input_ids)
        added = len(tokenizer("", add_special_tokens=True).input_ids) - len(form.prefix)  # at the end, as T5 does
        return ids[: len(ids) - added]
    messages: list[dict[str, Any]] = [{"role": "user", "content": dialogue.question}]
    if dialogue.system:
        messages = [{"role": "system", "content": dialogue.system}, *messages]
        if not form.has_system:
            messages = [{"role": "user", "content": f"{dialogue.system}\n\n{dialogue.question}"}]
    for turn in dialogue.turns:
        reasoning, spoken = split_reasoning(turn.text)
        said = {"role": "assistant", "content": spoken}
        if form.kept(reasoning):
            block = form.kept(reasoning) + spoken
            said |= {"reasoning_content": reasoning} if form.frame.is_field else {"content": block}
        messages += [said, {"role": "user", "content": f"Observation: {one_line(turn.observation or '')}"}]
    if form.template.parts:
        messages = [{**each, "content": [{"type": "text", "text": each["content"]}]} for each in messages]
    if isinstance(form, NativeFormat):
        messages = form.messages(dialogue)
    args = {key: value for key, value in (template_args or {}).items() if key != "date"}
    asked = dict.fromkeys(("enable_thinking", "thinking"), form.thinking == "keep")
    return list(
        tokenizer.apply_chat_template(
            messages, tools=calls.schemas(calls.told(dialogue)) if isinstance(form, NativeFormat) else None,
            add_generation_prompt=True, return_dict=False, **{**asked, **args},
        )  # fmt: skip
    )


def _turns(example: Example) -> list[tuple[list[int], list[int]]]:
    """Of every turn that a row teaches, (the ids before it, its own)."""
    turns, begin = [], 0
    bounds = [at for at in range(1, len(example.ids)) if example.targets[at] != example.targets[at - 1]]
    for at in (*bounds, len(example.ids)):
        if example.targets[at - 1]:
            turns.append((list(example.ids[:begin]), list(example.ids[begin:at])))
        begin = at
    return turns


def _read(form: TextFormat, tokenizer: Any, ids: Sequence[int]) -> tuple[str, bool]:
    """(the turn that acting makes of generated ``ids``, whether it ended as in training)."""
    said = list(ids)
    end = ""
    while said and (token := tokenizer.convert_ids_to_tokens(said[-1])) in (*form.end_tokens, tokenizer.eos_token):
        end = token
        said.pop()
    text = tokenizer.decode(said)
    reasoning, spoken = form.heard(text)
    turn = form.cut(spoken).strip()
    return form.kept(reasoning) + turn, form.closed(turn, text, end)
