"""What every format for training on asks of a trajectory: calls that were answered, then one answer."""

from __future__ import annotations

from fireact.errors import DataError
from fireact.trajectories.records import FINISH, Ending, Step, Trajectory


def answered(trajectory: Trajectory) -> Step:
    """The step that answers, the last one.

    Raises:
        DataError: the episode ended otherwise, or a call was never answered.
    """
    if trajectory.ending != Ending.FINISH:
        raise DataError(f"it ended by {trajectory.ending}, without an answer; write it to=jsonl")
    steps = trajectory.steps
    if not steps or steps[-1].action != FINISH:
        raise DataError("its last step is no answer, finish[…]; write it to=jsonl")
    for number, step in enumerate(steps[:-1], start=1):
        if step.action == FINISH:
            raise DataError(f"step {number} of {len(steps)} is finish[…] already; write it to=jsonl")
        if step.observation is None:
            raise DataError(f"nothing was observed after step {number}; write it to=jsonl")
    return steps[-1]
