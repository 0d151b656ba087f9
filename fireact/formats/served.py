"""The dialogue as a server takes it: one text, or messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fireact.errors import ConfigError
from fireact.formats import calls
from fireact.formats.base import Thinking, inert, one_line
from fireact.formats.plain import HEADS, plain_text
from fireact.trajectories.dialogue import THINK, Dialogue, split_reasoning, step_of, turn_ends
from fireact.trajectories.records import FINISH, Step
from fireact.trajectories.tool_schema import ToolSchema, call_ids

# What common open models take for control tokens: a served model's tokenizer is out of reach, but its server may read
# these wherever they stand.
_USUAL_SPECIALS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "[INST]",
    "[/INST]", *THINK,
)


def served_text(dialogue: Dialogue, name: str, thinking: Thinking = "none") -> str:
    """The dialogue as one text for a model behind an API, whose tokenizer puts its begin token itself.

    Raises:
        ConfigError: there is no plain layout called ``name``.
    """
    if name not in HEADS:
        raise ConfigError(f"lm.format={name} is unknown; choose {' or '.join(HEADS)}")
    return plain_text(dialogue, name, _USUAL_SPECIALS, thinking) + dialogue.prefill


def served_messages(dialogue: Dialogue, thinking: Thinking = "none") -> list[dict[str, str]]:
    """The dialogue as chat messages for a model behind an API.

    A system text is a message of its own. Few-shot text is plain ReAct text in one message of the user's, to be gone on
    with; without it, user and assistant alternate as in the paper's released chat data, and a prefill begins the
    assistant's message. What a turn reasoned stands apart from its content, as servers of thinking models take it.
    """
    system = [_message("system", dialogue.system.strip())] if dialogue.system.strip() else []
    if dialogue.few_shot:
        return [*system, _message("user", served_text(replace(dialogue, system=""), "react", thinking))]
    messages = [*system, _message("user", dialogue.question)]
    for turn in dialogue.turns:
        reasoning, spoken = split_reasoning(turn.text)
        message = _message("assistant", spoken)
        messages.append(message | {"reasoning_content": inert(reasoning, _USUAL_SPECIALS)} if reasoning else message)
        if turn.observation is not None:
            messages.append(_message("user", f"Observation: {one_line(turn.observation)}"))
    return [*messages, _message("assistant", dialogue.prefill)] if dialogue.prefill else messages


def served_calls(dialogue: Dialogue, thinking: Thinking = "none") -> list[dict[str, Any]]:
    """The dialogue as messages with ``tool_calls`` and results of the role ``tool``; the answer is a plain message.

    Raises:
        ConfigError: there is few-shot text, which shows ReAct text, or a prefill.
        DataError: a turn calls what is none of the dialogue's tools.
    """
    if dialogue.few_shot or dialogue.prefill:
        raise ConfigError("lm.api=tools asks without few-shot text and begins no turn for the model; set "
                          "method.prompt=null, choose another method, or lm.api=chat")
    messages: list[dict[str, Any]] = [_message("system", dialogue.system.strip())] if dialogue.system.strip() else []
    messages.append(_message("user", dialogue.question))
    begin = 0
    for end in turn_ends(dialogue.turns):
        turns = dialogue.turns[begin:end]
        steps, ids = [step_of(turn) for turn in turns], call_ids(begin, end - begin)
        reasoning, thought = split_reasoning(steps[0].thought)
        said = steps[0].argument if steps[0].action == FINISH else thought.strip()
        message: dict[str, Any] = _message("assistant", said)
        if reasoning and thinking == "keep":
            message["reasoning_content"] = inert(reasoning, _USUAL_SPECIALS)
        if calling := [(step, name) for step, name in zip(steps, ids, strict=True) if step.action not in ("", FINISH)]:
            message["content"] = message["content"] or None
            message["tool_calls"] = [_served_call(step, name, calls.told(dialogue)) for step, name in calling]
        messages.append(message)
        called = {name for _, name in calling}
        for turn, name in zip(turns, ids, strict=True):
            if turn.observation is not None:
                result = _message("tool" if name in called else "user", turn.observation)
                messages.append({**result, "tool_call_id": name} if name in called else result)
        begin = end
    return messages


def _served_call(step: Step, name: str, tools: Sequence[ToolSchema]) -> dict[str, Any]:
    arguments = inert(calls.text_of(calls.arguments_of(step, tools)), _USUAL_SPECIALS)
    return {"id": name, "type": "function", "function": {"name": step.action, "arguments": arguments}}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": inert(content, _USUAL_SPECIALS)}
