"""What an MCP tool answers, as the text that a model reads."""

from __future__ import annotations

import json
from typing import Any

from fireact.tools.base import NOTHING
from fireact.trajectories.storage.reading import printable


def text_of(content: list[Any], structured: Any = None) -> str:
    """The parts of a result, a line break between them; ``structured``, as JSON, where there are none.

    Of a part that is no text stands what it is. Control characters are escaped; "None" stands for no word at all.
    """
    parts = [_part(part) for part in content]
    if not parts and structured is not None:
        parts = [json.dumps(structured, ensure_ascii=False)]
    return printable("\n".join(parts).replace("\r\n", "\n")) or NOTHING


def _part(part: Any) -> str:
    """A text, or that of a resource which came along; else the name of what can't be read."""
    inside = getattr(part, "resource", part)
    if isinstance(text := getattr(inside, "text", None), str):
        return text
    facts = (getattr(inside, name, None) for name in ("mime_type", "uri"))
    return f"[{' '.join(map(str, filter(None, [part.type.replace('_', ' '), *facts])))}: not readable as text]"
