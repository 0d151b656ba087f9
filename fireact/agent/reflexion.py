"""Reflexion as the paper simplifies it (after Shinn et al. 2023): ReAct, made to reflect at given rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fireact.agent.react import ReAct
from fireact.ranges import Count


class Reflexion(ReAct):
    """At each round of ``reflect_at`` (the paper: 6 and 10) the model's thought is begun for it."""

    def __init__(self, *args: Any, reflect_at: Sequence[Count] = (6, 10), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reflect_at = tuple(reflect_at)

    def prefill(self, round_: int) -> str:
        """A forced reflection, or nothing."""
        if round_ not in self._reflect_at:
            return ""
        return f"Thought: I have not solved this within {round_ - 1} steps, so let me reflect on how to search better."
