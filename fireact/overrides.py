"""How values are written down for a command line: in Hydra's grammar of overrides, and for a shell around it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

# What Hydra reads as text without quotes. Of it, Hydra would take these words for something else.
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@+-]*")
_WORDS = {"null", "true", "false", "nan", "inf"}


def override(key: str, value: Any) -> str:
    """``key=value`` such that Hydra gives ``key`` this very value: text with its quotes, ``${`` never interpolated.

    Args:
        value: None, a truth value, a number, text, or a list or a mapping of such.

    >>> override("runs_dir", "it's a=b")
    "runs_dir='it\\\\'s a=b'"
    """
    return f"{key}={written(value)}"


def command(script: str, overrides: Iterable[str]) -> str:
    """The line to type into a shell that runs ``script`` with these overrides."""
    return shlex.join(["python", script, *overrides])


def written(value: Any) -> str:
    """A value as an override holds it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{written(name)}:{written(below)}' for name, below in value.items())}}}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    """In single quotes. A backslash means itself, but before a quote (Hydra's grammar) or ``${`` (OmegaConf's)."""
    kept = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)\Z", r"\1\1", kept)) + "'"
