"""What newer keys mean for runs that were made before them: these stay finished wherever they would come out the same.

The first edition shared ``size`` out over all tasks and methods, left out failed trajectories of released data too, and
had no keys for either. What is a list of actions and a name of ReAct now, it had a class for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireact import moved

# What a class of a user's own need not mark as without effect, since it never had any there: by name, ...
_ANYWHERE = {"at_most", "cache_dir", "contact", "limits"}
# ... and as arguments of a language model.
_OF_MODELS = {
    "adapter", "api_key_env", "budget_usd", "cache_gib", "concurrency", "max_retries", "prices", "requests_per_minute",
    "stream", "timeout_s", "tokens_per_minute",
}  # fmt: skip


def had_no_effect(key: str) -> bool:
    """Whether a key of a class that marks nothing decided nothing when there was no mark."""
    above, _, name = key.rpartition(".")
    return name in _ANYWHERE or above == "lm" and name in _OF_MODELS


# Groups that came later, of which a run without them has nothing at all.
LATER = {"measure", "tools"}
_REACT, _FIREACT = "fireact.methods.react.ReAct", "fireact.methods.fireact.FireAct"
_IO, _COT = "fireact.methods.io.IO", "fireact.methods.cot.CoT"
_BEFORE = {"thinking": "none", "template_args": {}}  # what a backbone or a model without these keys is


def without_effect(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """``config`` as the first edition wrote it: by its classes, less what decides nothing of data and backbones."""
    config = _with_its_backbone(_with_its_class(config))
    if isinstance(lm := config.get("lm"), Mapping):
        config = {**config, "lm": _as_before(_with_its_backbone(lm))}
    data = config.get("data")
    if not isinstance(data, Mapping) or "share_out" not in data:
        return config
    kept = dict(data)
    if data["share_out"] or data.get("size") is None or _is_alone(data):
        kept = {key: value for key, value in data.items() if key not in ("share_out", "proportions")}
    if not data.get("right_only", True) and not _has_failed(data):
        kept["right_only"] = True
    return {**config, "data": kept}


def _with_its_backbone(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """``part`` of a configuration with its backbone, if it has one, less what says what is so without saying."""
    backbone = part.get("backbone")
    return {**part, "backbone": _as_before(backbone)} if isinstance(backbone, Mapping) else part


def _as_before(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in part.items() if key not in _BEFORE or value != _BEFORE[key]}


def _with_its_class(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """``method`` without ``actions``, where a class of the first edition says which there are."""
    method = config.get("method")
    if not isinstance(method, Mapping) or "_target_" not in method:
        return config
    first, actions = moved.first_name(str(method["_target_"])), method.get("actions")
    if first in (_IO, _COT) or first == _REACT and actions == ["finish"]:
        target = _IO if method.get("name") == "io" else _COT
    elif first in (_REACT, _FIREACT) and actions in (None, ["search", "finish"]):
        target = _FIREACT if method.get("name") == "fireact" else _REACT
    else:
        return config
    kept = {key: value for key, value in method.items() if key != "actions"}
    return {**config, "method": {**kept, "_target_": target}}


def _is_alone(data: Mapping[str, Any]) -> bool:
    """Whether there is one method on one task, or on all of them where no proportions tell these apart."""
    return len(data["methods"]) == 1 and len(data.get("proportions") or "?") == 1


def _has_failed(data: Mapping[str, Any]) -> bool:
    """Whether failed trajectories of the wanted methods were released; where that is not known, they may have been."""
    if not data.get("released"):
        return True
    rows = (data["released"].get("failed") or {}).values()
    return any(row.get(method) for row in rows for method in data["methods"])
