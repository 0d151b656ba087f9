"""Configurations composed by Hydra: of a running script, of another script, of every cell of a sweep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fireact.app import keys, naming
from fireact.app.checking import check_numbers
from fireact.app.choosing import settle
from fireact.app.explaining import explain
from fireact.errors import ConfigError


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration another script would see, ``run_dir`` included; works inside a running script too.

    Raises:
        ConfigError: an override names what does not exist, or is not the number that it should be.
    """
    register_resolvers()
    try:
        with hydra_ready():
            cfg = hydra.compose(config_name, list(overrides), return_hydra_config=True)
            whole = finished(cfg, cfg.hydra, cfg.hydra.run.dir)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    check_numbers(config_name, whole)
    return whole


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """``cfg`` as plain dictionaries, lists and scalars, every interpolation filled in."""
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return plain


def finished(cfg: DictConfig, context: Any, folder: str) -> DictConfig:
    """``cfg`` without Hydra's part, which gives ``run_dir``, ``experiment`` and ``cell``, and without any ``auto``."""
    experiment, cell = context.runtime.choices.get("experiment"), naming.axes_of(cfg, context)
    with open_dict(cfg):
        cfg.pop("hydra", None)
    cfg.run_dir, cfg.experiment, cfg.cell = os.path.relpath(folder), experiment, cell
    settle(cfg)
    return cfg


def plan(config_name: str, arguments: Sequence[str]) -> list[DictConfig]:
    """The configuration of every cell that these arguments of a sweep will run, in order; none where they don't sweep.

    So every cell is checked before the first is paid for. Only Hydra's basic sweeper knows its cells beforehand.

    Raises:
        ConfigError: two cells would share a folder, as where an axis is missing from their names.
    """
    flags = [argument for argument in arguments if argument.startswith("-")]
    if any(flag not in ("-m", "--multirun") for flag in flags):
        return []
    parser = OverridesParser.create()
    theirs = parser.parse_overrides([argument for argument in arguments if argument not in flags])
    with hydra_ready():
        plain = [str(o.input_line) for o in theirs if not o.is_sweep_override()]
        context = hydra.compose(config_name, plain, return_hydra_config=True).hydra
        if not (flags or context.mode == RunMode.MULTIRUN) or "BasicSweeper" not in context.sweeper._target_:
            return []
        axes = parser.parse_overrides([f"{key}={values}" for key, values in (context.sweeper.params or {}).items()])
        hydras = [str(o.input_line) for o in theirs if o.key_or_group.startswith("hydra")]
        ours = [o for o in [*axes, *theirs] if not o.key_or_group.startswith("hydra")]
        cells = [compose(config_name, [*hydras, *cell]) for cell in BasicSweeper.split_arguments(ours, None)[0]]
    _refuse_shared_folders(cells)
    return cells


def check_experiment(config_name: str, overrides: Sequence[str]) -> None:
    """Refuse what Hydra merges in silence: two experiments at once, and keys that an experiment file misspells.

    Raises:
        ConfigError: naming the experiment file, the key and the closest one that exists.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    chosen = [override for override in parsed if override.key_or_group == "experiment"]
    if not chosen or chosen[-1].value() is None:
        return
    if chosen[-1].is_sweep_override():
        raise ConfigError(f"{chosen[-1].input_line} would lose both grids; run one experiment at a time")
    name = chosen[-1].value()
    others = [str(other.input_line) for other in parsed if other not in chosen and not other.is_sweep_override()]
    with hydra_ready():
        used = hydra.compose(config_name, [*others, f"experiment={name}"], return_hydra_config=True)
        with open_dict(used):
            choices = used.pop("hydra").runtime.choices
        same = [f"{group}={'null' if option is None else option}" for group, option in choices.items() if _ours(group)]
        plain = hydra.compose(config_name, [*others, *same])
    known = set(keys.keys(plain))
    for key in keys.keys(used):
        if key not in known:
            raise ConfigError(f"conf/experiment/{name}.yaml sets {key}, which{keys.no_option(key, known)}")


def register_resolvers() -> None:
    """Make ``${cell:…}`` and ``${prompt:…}`` known."""
    OmegaConf.register_new_resolver("cell", naming.cell, replace=True)
    OmegaConf.register_new_resolver("prompt", naming.prompt, replace=True)


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Use the Hydra of the running script, or one for this block only."""
    if GlobalHydra.instance().is_initialized():
        yield
    else:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(keys.CONF)):
            yield


def _refuse_shared_folders(cells: Sequence[DictConfig]) -> None:
    owners: dict[str, DictConfig] = {}
    for cfg in cells:
        other = owners.setdefault(cfg.run_dir, cfg)
        if other is not cfg:
            unnamed = ", ".join(key for key in ("act", "logger") if cfg.get(key) != other.get(key))
            why = f"they differ only in {unnamed}, which no folder is named by: sweep over something else" if unnamed \
                else "leave run_dir out, and name no value of an axis twice"
            raise ConfigError(f"two cells of this sweep would share {cfg.run_dir}; {why}")


def _ours(group: str) -> bool:
    return group != "experiment" and not group.startswith("hydra/")
