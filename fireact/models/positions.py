"""How long a text a model is made for, from its config.json alone: no weights, no torch and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fireact.errors import ModelError
from fireact.models.backbone import Backbone

_LONGEST = ("max_position_embeddings", "n_positions", "max_seq_len")


def of(backbone: Backbone) -> int | None:
    """See ``Backbone.positions``."""
    file = _file(backbone)
    if file is None or not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        config = config.get("text_config") or config
        longest = next((config[key] for key in _LONGEST if config.get(key)), None)
        return None if longest is None else max(int(longest), _scaled(config, longest))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file} is no configuration of a model ({error}); copy it there again") from error


def _file(backbone: Backbone) -> Path | None:
    if backbone.path is not None:
        return Path(backbone.path, "config.json")
    if backbone.embedded:
        return Path(backbone.cache_dir, "backbones", backbone.name, "config.json")
    if backbone.hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(backbone.hub, "config.json", revision=backbone.revision)
    return Path(found) if isinstance(found, str) else None


def _scaled(config: dict[str, Any], longest: int) -> int:
    """Where rotary positions are stretched (linear, dynamic or YaRN), the model reads so many times more."""
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    factor, original = scaling.get("factor") or 1.0, scaling.get("original_max_position_embeddings") or longest
    return int(original * factor)
