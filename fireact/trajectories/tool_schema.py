"""What a model is told of a tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fireact.errors import DataError, ParseError, quoted

_FIELDS = ("name", "description", "parameters")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool's name, what it does, and its arguments as a JSON schema (an object's), kept as canonical JSON text so
    that equal schemas are equal."""

    name: str
    description: str = ""
    parameters: str = "{}"

    @property
    def text_argument(self) -> str | None:
        """The name of the one argument, a text, of a tool that takes no other; else None."""
        properties = json.loads(self.parameters).get("properties", {})
        if len(properties) != 1:
            return None
        [(name, about)] = properties.items()
        return name if isinstance(about, dict) and about.get("type") == "string" else None

    def argument(self, arguments: Mapping[str, Any]) -> str:
        """Named arguments as a step's one text: the text itself where there is but that, else their JSON object."""
        text = self.text_argument
        if text is not None and set(arguments) == {text} and isinstance(arguments[text], str):
            return str(arguments[text])
        return json.dumps(arguments, ensure_ascii=False)

    def arguments(self, argument: str) -> dict[str, Any]:
        """The named arguments in a step's text, as ``argument`` wrote it.

        Raises:
            ParseError: the tool takes more than one text, and ``argument`` is no JSON object.
        """
        if (text := self.text_argument) is not None:
            return {text: argument}
        try:
            arguments = json.loads(argument)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise ParseError(f"{self.name} takes a JSON object of arguments")
        return arguments

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments that the schema rules out by ``required``, ``type``, ``enum`` or a name that it lacks; what
        else it says is for the tool to check.

        Raises:
            ParseError: names the argument and what it may be.
        """
        schema = json.loads(self.parameters)
        properties = schema.get("properties", {})
        if missing := [name for name in schema.get("required", ()) if name not in arguments]:
            raise ParseError(f"{self.name} needs the argument {missing[0]}")
        for name, value in arguments.items():
            if name not in properties:
                if schema.get("additionalProperties", False) is False:
                    raise ParseError(f"{self.name} has no argument {name}; it takes {', '.join(properties) or 'none'}")
                continue
            about = properties[name] if isinstance(properties[name], dict) else {}
            wanted = about.get("type", [])
            kinds = [wanted] if isinstance(wanted, str) else wanted
            if kinds and not any(_is_a(value, kind) for kind in kinds):
                raise ParseError(f"{self.name} takes {name} as {' or '.join(map(str, kinds))}")
            if "enum" in about and value not in about["enum"]:
                raise ParseError(f"{self.name} takes {name} as one of {', '.join(map(str, about['enum']))}")

    def to_json(self) -> dict[str, Any]:
        """An object that ``from_json`` reads back equal."""
        return {"name": self.name, "description": self.description, "parameters": json.loads(self.parameters)}

    @classmethod
    def from_json(cls, row: Any, what: str) -> ToolSchema:
        """A schema from an object with ``name``, ``description`` and ``parameters``.

        Raises:
            DataError: it is none; ``what`` names it.
        """
        if not isinstance(row, Mapping):
            raise DataError(f"{what} is no object; expected {', '.join(_FIELDS)}")
        if unknown := sorted(set(row) - {*_FIELDS}):
            raise DataError(f"{what} has the unknown field {quoted(unknown[0])}; known are {', '.join(_FIELDS)}")
        name, description, parameters = row.get("name"), row.get("description", ""), row.get("parameters", {})
        if not isinstance(name, str) or not name or not isinstance(description, str):
            raise DataError(f"{what} needs a name and may have a description, both texts")
        if not isinstance(parameters, Mapping) or not isinstance(parameters.get("properties", {}), Mapping):
            raise DataError(f"the parameters of {what} are no JSON schema of an object")
        return cls(name, description, json.dumps(parameters, ensure_ascii=False, sort_keys=True))


def call_ids(first: int, count: int) -> list[str]:
    """Ids for ``count`` calls of a dialogue from the ``first`` on; of nine letters, as Mistral's templates want."""
    return [f"call{number:05}" for number in range(first, first + count)]


def _is_a(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(str(kind), (object,)))


SEARCH_TOOL = ToolSchema(
    "search", "Looks a text up and returns what is found.",
    '{"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}',
)  # fmt: skip
"""What a model is told where a dialogue says nothing of its tools: that it may search, as the paper's does."""
