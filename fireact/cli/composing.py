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
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fireact.cli import helping, keys, naming
from fireact.cli.checking import check, check_added, check_given
from fireact.cli.choosing import choose
from fireact.cli.explaining import explain
from fireact.errors import ConfigError


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration another script would see, ``run_dir`` included; works inside a running script too.

    Raises:
        ConfigError: an override names what does not exist, or has a value that its key can't have.
    """
    register_resolvers()
    try:
        with hydra_ready():
            _refuse_no_options(OverridesParser.create().parse_overrides(list(overrides)))
            cfg = hydra.compose(config_name, list(overrides), return_hydra_config=True)
            whole = finished(cfg, cfg.hydra, cfg.hydra.run.dir)
            check(config_name, whole)
            return whole
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """``cfg`` as plain dictionaries, lists and scalars, every interpolation filled in."""
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return plain


def finished(cfg: DictConfig, context: Any, folder: str) -> DictConfig:
    """``cfg`` without Hydra's own part, from which ``run_dir``, ``experiment`` and ``cell`` come, and without ``auto``.

    Raises:
        ConfigError: the folder's path would be read as an interpolation, or a key was added that nothing reads.
    """
    if "${" in folder:
        raise ConfigError(f"the run folder {folder} holds ${{, which means an interpolation; choose another path")
    experiment, cell = context.runtime.choices.get("experiment"), naming.axes_of(cfg, context)
    with open_dict(cfg):
        cfg.pop("hydra", None)
    check_added(context.job.config_name, cfg, context.overrides.task)
    cfg.run_dir, cfg.experiment, cfg.cell = os.path.relpath(folder), experiment, cell
    choose(cfg)
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
    with hydra_ready():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # which glob() looks options up with
        theirs = parser.parse_overrides([argument for argument in arguments if argument not in flags])
        _refuse_no_options(theirs)
        plain = [str(o.input_line) for o in theirs if not o.is_sweep_override()]
        context = hydra.compose(config_name, plain, return_hydra_config=True).hydra
        if not (flags or context.mode == RunMode.MULTIRUN) or "BasicSweeper" not in context.sweeper._target_:
            return []
        axes = parser.parse_overrides([f"{key}={values}" for key, values in (context.sweeper.params or {}).items()])
        hydras = [str(o.input_line) for o in theirs if o.key_or_group.startswith("hydra")]
        ours = [o for o in [*axes, *theirs] if not o.key_or_group.startswith("hydra")]
        cells = [compose(config_name, [*hydras, *cell]) for cell in BasicSweeper.split_arguments(ours, None)[0]]
    for cell in cells:
        check_given(cell)
    _refuse_shared_folders(cells)
    return cells


def check_twice(overrides: Sequence[str]) -> None:
    """Refuse a key of which several values are to be run and which is given again: Hydra keeps the last alone.

    Raises:
        ConfigError: naming both.
    """
    given: dict[str, Override] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        other = given.setdefault(override.get_key_element().lstrip("+"), override)
        if other is not override and (other.is_sweep_override() or override.is_sweep_override()):
            raise ConfigError(f"{other.input_line} and {override.input_line} would lose values of one of them; give "
                              f"{override.key_or_group} once")


def shown(config_name: str, overrides: Sequence[str]) -> str:
    """The help, with what these overrides choose."""
    with hydra_ready():
        return helping.text(config_name, hydra.compose(config_name, list(overrides), return_hydra_config=True))


def check_experiment(config_name: str, overrides: Sequence[str]) -> None:
    """Refuse what Hydra merges in silence: two experiments at once, and keys that an experiment file misspells.

    Raises:
        ConfigError: naming the experiment file, the key and the closest one that exists.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    chosen = [override for override in parsed if override.key_or_group == "experiment"]
    if not chosen or chosen[-1].value() is None:
        return
    if chosen[-1].is_sweep_override() or len({str(override.input_line) for override in chosen}) > 1:
        given = " ".join(str(override.input_line) for override in chosen)
        raise ConfigError(f"{given} would lose a grid; run one experiment at a time")
    name = chosen[-1].value()
    others = [str(other.input_line) for other in parsed if other not in chosen and not other.is_sweep_override()]
    with hydra_ready():
        used = hydra.compose(config_name, [*others, f"experiment={name}"], return_hydra_config=True)
        with open_dict(used):
            choices = used.pop("hydra").runtime.choices
        ours = {group: option for group, option in choices.items() if not group.startswith(("hydra/", "experiment"))}
        same = [f"{group}={'null' if option is None else option}" for group, option in ours.items()]
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
            unnamed = ", ".join(key for key in sorted(naming.UNNAMED) if cfg.get(key) != other.get(key))
            why = f"they differ only in {unnamed}, which no folder is named by: sweep over something else" if unnamed \
                else "leave run_dir out, and name no value of an axis twice"
            raise ConfigError(f"two cells of this sweep would share {cfg.run_dir}; {why}")


def _refuse_no_options(overrides: Sequence[Override]) -> None:
    """Hydra says of an option that is no text, as in ``size=150``, neither which it is nor what there is."""
    for override in overrides:
        group, value = override.key_or_group, None if override.is_sweep_override() else override.value()
        if override.is_delete() or override.is_sweep_override() or isinstance(value, str | list):
            continue
        if (keys.CONF / group).is_dir():
            options = ", ".join(keys.options(group))
            hint = {"logger": ", or ~logger for none", "size": f", or size.n={value} for any number"}.get(group, "")
            raise ConfigError(f"{override.input_line} does not exist; choose one of {options}{hint}")
