"""The one package that touches Hydra: composes configurations, names run folders, runs the cells of a command, and
says in one sentence what a user did wrong.

It imports nothing heavy, so ``--help`` and every mistake in a command or a configuration file answer at once.
"""

from __future__ import annotations

from omegaconf import DictConfig

from fireact.app.checking import build, check_given
from fireact.app.command import main
from fireact.app.composing import compose, resolved
from fireact.app.explaining import explain

__all__ = ["Config", "build", "check_given", "compose", "explain", "main", "resolved"]

Config = DictConfig
