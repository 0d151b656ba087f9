"""Keys and passwords have no place in a command or a configuration: both are named, written and shown.

They come from the environment alone. What is refused is known by its form; the refusal does not repeat it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fireact.errors import ConfigError

_NAMES = r"(?:api|access|auth|secret|private)?[-_.]?(?:key|token)|passw(?:or)?d|pwd|secret|authorization|bearer|cookie"
_WORDS = r"api[-_]?key|x-api-key|access[-_]?token|auth[-_]?token|token|password|passwd|pwd|secret|authorization|cookie"
_FORMS = (
    re.compile(r"[A-Za-z][\w+.-]*://[^/?#@\s]+@"),  # a user, perhaps with a password, before the host
    re.compile(rf"://\S*?[?&;#](?:[\w.-]*[-_.])?(?:{_NAMES}|sig(?:nature)?)=[^&;#\s]", re.IGNORECASE),
    re.compile(r"\b(?:sk-|sk_|hf_|ghp_|github_pat_|glpat-|xox[abp]-|AKIA)[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bBearer\s+\S", re.IGNORECASE),
)
# A key called so holds a secret itself; api_key_env names where one is, tokens_per_minute and end_token are others.
_KEY = re.compile(rf"(?:.*\.)?(?:{_WORDS})", re.IGNORECASE)
_WITHIN = re.compile(rf"[{{,]\s*[\"']?(?:{_WORDS})[\"']?\s*:\s*(?!null\b|[}}\s,])", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"key|token|secret|password", re.IGNORECASE)
_ENDS = re.compile(r"(?:^|_)(?:key|token|secret|password)$", re.IGNORECASE)  # unlike TOKENIZER_PATH
_SHORTEST = 8  # characters of a variable's value that is taken for a secret


def variables() -> Iterator[tuple[str, str]]:
    """The environment's variables that by their names hold secrets, and their values."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.search(name):
            yield name, value


def refuse_in(overrides: Iterable[str]) -> None:
    """Refuse a command that holds a secret, before anything is named after it.

    Raises:
        ConfigError: naming the key alone.
    """
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        _refuse(key, value)
        if _WITHIN.search(value):
            raise _refusal(key)


def refuse(config: Mapping[str, Any]) -> None:
    """The same of a configuration, which a file may have brought or a variable filled in.

    Raises:
        ConfigError: naming the key alone.
    """
    for key, value in _leaves(config, ""):
        _refuse(key, value)


def _refuse(key: str, value: str) -> None:
    named = bool(_KEY.fullmatch(key)) and value not in ("", "null")
    known = (secret for name, secret in variables() if _ENDS.search(name) and not os.path.exists(secret))
    if named or any(form.search(value) for form in _FORMS) or any(secret in value for secret in known):
        raise _refusal(key)


def _refusal(key: str) -> ConfigError:
    return ConfigError(f"{key} holds a key, a token or a password, which would stand in names and files; put it into "
                       "an environment variable, such as the one that lm.api_key_env names")


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(below, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _leaves(below, key)
    elif isinstance(value, str):
        yield key, value
