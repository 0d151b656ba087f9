"""Cells of a sweep that lack trajectories: left out of an experiment's axes, refused where the command names them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from fireact.cli.checking import build
from fireact.errors import ConfigError
from fireact.trajectories.storage import folders


def left_out(cells: Sequence[DictConfig], arguments: Sequence[str]) -> tuple[list[DictConfig], list[str]]:
    """The cells that are left, and a sentence on those that are not.

    Raises:
        ConfigError: the command itself asks for what there is not, or nothing is left.
    """
    asked = _axes(arguments)
    left, without = [], dict[tuple[str, str, str], dict[str, None]]()
    for cfg in cells:
        lack = build(cfg.data).lack() if "data" in cfg and cfg.adapter.name != "none" else None
        if lack is None:
            left.append(cfg)
        elif lack.axis in asked or cfg.experiment is None:
            raise ConfigError(f"method={cfg.method.name} on data={cfg.cell['data']}: {lack.sentence}")
        else:
            without.setdefault((lack.axis, cfg.cell["data"], lack.sentence), {})[cfg.cell[lack.axis]] = None
    said = [f"{axis}={','.join(values)} on data={data}: {why}" for (axis, data, why), values in without.items()]
    if cells and not left:
        raise ConfigError(f"no cell of this sweep can be run; {'; '.join(said)}")
    return left, said


def forget(folder: Path) -> None:
    """Remove what Hydra makes for a cell that is left out: a folder with nothing but its own log."""
    with suppress(OSError):
        logs = list(folder.iterdir())
        if all(map(folders.is_own_log, logs)):
            for log in logs:
                log.unlink()
            folder.rmdir()


def _axes(arguments: Sequence[str]) -> set[str]:
    """The axes that a command names itself; how many trajectories, it can say by ``data`` too."""
    keys = [argument.partition("=")[0].lstrip("+") for argument in arguments if "=" in argument]
    sizes = {"size" for key in keys if key.startswith(("data.size", "data.counts"))}
    return {key.split(".")[0] for key in keys} | sizes
