"""A search tool that finds again what was found in an earlier run."""

from __future__ import annotations

from pathlib import Path

from fireact.errors import ToolError
from fireact.journal import recordings
from fireact.ranges import Text
from fireact.tools.calls import current


class Recorded:
    """Answers a query as it was answered in ``path`` (see ``journal.recordings``), which may differ between questions.

    A question that was recorded gets its own answers, in their order where it searched for the same again (the last
    of them as often as it asks for more); any other query gets what the file holds of it first, for whatever question.

    Raises:
        DataError: the file is missing or malformed.
    """

    varies = True

    def __init__(self, path: Text) -> None:
        self.name = f"recorded[{Path(path).name}]"
        self._path, self._recordings = path, recordings.load(path)

    async def search(self, query: str) -> str:
        """See ``SearchTool``; raises ToolError for a query that was never answered."""
        calls = current()
        turns = self._recordings.turns.get(recordings.key(calls.question.prompt()), ())
        own = [turn.observation for turn in turns if turn.observation is not None and recordings.query(turn) == query]
        answers = own or [answer for answer in [self._recordings.answers.get(query)] if answer is not None]
        if not answers:
            raise ToolError(f"{self._path} holds no answer to {query!r}; use another search tool or recording")
        return answers[min(calls.occurrence((self, query)), len(answers) - 1)]

    async def aclose(self) -> None:
        """Nothing to release."""
