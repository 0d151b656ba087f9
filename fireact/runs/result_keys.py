"""Which keys of a configuration decide what comes out of a run, and whether two configurations are the same run.

Whether a key shapes results is said where it is declared: ``NoEffect`` in the annotation of a class's parameter, or in
``fireact.cli.schema``. A key that is left out stands for its declared default.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from fireact import moved
from fireact.cli.declared import UNKNOWN, Declared, declared, declared_by
from fireact.cli.schema import Generate, Train
from fireact.runs import editions

DEFAULTS = "defaults"
"""The key of a run folder's ``config.yaml`` that holds what was then the default of each key that is left out."""


def result_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a configuration, by dotted key, that decide what comes out."""
    return {
        key: moved.first_name(leaf) if key.endswith("_target_") else leaf
        for key, leaf, is_default in _leaves(config)
        if not is_default
    }


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The declared defaults of the keys that a configuration leaves out and that decide what comes out, as leaves."""
    return {key: leaf for key, leaf, is_default in _leaves(config) if is_default}


def config_hash(shaped: Mapping[str, Any]) -> str:
    """The SHA-256 of result keys."""
    return hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()


def differences(saved: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, saved value, value now) of each result key that differs; keys that both have come first.

    ``saved`` was written with its ``defaults`` of then, or, by an older version, without. What it left to a default and
    neither ``config`` nor any class says today is no difference.
    """
    recorded = saved.get(DEFAULTS) or {}
    saved = {key: value for key, value in saved.items() if key != DEFAULTS}
    then = {**defaults(saved), **recorded, **(said := result_keys(saved))}
    now = {**defaults(config), **result_keys(config)}
    for key in sorted({*then, *now}, key=lambda key: (key not in then or key not in now, key)):
        if key not in now and key not in said:
            continue
        theirs, ours = then.get(key, "absent"), now.get(key, "absent")
        if theirs != ours:
            yield key, theirs, ours


def _leaves(config: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    return _below(editions.without_effect(config), "", Generate if "lm" in config else Train)


def _below(value: Any, key: str, section: type[Any] | None = None) -> Iterator[tuple[str, Any, bool]]:
    """(key, leaf, whether it is a default) of all below ``key`` that shapes results."""
    if not isinstance(value, Mapping | list | tuple) or not value:
        yield key, value, False
        return
    its = _declaration(value, section)
    for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        place = f"{key}.{name}" if key else str(name)
        if not _has_no_effect(its, place):
            yield from _below(part, place, its.section(str(name)))
    for name in its.defaults.keys() - value if isinstance(value, Mapping) else ():
        place = f"{key}.{name}" if key else name
        with suppress(TypeError, ValueError):  # what no configuration can say
            default = json.loads(json.dumps(its.defaults[name]))
            if not _has_no_effect(its, place):
                yield from ((inner, leaf, True) for inner, leaf, _ in _below(default, place))


def _declaration(value: Any, section: type[Any] | None) -> Declared:
    target = value.get("_target_") if isinstance(value, Mapping) else None
    if isinstance(target, str) and (its := declared(target)) is not UNKNOWN:
        return its
    return declared_by(section) if section else UNKNOWN


def _has_no_effect(its: Declared, key: str) -> bool:
    return key.rpartition(".")[2] in its.marks or not its.is_ours and editions.had_no_effect(key)
