"""The one package that touches Hydra: composes configurations, names run folders, runs the cells of a command, and
says in one sentence what a user did wrong.

It imports nothing heavy, so ``--help`` and every mistake in a command or a configuration file answer at once.
"""

from __future__ import annotations

from omegaconf import DictConfig

from fireact.cli.checking import build, check_given
from fireact.cli.command import Sweep, main
from fireact.cli.composing import compose, resolved
from fireact.cli.explaining import explain

__all__ = ["Config", "Sweep", "build", "check_given", "compose", "explain", "main", "resolved"]

Config = DictConfig
