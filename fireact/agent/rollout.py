"""Many questions acted out at once; every finished one is a scored trajectory, handed over as it finishes."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fireact.agent.base import Episode, Method
from fireact.agent.loop import schemas_of
from fireact.errors import BudgetError, ModelError
from fireact.lms.base import LanguageModel
from fireact.tools.base import SearchTool, Tool
from fireact.tools.calls import begin
from fireact.trajectories.files import read
from fireact.trajectories.records import SEARCH, Ending, Question, Score, Trajectory
from fireact.trajectories.storage.writing import append_line, write_lines

# Endings that say nothing of the question.
OUTAGES = frozenset({Ending.BUDGET, Ending.MODEL_FAILURE, Ending.TOOL_FAILURE})


@dataclass(frozen=True)
class Rollout:
    """Who acts, with what, and how answers are scored. ``provenance`` is copied into every trajectory;
    ``tools`` are those besides the search tool, by the names that a model calls.

    A ``score`` that may have to ask somebody is awaited, and also gives what the provenance is to say of it; ``close``
    ends what it holds.
    """

    method: Method
    lm: LanguageModel
    search: SearchTool
    score: Callable[[Question, str], Score | Awaitable[tuple[Score, Mapping[str, str]]]]
    provenance: Mapping[str, str]
    tools: Mapping[str, Tool] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] | None = None

    async def run(self, questions: Iterable[Question]) -> AsyncIterator[Trajectory]:
        """Yield trajectories as they finish, keeping ``lm.concurrency`` dialogues in flight.

        Questions are drawn only when a dialogue is free, so any number of them takes constant memory. Whatever
        escapes a method is a bug or a wrong configuration; it stops the others and is raised here.
        """
        waiting = iter(questions)
        pending: set[asyncio.Task[Trajectory]] = set()
        try:
            while True:
                while len(pending) < self.lm.concurrency and (question := next(waiting, None)) is not None:
                    pending.add(asyncio.create_task(self._act(question)))
                if not pending:
                    return
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                # What was finished is handed over before the first failure is raised; asking for it marks all as seen.
                for task in sorted(done, key=lambda task: task.exception() is not None):
                    yield task.result()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _act(self, question: Question) -> Trajectory:
        calls = begin(question)
        episode = await self._episode(question)
        usage, now = episode.usage, datetime.now(UTC)
        if calls.made:  # in a replay the recorded times hold
            usage, now = replace(usage, seconds=calls.seconds), datetime.fromtimestamp(calls.finished, UTC)
        provenance = {**self.provenance, "finished_at": now.isoformat(timespec="milliseconds")}
        score, episode, facts = await self._scored(question, episode)
        provenance |= facts
        if episode.error:
            provenance["error"] = episode.error
        told = schemas_of(getattr(self.method, "actions", (SEARCH,)), self.tools)
        return Trajectory(
            question, self.method.name, episode.steps, episode.ending, episode.answer, score, usage, provenance, told
        )

    async def _scored(self, question: Question, episode: Episode) -> tuple[Score, Episode, Mapping[str, str]]:
        """The score; an episode whose score could not be had has ended without one, for the same reasons as any."""
        scored = self.score(question, episode.answer)
        if not inspect.isawaitable(scored):
            return scored, episode, {}
        try:
            return (found := await scored)[0], episode, found[1]
        except (BudgetError, ModelError) as error:
            ending = Ending.BUDGET if isinstance(error, BudgetError) else Ending.MODEL_FAILURE
            return Score(0.0, 0.0, False), replace(episode, ending=ending, error=str(error)), {}

    async def _episode(self, question: Question) -> Episode:
        if not self.tools:
            return await self.method.run(question, self.lm, self.search)
        return await self.method.run(question, self.lm, self.search, self.tools)  # type: ignore[call-arg]


def act_out(
    rollout: Rollout,
    questions: Sequence[Question],
    path: Path,
    watch: Callable[[Trajectory], None],
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Act out the questions that ``path`` does not hold yet, or the first of them until there is ``enough``.

    What the model, the search tool or a budget ended is acted out again: the cause may have passed.

    Each trajectory, those of an earlier session included, is on disk before it is watched. A finished file is in the
    order of the questions, whoever finished first. None of them is kept in memory.

    Raises:
        DataError: ``path`` holds a line that is no trajectory.
        StorageError: ``path`` can't be written.
    """
    finished: set[str] = set()
    for trajectory in read(path, Counter()) if path.exists() else ():
        if trajectory.ending not in OUTAGES:
            finished.add(trajectory.question.id)
            watch(trajectory)
    todo = _UntilEnough((question for question in questions if question.id not in finished), enough)

    async def run() -> None:
        async for trajectory in rollout.run(todo):
            append_line(path, trajectory.to_json())
            watch(trajectory)

    asyncio.run(_closing(run(), rollout))
    if path.exists():
        write_lines(path, _in_order(path, questions))


def _in_order(path: Path, questions: Sequence[Question]) -> Iterator[Any]:
    """The file's rows in the order of the questions, one at a time."""
    places: dict[str, int] = {}
    with path.open("rb") as file:
        while line := file.readline():
            places[json.loads(line)["question"]["id"]] = file.tell() - len(line)
        for question in questions:
            if question.id in places:
                file.seek(places[question.id])
                yield json.loads(file.readline())


class _UntilEnough(Iterator[Question]):
    """Questions as long as there is not ``enough``; goes on where there is less than it seemed."""

    def __init__(self, questions: Iterator[Question], enough: Callable[[], bool]) -> None:
        self._questions, self._enough = questions, enough

    def __next__(self) -> Question:
        if self._enough():
            raise StopIteration
        return next(self._questions)


async def _closing(work: Coroutine[Any, Any, None], rollout: Rollout) -> None:
    try:
        await work
    finally:
        await rollout.lm.aclose()
        await rollout.search.aclose()
        for tool in rollout.tools.values():
            await tool.aclose()
        if rollout.close:
            await rollout.close()
