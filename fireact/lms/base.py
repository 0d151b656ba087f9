"""The seam for language models: a dialogue in, the agent's next turn out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import Step


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, cut where its turn ends: after its first action line, as ReAct text.

    ``text`` has no trailing newline or end token. ``ids`` are the generated token ids, turn terminator included, or
    None where the model is not local or stopped anywhere else than at the terminator: the next prompt then encodes
    ``text`` afresh. Never decode and encode again what ``ids`` holds.

    ``steps`` is what a turn of native calls does, the first step its first call, or one step without an action; None
    where ``text`` is to be read. ``reason`` says why there is no text: a refusal, a filter, a limit.
    """

    text: str
    ids: tuple[int, ...] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    steps: tuple[Step, ...] | None = None
    reason: str = ""


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
