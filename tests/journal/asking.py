"""A model and a search tool that count their calls, and dialogues asked of them through a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fireact.errors import ToolError
from fireact.journal.journaled import JournaledModel
from fireact.journal.store import Journal
from fireact.lms.base import Completion
from fireact.tools.calls import begin
from fireact.trajectories.dialogue import Dialogue, Turn
from fireact.trajectories.records import Question

DIALOGUE = Dialogue("Who wrote X?", "Answer questions.", (Turn("Action: search[X]", "X is by Y.", (1, 2)),), "Thought:")
SETTINGS = {"lm.temperature": 0.0, "lm.model": "m"}


class Model:
    """Says how many calls it has had, or fails with the error given for that call; takes one turn of the event loop."""

    name, concurrency = "model", 4

    def __init__(self, *errors: Exception | None, varies: bool = False) -> None:
        self.calls, self.errors, self.varies = 0, list(errors), varies

    async def complete(self, dialogue: Dialogue) -> Completion:
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return Completion(f"Action: finish[é{call}]", (3, call), 7, 2, 0.1 + 0.2)

    async def aclose(self) -> None: ...


class Search:
    name = "search"

    def __init__(self) -> None:
        self.calls = 0

    async def search(self, query: str) -> str:
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0)
        if query == "broken":
            raise ToolError("the tool is broken")
        return f"{query} {call}"

    async def aclose(self) -> None: ...


@contextmanager
def opened(
    folder: Path, lm: Model | None = None, settings: dict[str, Any] = SETTINGS, replay: str = "reuse"
) -> Iterator:
    with closing(Journal(folder / "journal.sqlite", replay)) as journal:
        yield JournaledModel(lm, journal, settings)


def ask(folder: Path, *dialogues: Dialogue, lm: Model | None, question: str = "q", **options: Any) -> list[Completion]:
    """One session: the dialogues at once, for one question."""

    async def run() -> list[Completion]:
        begin(Question(question, "", "", "", ""))
        return await asyncio.gather(*map(model.complete, dialogues))

    with opened(folder, lm, **options) as model:
        return asyncio.run(run())
