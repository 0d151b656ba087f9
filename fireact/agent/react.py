"""ReAct (Yao et al. 2022): thoughts, searches and an answer, in turn. The other methods are small departures.

IO and chain of thought (Wei et al. 2022), as the paper writes it, are the one action ``finish``, so that their
trajectories mix with the others; FireAct (Chen et al. 2023) is a tuned model without a few-shot prompt. All three are
``conf/method`` files over this class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from fireact.agent.base import Episode
from fireact.agent.loop import NO_TOOLS, Loop
from fireact.errors import ConfigError
from fireact.lms.base import LanguageModel
from fireact.ranges import Count, Retries, Text
from fireact.tools.base import SearchTool, Tool
from fireact.trajectories.records import FINISH, SEARCH, Question

PROMPTS = Path(__file__).parent / "prompts"


class ReAct:
    """Few-shot ReAct prompting.

    ``prompt`` is a text file, relative to the shipped prompts or to the working directory. ``trains_on`` says which
    methods' trajectories make up this method's training mix; acting does not use it. ``actions`` are those that a turn
    may take; None means those of the class.

    Raises:
        ConfigError: ``max_rounds`` is below 1 or ``max_retries`` below 0, or ``actions`` lack ``finish``.
    """

    actions: Sequence[str] = (SEARCH, FINISH)

    def __init__(
        self,
        name: Text,
        prompt: Text | None,
        max_rounds: Count = 11,
        max_retries: Retries = 2,
        trains_on: Sequence[Text] = (),
        actions: Sequence[Literal["search", "finish"]] | None = None,
    ) -> None:
        for key, number, least in (("max_rounds", max_rounds, 1), ("max_retries", max_retries, 0)):
            if not number >= least:
                raise ConfigError(f"method.{key}={number} is out of its range; give {least} or more")
        if actions is not None:
            self.actions = tuple(actions)
        if FINISH not in self.actions:
            raise ConfigError(f"method.actions={list(self.actions)} has no {FINISH}, so no question could be answered; "
                              "add it")
        self.name = name
        self.trains_on = tuple(trains_on)
        self._prompt, self._max_rounds, self._max_retries = prompt, max_rounds, max_retries

    async def run(
        self, question: Question, lm: LanguageModel, search: SearchTool, tools: Mapping[str, Tool] = NO_TOOLS
    ) -> Episode:
        """See ``Method``; raises ConfigError where the prompt file is missing."""
        loop = Loop(self.few_shot, self.actions, self._max_rounds, self._max_retries, self.prefill, tools)
        return await loop.run(question, lm, search)

    def prefill(self, round_: int) -> str:
        """The words forced on the turn of ``round_``, counted from 1; none here."""
        return ""

    @cached_property
    def few_shot(self) -> str:
        """The instructions and examples put before the question; empty for a tuned model.

        Raises:
            ConfigError: the prompt file is missing or not UTF-8.
        """
        if self._prompt is None:
            return ""
        for file in (PROMPTS / self._prompt, Path(self._prompt)):
            if file.is_file():
                try:
                    return file.read_text(encoding="utf-8-sig").strip()
                except UnicodeDecodeError:
                    raise ConfigError(f"the few-shot prompt {file} is not UTF-8 text; save it as UTF-8") from None
        raise ConfigError(f"there is no few-shot prompt {self._prompt} for method {self.name}; write one and pass "
                          "method.prompt=FILE, or choose a method that has one for this task")
