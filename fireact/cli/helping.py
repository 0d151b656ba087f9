"""What ``--help`` shows: the options of every group, and every key with its value and what its file says of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml
from omegaconf import OmegaConf

from fireact.cli import keys

_LINE = re.compile(r"(?P<indent> *)(?:(?P<key>[\w.@/-]+):)?(?P<rest>.*)")
_COMMENT = re.compile(r"(?:^|\s)#\s?(?P<text>.*)$")
_ACT = {"task": "task", "search": "search", "method": "method", "prompted": "method"}  # lists of options of a group


def text(config_name: str, composed: Any) -> str:
    """The help of a script whose configuration, Hydra's own part included, was ``composed``."""
    part, choices = composed.hydra.help, composed.hydra.runtime.choices
    files = [keys.CONF / f"{name}.yaml" for name in ("common", config_name)]
    chosen = [(group, option) for group, option in choices.items() if option and group in keys.groups()]
    files += [file for group, option in chosen for file in _files(keys.CONF / group / f"{option}.yaml")]
    comments = {key: said for file in files for key, said in _comments(file)}
    own = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
    return Template(part.template).safe_substitute(
        APP_CONFIG_GROUPS="".join(f"{line}\n" for line in _groups(choices, own.get("act") or {})),
        CONFIG="".join(
            f"{line}  # {comments[key]}\n" if key in comments else f"{line}\n"
            for key, line in _keys(OmegaConf.to_yaml(own).splitlines())
        ),
    )


def _groups(choices: Container[str], act: Container[str]) -> Iterator[str]:
    for group in (group for group in keys.groups() if group in choices):
        yield f"{group}: {', '.join(keys.options(group))}"
    for key, group in _ACT.items():
        if key in act:
            yield f"act.{key} (a list): {', '.join(keys.options(group))}"


def _files(option: Path) -> list[Path]:
    """The file of an option after those of its group that it begins with, whose comments hold for it too."""
    defaults = yaml.safe_load(option.read_text(encoding="utf-8")).get("defaults", [])
    above = [name for name in defaults if isinstance(name, str) and name != "_self_"]
    return [*(file for name in above for file in _files(option.with_name(f"{name}.yaml"))), option]


def _keys(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(dotted key, line) of each line of a YAML text; the key is "" for what is none, such as an entry of a list."""
    above: list[tuple[int, str]] = []
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or found["key"] is None:
            yield "", line
            continue
        above = [(indent, key) for indent, key in above if indent < len(found["indent"])]
        above.append((len(found["indent"]), found["key"]))
        yield ".".join(key for _, key in above), line


def _comments(file: Path) -> Iterator[tuple[str, str]]:
    """What the file says at the end of the lines of its keys, and at its head of the group whose option it is."""
    lines = file.read_text(encoding="utf-8").splitlines()
    is_global = lines[0] == "# @package _global_"
    group = "" if file.parent == keys.CONF else file.parent.name
    head = [line[2:] for line in itertools.takewhile(lambda line: line.startswith("# "), lines[is_global:])]
    if group and head:
        yield group, " ".join(head)
    prefix = "" if is_global or not group else f"{group}."
    for key, line in _keys(lines):
        if key and (said := _COMMENT.search(line)):
            yield prefix + key, said["text"]
