"""Values that are right by themselves and don't fit together, as far as the configuration tells."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator

import hydra
from omegaconf import DictConfig

from fireact.errors import ConfigError

_ORACLE = "fireact.miniwiki.oracle.Oracle"


def check_choices(cfg: DictConfig) -> None:
    """Refuse options that can't work with each other, whatever their values.

    Raises:
        ConfigError: why, and what to choose instead.
    """
    _refuse(_choices_to_act(cfg) if "lm" in cfg else _choices_to_tune(cfg) if "adapter" in cfg else ())


def check_values(cfg: DictConfig) -> None:
    """Refuse values that can't be had together, each of which has been checked already.

    Raises:
        ConfigError: why, and what to choose instead.
    """
    if cfg.get("early_stop") and not cfg.get("val_fraction"):
        raise ConfigError("early_stop needs a validation loss; set val_fraction above 0")
    if "lm" in cfg and cfg.lm.get("budget_usd") is not None and cfg.journal.replay in ("off", False):  # YAML's bare off
        raise ConfigError("lm.budget_usd needs a journal, or every start of the command could spend it again; leave "
                          "journal.replay=off out, or set lm.budget_usd=null")
    if "lm" in cfg and {"max_context", "backbone"} <= {*cfg.lm}:
        _refuse(_too_long(cfg))


def _refuse(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        raise ConfigError(sentence)


def _choices_to_tune(cfg: DictConfig) -> Iterator[str]:
    backbone = cfg.backbone
    if cfg.adapter.name != "none" and backbone.get("hub") is None and backbone.get("path") is None:
        yield (f"backbone {backbone.name} has no weights to tune: it only answers through its provider's API; choose "
               "another backbone or pass backbone.path=DIR")


def _choices_to_act(cfg: DictConfig) -> Iterator[str]:
    lm, method = cfg.lm, cfg.method
    if "_target_" not in method:
        yield f"method={method.name} is a mix to train on; act with method=fireact or one of its parts"
    if lm.get("_target_") == _ORACLE and not hasattr(pkgutil.resolve_name(cfg.task._target_), "plan"):
        yield (f"lm=oracle knows the answers of the miniwiki tasks only, not of task={cfg.task.name}; choose "
               "lm=openai, lm=huggingface or lm=recorded")


def _too_long(cfg: DictConfig) -> Iterator[str]:
    context, answer = cfg.lm.max_context, cfg.lm.max_new_tokens
    if answer >= context:
        yield f"lm.max_new_tokens={answer} leaves no room for a prompt; choose less than lm.max_context={context}"
    positions = hydra.utils.instantiate(cfg.backbone).positions()
    if positions is not None and context > positions:
        yield f"lm.max_context={context} must be at most {positions}, which is what backbone {cfg.backbone.name} reads"
