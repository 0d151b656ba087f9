"""Calls of tools as data: what a model is told of its tools, and the steps that its calls are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from fireact.errors import DataError, ParseError
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import FINISH, Step
from fireact.trajectories.storage.reading import joined
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema

Call = tuple[str, dict[str, Any]]


def schemas(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    """Tools as templates and servers take them."""
    about = [(tool, json.loads(tool.parameters) or {"type": "object", "properties": {}}) for tool in tools]
    return [
        {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": parameters}}
        for tool, parameters in about
    ]


def text_of(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON text."""
    return json.dumps(arguments, ensure_ascii=False)


def told(dialogue: Dialogue) -> tuple[ToolSchema, ...]:
    """What the model is told of its tools."""
    return dialogue.tools or (SEARCH_TOOL,)


def call_of(name: Any, arguments: Any) -> Call:
    """A call by its name and its arguments, an object or the JSON text of one.

    Raises:
        ParseError: they are none.
    """
    if isinstance(arguments, str):
        arguments = json_of(arguments) if arguments.strip() else {}
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        malformed()
    return name, arguments


def steps_of(block: str, content: str, called: Sequence[Call], tools: Sequence[ToolSchema]) -> tuple[Step, ...]:
    """The steps of a turn: its calls, or the answer that its content is.

    Args:
        block: what of its reasoning is kept, as the text that its thought begins with.

    Raises:
        ParseError: nothing is said, or a call is of no tool or takes other arguments.
    """
    if not called:
        if not content:
            raise ParseError("nothing is said")
        return (Step(block.strip(), FINISH, joined(content)),)
    known = {tool.name: tool for tool in tools}
    arguments = [joined(argument_of(known, name, given)) for name, given in called]  # JSON may spell half a character
    thoughts = [joined(block + content).strip(), *[""] * (len(called) - 1)]
    return tuple(
        Step(thought, name, argument, continues=place > 0)
        for place, ((name, _), thought, argument) in enumerate(zip(called, thoughts, arguments, strict=True))
    )


def arguments_of(step: Step, tools: Sequence[ToolSchema]) -> dict[str, Any]:
    """The named arguments of a step that calls one of ``tools``.

    Raises:
        DataError: it calls none of them, or its argument is not what that takes.
    """
    tool = next((tool for tool in tools if tool.name == step.action), None)
    if tool is None:
        raise DataError(f"a trajectory calls {step.action}, which is none of its tools "
                        f"({', '.join(tool.name for tool in tools)}); name it among them")
    try:
        return tool.arguments(step.argument)
    except ParseError as error:
        raise DataError(f"a trajectory's call {step.action}[{step.argument[:60]}] can't be said: {error}") from None


def argument_of(tools: Mapping[str, ToolSchema], name: str, arguments: dict[str, Any]) -> str:
    """The one text of a step that calls ``name``.

    Raises:
        ParseError: it is none of ``tools``, or takes other arguments.
    """
    if (tool := tools.get(name)) is None:
        raise ParseError(f"there is no tool {name}")
    argument = tool.argument(arguments)
    if tool.arguments(argument) != arguments:
        raise ParseError(f"{name} takes {tool.text_argument}, a text")
    return argument


def value_in(text: str) -> tuple[Any, str]:
    """The JSON value that ``text`` begins with, and what follows it."""
    text = text.lstrip()
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        malformed()
    return value, text[end:]


def json_of(text: str) -> Any:
    """The JSON value that ``text`` is; ParseError if it is none, or more."""
    value, rest = value_in(text)
    return malformed() if rest.strip() else value


def malformed(*_: object) -> NoReturn:
    """Raise the ParseError of a call that can't be read."""
    raise ParseError("a call that can't be read")


_DECODER = json.JSONDecoder(parse_constant=malformed)  # NaN and infinities are none of JSON's
