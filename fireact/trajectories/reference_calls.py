"""The tool calls that a question's answer needs, as its author says them, and when a call that was made is one of them.

Calls are compared as a set with repeats: in which order they were made makes no difference. Of arguments, neither case
nor white space of a text counts, and a number is what it is, however it is written: 2, 2.0 or "2".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fireact.errors import DataError, ParseError, quoted
from fireact.trajectories.tool_schema import ToolSchema

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?(?:e[-+]?\d{1,2})?")
_KEYS = {"tool", "arguments"}
Key = tuple[str, str | None]  # a tool and its arguments as one text; None where these can't be told


def call_text(call: Any) -> str:
    """``{"tool": ..., "arguments": ...}`` as its one JSON text; arguments are an object, or the text of the one that
    there is.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(call, Mapping) or not {*call} <= _KEYS or not isinstance(call.get("tool"), str):
        raise DataError(f'the call {quoted(call)} is none; write {{"tool": NAME, "arguments": {{...}}}}')
    arguments = call.get("arguments", {})
    if not call["tool"] or not isinstance(arguments, str | Mapping):
        raise DataError(f"the call {quoted(call)} needs a tool's name, and as arguments an object or a text")
    return json.dumps({"tool": call["tool"], "arguments": arguments}, ensure_ascii=False, sort_keys=True)


def call_shown(call: str) -> str:
    """What ``call_text`` gave, as an action is shown: ``search[the query]``."""
    row = json.loads(call)
    arguments = row["arguments"]
    return f"{row['tool']}[{arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)}]"


def expected(call: str, tools: Mapping[str, ToolSchema]) -> Key:
    """What a call that was made must be, to be the one that ``call_text`` gave."""
    row = json.loads(call)
    return key_of(row["tool"], row["arguments"], tools.get(row["tool"]))


def key_of(tool: str, arguments: str | Mapping[str, Any], schema: ToolSchema | None) -> Key:
    """A call, so that equal ones are equal; as a step holds it, its arguments are a text."""
    if isinstance(arguments, str):
        try:
            arguments = {"": arguments} if schema is None else schema.arguments(arguments)
        except ParseError:
            return tool, None
    return tool, json.dumps(_plain(arguments), ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        text = " ".join(value.split()).casefold()
        return _plain(float(text)) if _NUMBER.fullmatch(text) else text
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
