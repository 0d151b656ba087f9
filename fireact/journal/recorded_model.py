"""A model that says again what was said in an earlier run: to replay a paper's run through our own loop, for one."""

from __future__ import annotations

from pathlib import Path

from fireact.errors import ModelError
from fireact.journal import recordings
from fireact.lms.base import Completion
from fireact.ranges import Count, NoEffect, Text
from fireact.trajectories.dialogue import Dialogue


class Recorded:
    """Answers turn n of a question with turn n of its episode in ``path`` (see ``journal.recordings``), at no cost.

    A question is recognised by its text alone, so the few-shot prompt and the text format may be others than recorded.

    Raises:
        DataError: the file is missing or malformed.
    """

    def __init__(self, path: Text, concurrency: NoEffect[Count] = 64) -> None:
        self.name, self.concurrency = f"recorded[{Path(path).name}]", concurrency
        self._path, self._turns = path, recordings.load(path).turns

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; raises ModelError where the file holds no such question or no more turns of it."""
        turns = self._turns.get(recordings.key(dialogue.question))
        if turns is None:
            raise ModelError(f"{self._path} holds no episode of this question, which its run may not have finished")
        if len(turns) <= len(dialogue.turns):
            raise ModelError(f"{self._path} holds only {len(turns)} turns of this question")
        left = turns[len(dialogue.turns) :]
        return Completion(left[0].text.removeprefix(dialogue.prefill), steps=recordings.steps_from(left))

    async def aclose(self) -> None:
        """Nothing to release."""
