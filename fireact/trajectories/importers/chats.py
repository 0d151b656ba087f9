"""Rows of chat messages → ours, by native calls or by ReAct text: OpenAI's and Anthropic's messages, ShareGPT's, TRL's.

TRL's ``prompt`` and ``completion`` are messages, or a text each. What stands in the prompt is read and not learnt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import calls, contents, conversations, fields, released
from fireact.trajectories.records import Trajectory

_SAYS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_TEMPLATE = re.compile(r"<\|[^|<>\n]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>")
_OF_CALLS = ("tools", "functions", "parallel_tool_calls")


def from_messages(row: Mapping[str, Any], counts: Counter[str], published: bool = False) -> Trajectory:
    """One row ``{"messages": […], "tools": […]}``, as OpenAI's fine-tuning and TRL take them; ``system`` is
    Anthropic's.

    Raises:
        DataError: something in it is not understood, or would be lost; names the message, counted from 1.
    """
    messages = row["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return released.from_chat(dict(row), counts, published)  # says what is wrong with them
    modern = contents.modern(messages, counts)
    if not conversations.is_native(modern, row.get("tools") or row.get("functions")):
        return released.from_chat(dict(row), counts, published)
    fields.check(row, ("messages", "system", *_OF_CALLS), "the row", counts)
    if row.get("system"):
        modern = [{"role": "system", "content": row["system"]}, *modern]
    return conversations.trajectory(modern, _tools(row, counts), counts)


def from_sharegpt(row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"conversations": [{"from", "value"}, …], "tools": JSON text, "system": text}``, or with messages.

    Raises:
        DataError: see ``from_messages``.
    """
    fields.check(row, ("conversations", "tools", "system"), "the row", counts)
    messages: list[Any] = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    turns = row["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise DataError("expected conversations as a list of objects with from and value")
    if all("role" in turn and "from" not in turn for turn in turns):  # as others name OpenAI's messages
        return _read([*messages, *turns], row, counts)
    for number, turn in enumerate(turns, start=1):
        what = f"turn {number}"
        fields.check(turn, ("from", "value", "weight"), what, counts)
        who, value = fields.text(turn, "from", f"{what}: "), fields.text(turn, "value", f"{what}: ")
        weight = {"weight": turn["weight"]} if turn.get("weight") is not None else {}
        if who == "function_call":
            made = calls.called(calls.parsed(value, what, counts), what)
            messages.append({"role": "assistant", "content": "", **made, **weight})
        elif who in ("observation", "tool"):
            messages.append({"role": "tool", "content": value, **weight})
        elif who in _SAYS:
            messages.append({"role": _SAYS[who], "content": value, **weight})
        else:
            raise DataError(f"{what} is from {quoted(who)}; expected human, gpt, function_call, observation or system")
    return _read(messages, row, counts)


def from_completion(row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"prompt", "completion", "tools"}`` of TRL's, whose completion alone is learnt.

    Raises:
        DataError: see ``from_messages``; the completion is missing, or a text without an answer.
    """
    fields.check(row, ("prompt", "completion", *_OF_CALLS), "the row", counts)
    prompt, completion = row.get("prompt"), row.get("completion")
    if completion in (None, "", []):
        raise DataError("the row has a prompt and no completion, so nothing is learnt; add the 'completion'")
    if isinstance(prompt, str) and isinstance(completion, str):
        return _from_texts(prompt, completion, row, counts)
    if not isinstance(prompt, list) or not isinstance(completion, list):
        raise DataError("expected prompt and completion as two lists of messages, or as two texts")
    asked, said = contents.modern(prompt, counts), contents.modern(completion, counts)
    if not asked or said and said[0].get("role") != "assistant":
        raise DataError("expected a prompt that ends before the assistant speaks, and a completion that begins with "
                        "its message; move the messages between them")
    before = [{**each, "weight": 0} if each.get("role") == "assistant" else each for each in asked]
    return _read([*before, *said], row, counts)


def _from_texts(prompt: str, completion: str, row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    as_messages = "write prompt and completion as lists of messages"
    for name, text in {"prompt": prompt, "completion": completion}.items():
        if mark := _TEMPLATE.search(text):
            raise DataError(f"the {name} holds {quoted(mark[0])}, a chat template's mark, which would be learnt as "
                            f"text; {as_messages}")
    if label := conversations.LABEL.search(prompt):
        raise DataError(f"the prompt holds {quoted(label[0].strip())} at the head of a line, so it can't be told who "
                        f"says what in it; {as_messages}")
    if not conversations.LABEL.search(completion):
        answered = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion.strip()}]
        return _read(answered, row, counts)
    if any(row.get(key) for key in _OF_CALLS):
        raise DataError(f"the row describes tools, and its completion is one text; {as_messages}")
    text = f"{completion.rstrip()}\n"
    if not text.rstrip().split("\n")[-1].startswith("Observation:"):
        counts["demonstrations"] += 1
        text += f"{released.RIGHT}\n"
    return released.from_alpaca({"instruction": prompt, "output": text}, counts)


def _read(messages: list[dict[str, Any]], row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    modern = contents.modern(messages, counts)
    tools = _tools(row, counts)
    if conversations.is_native(modern, tools):
        return conversations.trajectory(modern, tools, counts)
    return released.from_chat({"messages": messages}, counts)


def _tools(row: Mapping[str, Any], counts: Counter[str]) -> list[Any]:
    if row.get("parallel_tool_calls") is not None:
        counts["ignored_field parallel_tool_calls"] += 1  # what a server is allowed; the calls themselves are read
    return calls.schemas([*_listed(row, "tools", counts), *_listed(row, "functions", counts)], counts)


def _listed(row: Mapping[str, Any], key: str, counts: Counter[str]) -> list[Any]:
    value = row.get(key) or []
    if isinstance(value, str):
        value = calls.parsed(value, f"the row's {key}", counts) if value.strip() else []
    if not isinstance(value, list):
        raise DataError(f"expected {key} as a list")
    return value
