"""The seam for methods, and what an acted-out question looks like before anyone has scored it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fireact.lms.base import LanguageModel
from fireact.tools.base import SearchTool
from fireact.trajectories.records import Ending, Question, Step, Usage


@dataclass(frozen=True, slots=True)
class Episode:
    """What a method did with one question. ``error`` says why a model or tool failed, and is empty otherwise."""

    steps: tuple[Step, ...]
    ending: Ending
    answer: str
    usage: Usage
    error: str = ""


class Method(Protocol):
    """A way of acting. ``name`` stands in every trajectory."""

    name: str

    async def run(self, question: Question, lm: LanguageModel, search: SearchTool) -> Episode:
        """Act until an ending; failures of model and tool are endings, not exceptions.

        Where a run has ``tools`` besides the search tool, by name, they are a fourth argument.
        """
        ...
