"""Values of the wrong kind (``task.limit=abc``), refused before anything works with them."""

from __future__ import annotations

import functools
import inspect
import json
import pkgutil
import types
import typing
from collections.abc import Mapping
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig

from fireact.app import keys
from fireact.errors import ConfigError

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def build(node: Any, **arguments: Any) -> Any:
    """What ``hydra.utils.instantiate`` makes of a node with a ``_target_``.

    Raises:
        ConfigError: an argument that its class declares as a number or a truth value is something else.
    """
    if isinstance(node, DictConfig):
        _check_arguments(node)
    return hydra.utils.instantiate(node, **arguments)


def check_numbers(config_name: str, cfg: DictConfig) -> None:
    """Refuse a top-level value that is no number or truth value although its default is one.

    Raises:
        ConfigError: naming the key.
    """
    for key, default in _defaults(config_name).items():
        if isinstance(default, bool | int | float):
            _refuse_other(key, cfg[key], {bool if isinstance(default, bool) else float})


@functools.cache
def _defaults(config_name: str) -> Mapping[str, Any]:
    files = [keys.CONF / f"{name}.yaml" for name in ("common", config_name)]
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()}


def _check_arguments(node: DictConfig) -> None:
    target = node.get("_target_")
    declared = _declared(target) if target else {}
    for key, hint in declared.items():
        if key in node and _kinds(hint) <= set(_NAMES):
            _refuse_other(node._get_full_key(key), node[key], _kinds(hint))
    for part in (node._get_node(key) for key in list(node)):
        if isinstance(part, DictConfig) and not part._is_none():
            _check_arguments(part)


def _declared(target: str) -> dict[str, Any]:
    """The annotations of a class's or a function's parameters; none where they can't be told."""
    try:
        found = pkgutil.resolve_name(target)
        return typing.get_type_hints(found.__init__ if inspect.isclass(found) else found)
    except (ImportError, AttributeError, NameError, TypeError, ValueError):  # what is amiss, instantiating says better
        return {}


def _kinds(hint: Any) -> set[Any]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return set(typing.get_args(hint)) if is_union else {hint}


def _refuse_other(key: str, value: Any, kinds: set[Any]) -> None:
    taken = kinds | ({int} if float in kinds else set())
    if type(value) not in taken:
        wanted = " or ".join(name for kind, name in _NAMES.items() if kind in kinds)
        written = json.dumps(value) if value is None or isinstance(value, bool) else value
        raise ConfigError(f"{key}={written} is not {wanted}; give it one")
