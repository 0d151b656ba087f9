"""What a message says, whatever parts it is written in → messages in OpenAI's form, with their reasoning beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.dialogue import reasoning_block, split_reasoning
from fireact.trajectories.importers import fields

_TEXTS = ("text", "input_text", "output_text")
_REASONING = ("reasoning_content", "reasoning", "thinking")  # as servers, and TRL's templates, name it


def modern(messages: Any, counts: Counter[str]) -> list[dict[str, Any]]:
    """Messages with the older ``function_call`` and role ``function``, and Anthropic's blocks, in OpenAI's form.

    Raises:
        DataError: they are no list of objects.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError("expected messages as a list of objects with role and content")
    found = []
    for number, message in enumerate(messages, start=1):
        if message.get("function_call") and message.get("tool_calls"):
            raise DataError(f"message {number} has function_call and tool_calls; leave one")
        if message.get("tool_calls") and message.get("role") in ("system", "developer", "user", "tool"):
            raise DataError(f"message {number} has tool_calls and is not the assistant's, who alone calls; remove them")
        if message.get("function_call") is not None and not message.get("tool_calls"):
            rest = {key: value for key, value in message.items() if key != "function_call"}
            message = {**rest, "tool_calls": [{"function": message["function_call"]}]}
        if message.get("role") == "function":
            message = {**message, "role": "tool"}
        found += _unblocked(message, f"message {number}", counts)
    return found


def text_of(message: Mapping[str, Any], what: str, counts: Counter[str]) -> str:
    """A message's text; a list of text parts is their texts, and null is none.

    Raises:
        DataError: it holds something else.
    """
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_part(part, what, counts) for part in content)
    if not isinstance(content, str):
        raise DataError(f"{what}: expected the field 'content' to be text")
    return content


def spoken(message: Mapping[str, Any], what: str, counts: Counter[str]) -> tuple[str, str]:
    """(reasoning, text) of an assistant's message, each without the other; the reasoning as a turn begins with it.

    Reasoning is a field of the message, blocks among its parts, or a think block at the head of its text.

    Raises:
        DataError: it holds something else, or its reasoning in two places.
    """
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    blocks = [part for part in parts if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning")]
    if blocks:
        message = {**message, "content": [part for part in parts if part not in blocks]}
    inline, text = split_reasoning(text_of(message, what, counts))
    said = {fields.text(message, key, f"{what}: ").strip() for key in _REASONING if message.get(key) is not None}
    found = {*said, inline, "\n\n".join(_block(block, what, counts) for block in blocks)} - {""}
    if len(found) > 1:
        raise DataError(f"{what} holds its reasoning in two places, which differ; leave one")
    return reasoning_block("".join(found)).strip(), text


REASONING_FIELDS = frozenset(_REASONING)


def _part(part: Any, what: str, counts: Counter[str]) -> str:
    if not isinstance(part, dict) or part.get("type") not in _TEXTS or not isinstance(part.get("text"), str):
        raise DataError(f"{what} has a part that is no text; only text is learnt; leave the row out")
    fields.check(part, ("type", "text"), f"a part of {what}", counts)
    return str(part["text"])


def _block(block: Mapping[str, Any], what: str, counts: Counter[str]) -> str:
    kind = str(block["type"])
    if block.get("redacted"):
        raise DataError(f"{what} holds reasoning that is encrypted, so it can't be learnt; leave the row out")
    fields.check(block, ("type", kind, "redacted"), f"a part of {what}", counts)
    return fields.text(block, kind, f"{what}: ").strip()


def _unblocked(message: dict[str, Any], what: str, counts: Counter[str]) -> list[dict[str, Any]]:
    """An Anthropic message's calls as ``tool_calls``, its results as messages of their own; any other as it is."""
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return [message]
    uses = [part for part in content if part.get("type") == "tool_use"]
    results = [part for part in content if part.get("type") == "tool_result"]
    if not uses and not results:
        return [message]
    if uses and results or uses and message.get("role") != "assistant" or results and message.get("role") != "user":
        raise DataError(f"{what} holds calls or results of another's; calls are the assistant's, results the user's")
    for part in uses:
        fields.check(part, ("type", "id", "name", "input"), f"a part of {what}", counts)
    for part in results:
        fields.check(part, ("type", "tool_use_id", "content", "is_error"), f"a part of {what}", counts)
    rest = [part for part in content if part not in uses and part not in results]
    if uses:
        if message.get("tool_calls"):
            raise DataError(f"{what} holds calls in tool_calls and in its content; leave one")
        calls = [{"id": p.get("id"), "function": {"name": p.get("name"), "arguments": p.get("input")}} for p in uses]
        return [{**message, "content": rest, "tool_calls": calls}]
    if rest:
        raise DataError(f"{what} holds results and {quoted(rest[0].get('type'))} besides; make a message of each")
    return [
        {
            "role": "tool",
            "tool_call_id": p.get("tool_use_id"),
            "content": p.get("content"),
            "is_error": p.get("is_error"),
        }
        for p in results
    ]
