"""Where a backbone's weights lie on this machine, without loading any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache


def local_folder(backbone: Mapping[str, Any]) -> Path | None:
    """The folder that holds the ``config.json`` of a ``backbone`` as it is configured; None where there is none yet."""
    if backbone.get("path") is not None:
        folder = Path(backbone["path"])
    elif backbone.get("embedded"):
        folder = Path(backbone["cache_dir"], "backbones", backbone["name"])
    elif backbone.get("hub") is None:
        return None
    else:
        found = try_to_load_from_cache(backbone["hub"], "config.json", revision=backbone.get("revision"))
        return Path(found).parent if isinstance(found, str) else None
    return folder if (folder / "config.json").is_file() else None
