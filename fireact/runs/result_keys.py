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
from fireact.cli.declared import HEAVY, UNKNOWN, Declared, declared, declared_by
from fireact.cli.schema import Generate, Train
from fireact.runs import editions

_KNOWN = ("fireact.", *HEAVY)  # whose classes may be named by any run folder
DEFAULTS = "defaults"
"""The key of a run folder's ``config.yaml`` that holds what was then the default of each key that is left out."""


def result_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a configuration, by dotted key, that decide what comes out."""
    return _leaves(config)[0]


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The declared defaults of the keys that a configuration leaves out and that decide what comes out, as leaves."""
    return _leaves(config)[1]


def config_hash(shaped: Mapping[str, Any]) -> str:
    """The SHA-256 of result keys."""
    return hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()


def differences(saved: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, saved value, value now) of each result key that differs; keys that both have come first.

    ``saved`` was written with its ``defaults`` of then, or, by an older version, without. What it left to a default and
    neither ``config`` nor any class says today is no difference. It may be a stranger's: no module is imported because
    it names one.
    """
    ours_now = _targets(config)
    for key, target in _targets(saved).items():
        if not target.startswith(_KNOWN) and target not in ours_now.values():
            yield key, target, ours_now.get(key, "absent")
            return
    said, left_out = _leaves({key: value for key, value in saved.items() if key != DEFAULTS})
    saved_defaults = saved.get(DEFAULTS)
    then = {**left_out, **(saved_defaults if isinstance(saved_defaults, Mapping) else {}), **said}
    said_now, left_out_now = _leaves(config)
    now = {**left_out_now, **said_now}
    for key in sorted({*then, *now}, key=lambda key: (key not in then or key not in now, key)):
        theirs, ours = then.get(key, "absent"), now.get(key, "absent")
        if theirs != ours and (key in now or key in said):
            yield key, theirs, ours


def _targets(value: Any, key: str = "") -> dict[str, str]:
    """Every ``_target_`` in a configuration, by its dotted key."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    found: dict[str, str] = {}
    for name, below in items:
        found |= {f"{key}_target_": str(below)} if name == "_target_" else _targets(below, f"{key}{name}.")
    return found


def _leaves(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a configuration says, and what it leaves to a default, of all that shapes results."""
    said, left_out = dict[str, Any](), dict[str, Any]()
    _collect(editions.without_effect(config), "", Generate if "lm" in config else Train, said, left_out)
    left_out = {key: default for key, default in left_out.items() if key not in editions.LATER}
    return {k: moved.first_name(v) if k.endswith("_target_") else v for k, v in said.items()}, left_out


def _collect(value: Any, key: str, section: Any, said: dict[str, Any], left_out: dict[str, Any]) -> None:
    if not isinstance(value, Mapping | list | tuple) or not value:
        said[key] = value
        return
    its, prefix = _declaration(value, section), f"{key}." if key else ""
    for name, below in value.items() if isinstance(value, Mapping) else enumerate(value):
        if not _has_no_effect(its, f"{prefix}{name}"):
            _collect(below, f"{prefix}{name}", its.section(str(name)), said, left_out)
    for name in its.defaults.keys() - value if isinstance(value, Mapping) else ():
        with suppress(TypeError, ValueError):  # what no configuration can say
            default = json.loads(json.dumps(its.defaults[name]))
            if not _has_no_effect(its, f"{prefix}{name}"):
                _collect(default, f"{prefix}{name}", None, left_out, left_out)


def _declaration(value: Any, section: Any) -> Declared:
    target = value.get("_target_") if isinstance(value, Mapping) else None
    if isinstance(target, str) and (its := declared(target)) is not UNKNOWN:
        return its
    return declared_by(section) if section else UNKNOWN


def _has_no_effect(its: Declared, key: str) -> bool:
    return key.rpartition(".")[2] in its.marks or not its.is_ours and editions.had_no_effect(key)
