"""The keys and groups that a configuration has, and the closest one to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf"


def keys(cfg: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a configuration, whatever its value."""
    for key in cfg:
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(cfg, key) and OmegaConf.is_dict(node := cfg._get_node(key)) and not node._is_none():
            yield from keys(node, f"{prefix}{key}.")


def top(config_name: str) -> set[str]:
    """The keys at the top that the files of ``conf`` give a script, and the groups."""
    files = [CONF / f"{name}.yaml" for name in ("common", config_name)]
    return {*groups(), *(key for file in files for key in yaml.safe_load(file.read_text(encoding="utf-8")))}


def groups() -> list[str]:
    """The groups of ``conf`` that are ours."""
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra")


def options(group: str) -> list[str]:
    """The options of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def no_option(key: str, known: Iterable[str]) -> str:
    """The rest of a sentence that begins with ``key``, which is not among the ``known``."""
    known = sorted({*known} - {key})
    close = [other for other in known if other.endswith(f".{key}")] or difflib.get_close_matches(key, known, n=1)
    return f" is no option; did you mean {close[0]}?" if close else " is no option; --help shows them all"
