"""The one loop behind every method: ask the model, act, show it the observation, until there is an ending."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fireact.agent.base import Episode
from fireact.errors import BudgetError, ModelError, ParseError, ToolError
from fireact.lms.base import Completion, LanguageModel
from fireact.tools.base import SearchTool, Tool
from fireact.trajectories.dialogue import NO_ACTION, Dialogue, Turn, named, parse_step, step_text
from fireact.trajectories.records import FINISH, SEARCH, Ending, Question, Step, Usage
from fireact.trajectories.storage.reading import joined
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema

NO_TOOLS: Mapping[str, Tool] = MappingProxyType({})


class Loop:
    """One question being acted out.

    Args:
        few_shot: instructions and examples; empty for a tuned model.
        actions: the actions the method allows.
        max_rounds: actions at most, ``finish`` included.
        max_retries: turns without a well-formed action that are answered with a correction before the episode ends.
        tools: what may be called besides the search tool, by name.
        prefill: the words that the turn of a round (counted from 1) is made to begin with; empty for none.
    """

    def __init__(
        self,
        few_shot: str,
        actions: Sequence[str],
        max_rounds: int,
        max_retries: int,
        prefill: Callable[[int], str],
        tools: Mapping[str, Tool] = NO_TOOLS,
    ) -> None:
        self._few_shot, self._tools = few_shot, tools
        searches, ends = ([name] if name in actions else [] for name in (SEARCH, FINISH))
        self._actions = (*searches, *tools, *ends)
        self._schemas = schemas_of(actions, tools)
        self._max_rounds, self._max_retries, self._prefill = max_rounds, max_retries, prefill
        self._steps: list[Step] = []
        self._turns: list[Turn] = []
        self._usage = Usage()
        self._started = time.monotonic()

    async def run(self, question: Question, lm: LanguageModel, search: SearchTool) -> Episode:
        """Act until an ending; call once."""
        rounds = 0
        for _ in range(self._max_rounds + self._max_retries):
            if rounds == self._max_rounds:
                break
            prefill = self._prefill(rounds + 1)
            turns = tuple(self._turns)
            dialogue = Dialogue(question.prompt(), self._few_shot, turns, prefill, question.system, self._schemas)
            try:
                completion = await lm.complete(dialogue)
            except BudgetError as error:
                return self._end(Ending.BUDGET, error=str(error))
            except ModelError as error:
                return self._end(Ending.MODEL_FAILURE, error=str(error))
            self._count(completion)
            text = joined(prefill + completion.text)
            steps = self._said(text, completion.steps)
            if not steps[0].action:
                if len(self._steps) - rounds >= self._max_retries:
                    self._steps.append(steps[0])
                    return self._end(Ending.PARSE_FAILURE, error=completion.reason)
                self._observe(steps[0], self._correction(completion.steps is not None), text, completion)
                continue
            for step in steps[: self._max_rounds - rounds]:
                rounds += 1
                if step.action == FINISH:
                    self._steps.append(step)
                    return self._end(Ending.FINISH, step.argument)
                try:
                    observation = joined(await self._called(step, search))
                except ToolError as error:
                    self._steps.append(step)
                    return self._end(Ending.TOOL_FAILURE, error=str(error))
                self._usage = dataclasses.replace(self._usage, search_calls=self._usage.search_calls + 1)
                self._observe(step, observation, text, completion)
        return self._end(Ending.STEP_LIMIT)

    async def _called(self, step: Step, search: SearchTool) -> str:
        """What the action of ``step`` is answered; the model's own mistakes in a call are answers too."""
        if (tool := self._tools.get(step.action)) is None:
            return await search.search(step.argument)
        try:
            return await tool.call(tool.schema.arguments(step.argument))
        except ParseError as mistake:
            return f"Error: {mistake}."

    def _said(self, text: str, steps: tuple[Step, ...] | None) -> tuple[Step, ...]:
        """The steps of a turn, read from ``text`` unless the model tells them; one without an action where it takes
        none that is allowed."""
        if steps is None:
            try:
                steps = (named(parse_step(text), self._actions),)
            except ParseError:
                return (Step(text, "", ""),)
        if not steps[0].action or all(step.action in self._actions for step in steps):
            return steps
        return (Step(text or step_text(steps[0]), "", ""),)

    def _correction(self, is_native: bool) -> str:
        if is_native:
            names = " or ".join(name for name in self._actions if name != FINISH)
            return f"{NO_ACTION} {f'Call {names}, or answer.' if names else 'Answer without a call.'}"
        allowed = " or ".join(f"Action: {name}[...]" for name in self._actions)
        return f"{NO_ACTION} End it with a line {allowed}."

    def _observe(self, step: Step, observation: str, text: str, completion: Completion) -> None:
        """Keep what a step was answered; the generated tokens of a turn of several calls stand with its first."""
        self._steps.append(dataclasses.replace(step, observation=observation))
        if completion.steps is None:
            self._turns.append(Turn(text, observation, completion.ids))
        elif step.continues:
            self._turns.append(Turn(step_text(step), observation, step=step))
        else:
            self._turns.append(Turn(text, observation, completion.ids, step=step))

    def _count(self, completion: Completion) -> None:
        self._usage = dataclasses.replace(
            self._usage,
            lm_calls=self._usage.lm_calls + 1,
            tokens_in=self._usage.tokens_in + completion.tokens_in,
            tokens_out=self._usage.tokens_out + completion.tokens_out,
            cost_usd=self._usage.cost_usd + completion.cost_usd,
        )

    def _end(self, ending: Ending, answer: str = "", error: str = "") -> Episode:
        usage = dataclasses.replace(self._usage, seconds=time.monotonic() - self._started)
        return Episode(tuple(self._steps), ending, answer, usage, error)


def schemas_of(actions: Sequence[str], tools: Mapping[str, Tool]) -> tuple[ToolSchema, ...]:
    """What a model is told of its tools; nothing where it has the paper's search alone, which every format knows."""
    searches = (SEARCH_TOOL,) if SEARCH in actions else ()
    return (*searches, *(tool.schema for tool in tools.values())) if tools else ()
