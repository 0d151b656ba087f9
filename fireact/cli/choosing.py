"""``auto`` in a composed configuration: replaced before anything names, hashes or builds with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from fireact.models import device
from fireact.models.choices import AUTO, KEYS, can_compile, chosen
from fireact.models.hub import local_folder
from fireact.models.shape import Shape


def choose(cfg: DictConfig) -> None:
    """Put a value in the place of every ``auto``: what its run folder was begun with, else what suits this machine.

    Raises:
        ConfigError: such a key has a value of another kind.
    """
    recorded = _recorded(Path(cfg.run_dir))
    for key in (key for key in KEYS if OmegaConf.select(cfg, key) == AUTO):
        if (value := OmegaConf.select(recorded, key)) is not None:
            OmegaConf.update(cfg, key, value)

    def shape() -> Shape | None:
        backbone: Any = OmegaConf.to_container(cfg.backbone, resolve=True)
        return Shape.of(local_folder(backbone))

    for key, value in chosen(lambda key: OmegaConf.select(cfg, key), device.found(), shape, can_compile()).items():
        OmegaConf.update(cfg, key, value)


def _recorded(folder: Path) -> DictConfig:
    """The configuration that the run folder was begun with; nothing where it is new or no run folder of ours."""
    try:
        saved: Any = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        saved = None
    return OmegaConf.create(saved if isinstance(saved, dict) else {})
