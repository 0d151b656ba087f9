"""The dialogue as a server takes it: one text, or messages."""

from __future__ import annotations

from dataclasses import replace

from fireact.errors import ConfigError
from fireact.formats.base import Thinking, inert, one_line
from fireact.formats.plain import HEADS, plain_text
from fireact.trajectories.dialogue import THINK, Dialogue, split_reasoning

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


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": inert(content, _USUAL_SPECIALS)}
