"""What an MCP server says that it offers, as tools that a model can call: checked, since it is somebody else's word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fireact.errors import ConfigError, DataError, quoted
from fireact.trajectories.storage.reading import joined, printable
from fireact.trajectories.tool_schema import ToolSchema

_LONGEST_NAME = 64  # characters that OpenAI's API takes
_LONGEST = 2**16  # characters of a tool's description and schema
_NO_WORD = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool of a server, by the server's ``name``; ``entry`` is all that it says of it, as canonical JSON text."""

    name: str
    entry: str
    schema: ToolSchema


def entry_of(name: str, description: str, schema: Mapping[str, Any]) -> str:
    """The one text of what a server says of a tool."""
    return json.dumps([name, description, schema], ensure_ascii=False, sort_keys=True)


def listing_of(entries: Iterable[str]) -> str:
    """All entries of a server as one text, by name, whatever their order was."""
    return joined("\n".join(sorted(entries)))


def offered(listing: str, server: str, only: Sequence[str] | None, prefix: str) -> list[Offered]:
    """The tools in a ``listing``, in the order of ``only``; all of them, by name, where that is None.

    The server's names become words of letters, digits and ``_``, behind ``prefix``.

    Args:
        server: its name in messages.

    Raises:
        ConfigError: one of ``only`` is not offered, two get one name, or a schema is none that calls can be made by.
    """
    entries = {json.loads(entry)[0]: entry for entry in listing.split("\n") if entry}
    if not entries:
        raise ConfigError(f"{server} offers no tools; leave it out, or start it so that it does")
    for name in only or ():
        if name not in entries:
            names = ", ".join(map(quoted, list(entries)[:50]))
            raise ConfigError(f"{server} does not offer {quoted(name)}; choose for only from {names}")
    found: dict[str, Offered] = {}
    for name in entries if only is None else dict.fromkeys(only):
        tool = _tool(name, entries[name], server, prefix)
        if (other := found.get(tool.schema.name)) is not None:
            raise ConfigError(
                f"{server} offers {quoted(other.name)} and {quoted(name)}, which would both be called "
                f"{tool.schema.name}; choose one of them by only"
            )
        found[tool.schema.name] = tool
    return list(found.values())


def _tool(name: str, entry: str, server: str, prefix: str) -> Offered:
    ours, refusal = f"{prefix}{_NO_WORD.sub('_', name)}", f"{server} offers {quoted(name)}"
    _, description, parameters = json.loads(entry)
    if not name or len(ours) > _LONGEST_NAME:
        raise ConfigError(f"{refusal}, whose name has not 1 to {_LONGEST_NAME} characters; leave it out by only")
    if len(entry) > _LONGEST:
        raise ConfigError(
            f"{refusal} with a schema of more than {_LONGEST // 1024} Ki characters; leave it out by only"
        )
    try:
        if fault := _fault(parameters) or ("" if _is_json(parameters) else "it holds a number that is none"):
            raise DataError(fault)
        row = {"name": ours, "description": printable(description), "parameters": parameters}
        schema = ToolSchema.from_json(row, "it")
    except DataError as error:
        raise ConfigError(f"{refusal} with a schema that no call fits ({error}); leave it out by only") from None
    return Offered(name, entry, schema)


def _fault(parameters: Mapping[str, Any]) -> str:
    """What is wrong with the parts of a JSON schema that calls are checked by; nothing if they can be."""
    properties, required = parameters.get("properties", {}), parameters.get("required", [])
    if parameters.get("type", "object") != "object":
        return "its type is not object"
    if not isinstance(properties, dict) or not all(isinstance(about, dict | bool) for about in properties.values()):
        return "its properties are no schemas"
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return "what it requires is no list of names"
    open_ended = parameters.get("additionalProperties", False) is not False
    if not open_ended and (unknown := [name for name in required if name not in properties]):
        return f"it requires {quoted(unknown[0])}, which is not among its properties"
    for name, about in properties.items():
        kinds = about.get("type", []) if isinstance(about, dict) else []
        if not isinstance(kinds, str) and not (isinstance(kinds, list) and all(isinstance(k, str) for k in kinds)):
            return f"the type of {quoted(name)} is no name"
        if isinstance(about, dict) and not isinstance(about.get("enum", []), list):
            return f"the enum of {quoted(name)} is no list"
    return ""


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
