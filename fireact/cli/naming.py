"""Names of run folders: every axis and every other override that shapes a run is in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fireact.cli.declared import declared_by
from fireact.cli.schema import SCRIPTS

# Overrides that choose where a run happens, how it is watched and what else it does: names leave them out.
_MARKS = [item for script in SCRIPTS.values() for item in declared_by(script).marks.items()]
UNNAMED = {"hydra", *(name for name, mark in _MARKS if not mark.named)}
_LONGEST_NAME = 160


def axes_of(cfg: DictConfig, context: Any) -> dict[str, str]:
    """What tells a run from the others of its script: the chosen options and values of its ``axes``, then every other
    override that shapes it, by key. ``context`` is Hydra's own part of the configuration.
    """
    choices, overrides = context.runtime.choices, _assignments(_lines(context))
    # A group of which several options are selected at once is missing from the choices.
    axes = {axis: str(choices.get(axis) or overrides.get(axis, cfg[axis])) for axis in cfg.axes}
    return {**axes, **{key: overrides[key] for key in sorted(overrides) if key.lstrip("+") not in axes}}


def cell(script: str, *, _root_: DictConfig) -> str:
    """The run folder below ``runs_dir``: the script, then the axes' values and every other override.

    >>> python train.py seed=1 optim.lr=1e-4
    train/smollm2_135m-qlora-react-miniwiki-all-seed1-optim.lr@1e-4
    """
    axes, groups = axes_of(_root_, _root_.hydra), _root_.hydra.runtime.choices
    chosen = [value if axis in groups else f"{axis}{value}" for axis, value in axes.items() if axis in _root_.axes]
    others = [f"-{axis}@{value}" for axis, value in axes.items() if axis not in _root_.axes]
    return f"{script}/{file_name('-'.join(chosen), ''.join(others))}"


def prompt(method: str, *, _root_: DictConfig) -> str | None:
    """The few-shot prompt of a method for the composed task, below ``fireact/agent/prompts``; None without a task."""
    task = OmegaConf.select(_root_, "task")
    return None if task is None else f"{task.get('prompts') or task.name}/{method}.txt"


def sweep_name(name: str, arguments: Sequence[str]) -> str:
    """A folder for what a whole sweep gives: its experiment or script, then the overrides that narrow or move it.

    >>> python train.py experiment=multi_method seed=0,1
    multi_method-seed@0,1
    """
    unnamed = UNNAMED - {"act"}
    others = [f"-{key}@{value}" for key, value in sorted(_assignments(arguments, unnamed).items())]
    return file_name(name, "".join(others), also=",")


def file_name(axes: str, extras: str = "", also: str = "") -> str:
    """A name safe as a file and, unquoted, as a value in an override; hashed where making it so lost something."""
    safe = re.sub(rf"[^\w.@+{also}-]+", "_", axes + extras)
    if safe == axes + extras and len(safe) <= _LONGEST_NAME:
        return safe
    digest = hashlib.sha256((axes + extras).encode()).hexdigest()[:8]
    return f"{safe[:_LONGEST_NAME]}-{digest}"


def _lines(context: Any) -> Any:
    return OmegaConf.to_container(context.overrides.task, resolve=False)


def _assignments(lines: Sequence[str], unnamed: set[str] = UNNAMED) -> dict[str, str]:
    """The overrides by key, but for those that no name holds."""
    pairs = (line.partition("=")[::2] for line in lines)
    return {key: value for key, value in pairs if re.split(r"[./@]", key.lstrip("+~"))[0] not in unnamed}
