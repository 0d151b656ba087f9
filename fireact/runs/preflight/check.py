"""The form that all checks have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fireact.cli import Config


@dataclass(frozen=True)
class Check:
    """Something to look at before a run: ``look`` raises the ``FireActError`` that the run would end in.

    ``reads`` names the keys of a configuration that decide the outcome; two cells that agree in them are one case.
    ``look`` may return a line to say where all is not lost, such as memory that may be short.
    """

    look: Callable[[Config], str | None]
    reads: tuple[str, ...]
