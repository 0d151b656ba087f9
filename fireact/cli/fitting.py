"""Values that are right by themselves and don't fit together, as far as the configuration tells."""

from __future__ import annotations

import pkgutil

import hydra
from omegaconf import DictConfig, OmegaConf

from fireact.errors import ConfigError

_ORACLE = "fireact.miniwiki.oracle.Oracle"


def check_choices(cfg: DictConfig) -> None:
    """Refuse options that can't work with each other, whatever their values.

    Raises:
        ConfigError: why, and what to choose instead.
    """
    if "lm" in cfg:
        if "_target_" not in cfg.method:
            raise ConfigError(f"method={cfg.method.name} is a mix to train on; act with method=fireact or one of its "
                              "parts")
        is_oracle = cfg.lm.get("_target_") == _ORACLE
        if is_oracle and not hasattr(pkgutil.resolve_name(cfg.task._target_), "plan"):
            raise ConfigError(f"lm=oracle knows the answers of the miniwiki tasks only, not of task={cfg.task.name}; "
                              "choose lm=openai, lm=huggingface or lm=recorded")
    tunes = "adapter" in cfg and cfg.adapter.name != "none"
    if tunes and cfg.backbone.get("hub") is None and cfg.backbone.get("path") is None:
        raise ConfigError(f"backbone {cfg.backbone.name} has no weights to tune: it only answers through its "
                          "provider's API; choose another backbone or pass backbone.path=DIR")


def check_values(cfg: DictConfig) -> None:
    """Refuse values that can't be had together, each of which has been checked already.

    Raises:
        ConfigError: why, and what to choose instead.
    """
    if cfg.get("early_stop") and not cfg.get("val_fraction"):
        raise ConfigError("early_stop needs a validation loss; set val_fraction above 0")
    if "lm" not in cfg:
        if "max_length" in cfg and cfg.adapter.name != "none":
            _check_positions(cfg, "max_length", cfg.max_length)
        return
    budgets = [key for key in ("lm.budget_usd", "measure.lm.budget_usd") if OmegaConf.select(cfg, key) is not None]
    if budgets and cfg.journal.replay in ("off", False):  # YAML's bare off
        raise ConfigError(f"{budgets[0]} needs a journal, or every start of the command could spend it again; leave "
                          f"journal.replay=off out, or set {budgets[0]}=null")
    if {"max_context", "backbone"} <= {*cfg.lm}:
        context, answer = cfg.lm.max_context, cfg.lm.max_new_tokens
        if answer >= context:
            raise ConfigError(f"lm.max_new_tokens={answer} leaves no room for a prompt; choose less than "
                              f"lm.max_context={context}")
        _check_positions(cfg, "lm.max_context", context)


def _check_positions(cfg: DictConfig, key: str, tokens: int) -> None:
    if OmegaConf.is_missing(cfg.backbone, "path"):
        return  # which is refused where it is used
    positions = hydra.utils.instantiate(cfg.backbone).positions()
    if positions is not None and tokens > positions:
        raise ConfigError(f"{key}={tokens} must be at most {positions}, which is what backbone {cfg.backbone.name} "
                          "reads")
