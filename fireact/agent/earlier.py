"""Methods that were classes of their own in the first edition; users' files and subclasses may still name them.

``conf/method`` now says of ReAct what these say: which actions there are, and that there is no few-shot prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from fireact.agent.react import ReAct
from fireact.trajectories.records import FINISH


class CoT(ReAct):
    """One thought and the answer, without a search."""

    actions: Sequence[str] = (FINISH,)


IO, FireAct = CoT, ReAct
