"""What of a configuration must not leave this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fireact.cli.secrets import variables


def without_secrets(config: Any) -> Any:
    """``config`` with ``$NAME`` for what the environment keeps under the name of a key, token, secret or password.

    Passwords inside addresses go too.
    """
    if isinstance(config, Mapping):
        return {key: without_secrets(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [without_secrets(value) for value in config]
    if not isinstance(config, str):
        return config
    for name, value in variables():
        config = config.replace(value, f"${name}")
    return re.sub(r"://[^/@\s]+@", "://", config)
