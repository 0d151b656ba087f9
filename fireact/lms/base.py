"""The seam for language models: a dialogue in, the agent's next turn out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fireact.trajectories.dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, cut after its first action line.

    ``text`` has no trailing newline or end token. ``ids`` are the generated token ids, turn terminator included, or
    None where the model is not local or stopped anywhere else than at the terminator: the next prompt then encodes
    ``text`` afresh. Never decode and encode again what ``ids`` holds.
    """

    text: str
    ids: tuple[int, ...] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class LanguageModel(Protocol):
    """``name`` goes into provenance; ``concurrency`` says how many dialogues are worth keeping in flight.

    A model that may answer the same dialogue differently another time also has ``varies = True``.
    """

    name: str
    concurrency: int

    async def complete(self, dialogue: Dialogue) -> Completion:
        """The next turn of ``dialogue``.

        Raises:
            ModelError: the model could not answer.
            BudgetError: answering would pass a configured limit.
        """
        ...

    async def aclose(self) -> None:
        """Release connections or memory; the model answers no more."""
        ...
