"""Every key of a configuration, checked before anything works with it: that it exists, its type and its range."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue

from fireact.cli import fitting
from fireact.cli.declared import UNKNOWN, Declared, declared, declared_by
from fireact.cli.keys import keys, no_option, top
from fireact.cli.schema import SCRIPTS, Group, Trainer
from fireact.cli.values import fault
from fireact.errors import ConfigError
from fireact.ranges import Text

_HYDRAS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
_MISSING = (MissingMandatoryValue, InterpolationToMissingValueError)
_ADDED = re.compile(r"\+\+?([A-Za-z_][\w.]*)=")


def build(node: Any, **arguments: Any) -> Any:
    """What ``hydra.utils.instantiate`` makes of a node with a ``_target_``.

    Raises:
        ConfigError: an argument is not what its class declares.
    """
    _check_arguments(node)
    return hydra.utils.instantiate(node, **arguments)


def check(config_name: str, cfg: DictConfig) -> None:
    """Refuse a value that is not what its key's declaration says, and values that do not fit together.

    Keys are declared by the class that their node's ``_target_`` names, in its annotations, so a class of the user's
    own is checked too; those that belong to no class, in ``fireact.cli.schema``.

    Raises:
        ConfigError: naming the first such key, its value and what it may be.
    """
    if config_name in SCRIPTS:
        _check_section(cfg, SCRIPTS[config_name])
        fitting.check_choices(cfg)
    for name in _used(cfg):
        _check_arguments(_below(cfg, name))
    if config_name in SCRIPTS:
        fitting.check_values(cfg)


def check_given(cfg: DictConfig) -> None:
    """Refuse a configuration in which a class lacks an argument that it can't do without.

    Raises:
        ConfigError: naming the key.
    """
    for node in (node for name in _used(cfg) for node in _nodes(_below(cfg, name))):
        is_whole = not node.get("_partial_") and "_args_" not in node
        absent = declared(node["_target_"]).required - {*node} if is_whole else ()
        for name in sorted({*absent, *(str(name) for name in node if OmegaConf.is_missing(node, name))}):
            raise _no_value(node, name)


def check_added(config_name: str, cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a new key (``+key=value``) that nothing reads: no script, no class and no other key (``${key}``).

    Raises:
        ConfigError: naming it.
    """
    if config_name not in SCRIPTS:
        return
    known, its = top(config_name), declared_by(SCRIPTS[config_name])
    for key in (added[1] for added in map(_ADDED.match, overrides) if added):
        inner, _, name = key.rpartition(".")
        section = its.section(inner) if "_target_" not in cfg.get(inner, ()) else None
        is_read = name in declared_by(section).hints if section else key.split(".")[0] in known
        if not is_read and f"${{{key}" not in OmegaConf.to_yaml(cfg):
            raise ConfigError(f"+{key} is read by nothing, for {key}{no_option(key, [*known, *keys(cfg)])}")


def _used(cfg: DictConfig) -> Iterator[str]:
    """The keys at the top but for those of which nothing is built: what tunes where nothing is tuned, and weights where
    none act.
    """
    idle = {"optim", "trainer"} if "adapter" in cfg and "_target_" not in cfg.adapter else set()
    idle |= {"backbone"} if "lm" in cfg and "backbone" not in cfg.lm else set()
    # What tunes goes last, for its values come out of what the others choose.
    return iter(sorted((str(name) for name in cfg if name not in idle), key=lambda name: name == "optim"))


def _check_section(section: DictConfig, declaration: Any) -> None:
    its = declared_by(declaration)
    for name, hint in its.hints.items():
        if name not in section:
            if name in its.required:
                raise _no_value(section, name)
            continue
        inner, is_mapping = its.section(name), isinstance(section._get_node(name), DictConfig)
        if inner and is_mapping:
            _check_section(section[name], inner)
        elif not (is_mapping and hint == Group):  # its class says the rest
            _check_value(section, name, Group if inner else hint)


def _check_arguments(node: Any) -> None:
    for part in _nodes(node):
        _check_value(part, "_target_", Text)
        its = _declared(part)
        for name in (str(name) for name in part if name not in _HYDRAS):
            if name in its.hints:
                _check_value(part, name, its.hints[name])
            elif not its.is_open:
                key, known = part._get_full_key(name), [str(part._get_full_key(other)) for other in its.hints]
                raise ConfigError(f"{key}{no_option(key, known)}")


def _declared(node: DictConfig) -> Declared:
    its = declared(node["_target_"])
    if its is UNKNOWN and node._key() == "trainer" and not {*node} <= {*_HYDRAS, *declared_by(Trainer).hints}:
        return declared(node["_target_"], at_any_cost=True)  # somebody added an argument
    return its


def _no_value(node: DictConfig, name: str) -> ConfigError:
    key = node._get_full_key(name)
    return ConfigError(f"{key} has no value; add {key}=VALUE to the command")


def _check_value(node: DictConfig, name: str, hint: Any) -> None:
    try:
        value = node[name]
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except _MISSING:
        return
    if not _is_built(value) and (sentence := fault(str(node._get_full_key(name)), value, hint)):
        raise ConfigError(sentence)


def _is_built(value: Any) -> bool:
    """Whether a class is made of it, or of a part of it: then it is no value yet."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict) and "_target_" in value or any(map(_is_built, parts))


def _nodes(node: Any) -> Iterator[DictConfig]:
    """Every node with a ``_target_`` in ``node``, itself included; what is but a reference is left to its place."""
    if isinstance(node, DictConfig) and "_target_" in node:
        yield node
    names = [*node] if isinstance(node, DictConfig) else range(len(node)) if isinstance(node, ListConfig) else []
    for name in names:
        yield from _nodes(_below(node, name))


def _below(node: Any, name: Any) -> Any:
    """What stands at ``name``; None for a reference to something else, or where a value is missing."""
    return None if OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name) else node[name]
