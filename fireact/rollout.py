"""Many questions acted out at once; every finished one is a scored trajectory, handed over as it finishes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fireact.data.files import read
from fireact.lms.base import LanguageModel
from fireact.methods.base import Method
from fireact.records import Question, Score, Trajectory
from fireact.runs import append_line, write_lines
from fireact.search.base import SearchTool


@dataclass(frozen=True)
class Rollout:
    """Who acts, with what, and how answers are scored. ``provenance`` is copied into every trajectory."""

    method: Method
    lm: LanguageModel
    search: SearchTool
    score: Callable[[Question, str], Score]
    provenance: Mapping[str, str]

    async def run(self, questions: Iterable[Question]) -> AsyncIterator[Trajectory]:
        """Yield trajectories as they finish, keeping ``lm.concurrency`` dialogues in flight.

        Questions are drawn only when a dialogue is free, so any number of them takes constant memory. Whatever
        escapes a method is a bug or a wrong configuration; it stops the others and is raised here.
        """
        waiting = iter(questions)
        flying: set[asyncio.Task[Trajectory]] = set()
        try:
            while True:
                while len(flying) < self.lm.concurrency and (question := next(waiting, None)) is not None:
                    flying.add(asyncio.create_task(self._act(question)))
                if not flying:
                    return
                landed, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                for task in landed:
                    yield task.result()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    async def _act(self, question: Question) -> Trajectory:
        episode = await self.method.run(question, self.lm, self.search)
        provenance = {**self.provenance, "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if episode.error:
            provenance["error"] = episode.error
        score = self.score(question, episode.answer)
        return Trajectory(
            question, self.method.name, episode.steps, episode.ending, episode.answer, score, episode.usage, provenance
        )


def act_out(
    rollout: Rollout, questions: Sequence[Question], path: Path, watch: Callable[[Trajectory], None]
) -> list[Trajectory]:
    """Act out the questions that ``path`` does not hold yet; each trajectory is on disk before the next is watched.

    A finished file is in the order of the questions, whoever finished first.

    Raises:
        DataError: ``path`` holds a line that is no trajectory.
        StorageError: ``path`` can't be written.
    """
    finished = {t.question.id: t for t in read(path, Counter())} if path.exists() else {}
    for trajectory in finished.values():
        watch(trajectory)

    async def run() -> None:
        async for trajectory in rollout.run(q for q in questions if q.id not in finished):
            append_line(path, trajectory.to_json())
            finished[trajectory.question.id] = trajectory
            watch(trajectory)

    asyncio.run(_closing(run(), rollout.lm))
    in_order = [finished[question.id] for question in questions]
    write_lines(path, (trajectory.to_json() for trajectory in in_order))
    return in_order


async def _closing(work: Coroutine[Any, Any, None], lm: LanguageModel) -> None:
    try:
        await work
    finally:
        await lm.aclose()
