"""Chain of thought (Wei et al. 2022), as the paper writes it: one round, Thought … Action: finish[…]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fireact.agent.react import ReAct
from fireact.trajectories.records import FINISH


class CoT(ReAct):
    """One thought and the answer, without a search."""

    actions: ClassVar[Sequence[str]] = (FINISH,)
