"""IO prompting: the answer at once, from few-shot examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fireact.agent.react import ReAct
from fireact.trajectories.records import FINISH


class IO(ReAct):
    """One action, ``finish``, without a thought: a trajectory that mixes with the others."""

    actions: ClassVar[Sequence[str]] = (FINISH,)
