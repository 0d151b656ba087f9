"""Tools and calls of them, as OpenAI, Anthropic and TRL write them → schemas, names and arguments."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import fields
from fireact.trajectories.records import FINISH
from fireact.trajectories.storage import reading
from fireact.trajectories.tool_schema import ToolSchema

_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_NAME = re.compile(r"\w+")


def schemas(rows: Sequence[Any], counts: Counter[str]) -> list[ToolSchema]:
    """The schemas in a row's ``tools``, each an object, or one in ``function``.

    Raises:
        DataError: one is none, two have one name, or a name can't be said as an action.
    """
    found = [_schema(row, f"tool {number}", counts) for number, row in enumerate(rows, start=1)]
    names = [tool.name for tool in found]
    if FINISH in names or len(set(names)) < len(names):
        raise DataError(f"two tools have one name, or one is called {FINISH}, as the answer is; rename it")
    for name in names:
        _check_name(name, "the row's tools")
    return found


def undescribed(messages: Sequence[Mapping[str, Any]], known: set[str], counts: Counter[str]) -> list[ToolSchema]:
    """The tools that are called and not ``known``, each with the arguments that its calls have."""
    properties = dict[str, dict[str, Any]]()
    for number, message in enumerate(messages, start=1):
        called: Any = message.get("tool_calls")
        for one in called if isinstance(called, list) else ():
            name, arguments = call(one, f"message {number}", Counter())  # counted where the call is read
            if name in known or name == FINISH:
                continue
            its = properties.setdefault(name, {})
            for key, value in arguments.items():
                kind = _KINDS.get(type(value), "object")
                its[key] = {"type": kind} if its.get(key, {"type": kind}) == {"type": kind} else {}
    for name in properties:
        counts[f"undescribed_tool {name}"] += 1
    return [
        ToolSchema.from_json({"name": name, "parameters": {"type": "object", "properties": its}}, f"tool {name}")
        for name, its in properties.items()
    ]


def call(row: Any, what: str, counts: Counter[str]) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of one member of ``tool_calls``, called ``what``; arguments are an object or its JSON text.

    Raises:
        DataError: it is no call of a function, or its arguments are no object.
    """
    function = row.get("function") if isinstance(row, dict) else None
    if not isinstance(function, dict) or row.get("type") not in (None, "function"):
        raise DataError(f"{what} is no function's; only such calls are read")
    fields.check(row, ("id", "type", "function"), what, counts)
    fields.check(function, ("name", "arguments", "id"), what, counts)
    name, arguments = fields.text(function, "name", f"{what}: "), function.get("arguments")
    _check_name(name, what)
    if isinstance(arguments, str):
        arguments = parsed(arguments, f"{what}: its arguments", counts) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise DataError(f"{what} has arguments that are no JSON object; write them as one")
    return name, arguments


def called(value: Any, what: str) -> dict[str, Any]:
    """A call, or a list of such, with name and arguments, as ``tool_calls`` of a message."""
    calls = value if isinstance(value, list) else [value]
    if not calls or not all(isinstance(call, dict) for call in calls):
        raise DataError(f"{what} holds no call; expected an object with name and arguments")
    return {"tool_calls": [{"function": call} for call in calls]}


def parsed(text: str, what: str, counts: Counter[str]) -> Any:
    """The JSON value in a text inside a row, read as strictly as the row itself.

    Raises:
        DataError: it is none, or says two things at once.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is no JSON: {quoted(text)}; write it as JSON") from None
    return reading.loads(reading.joined(text, counts).encode(), what, surrogates=counts)


def _schema(row: Any, what: str, counts: Counter[str]) -> ToolSchema:
    if isinstance(row, dict) and "function" in row:
        fields.check(row, ("type", "function"), what, counts)
        row = row["function"]
    if not isinstance(row, dict):
        return ToolSchema.from_json(row, what)  # says that it is none
    plain = {key: value for key, value in row.items() if value is not None and key not in _NOT_SAID}
    for key in _NOT_SAID & {*row}:
        counts[f"ignored_field {key}"] += 1
    if "input_schema" in plain and "parameters" not in plain:  # Anthropic's name of it
        plain["parameters"] = plain.pop("input_schema")
    return ToolSchema.from_json(plain, what)


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise DataError(f"{what}: the tool {quoted(name)} can't be said as an action; rename it, in tools and in "
                        "calls, to letters, digits and _")


# How a server samples a call or caches its prompt; a model is told neither.
_NOT_SAID = frozenset(("strict", "cache_control"))
