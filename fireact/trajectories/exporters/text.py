"""Ours → ReAct text: Alpaca rows and text chats, in the layout of the paper's release (``importers.released``).

A turn is ``Thought: …`` and ``Action: name[argument]``, an observation one line, as the model is shown it.
"""

from __future__ import annotations

from typing import Any

from fireact.errors import DataError
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.exporters.answered import answered
from fireact.trajectories.importers.episodes import labelled
from fireact.trajectories.records import Trajectory


def alpaca_row(trajectory: Trajectory) -> dict[str, Any]:
    """A row ``{"instruction", "input", "output", "system"}``; choices follow the question, and the closing line says
    whether the answer is right.

    Raises:
        DataError: the format can't hold the trajectory; says why and what can.
    """
    if number := next((n for n, step in enumerate(trajectory.steps, start=1) if not step.learnt), None):
        raise DataError(f"step {number} is not learnt, and all of an Alpaca row's output is; write it to=react, "
                        "to=openai or to=jsonl, or add leave_out=weights")
    right = trajectory.score.correct
    is_cot = trajectory.method == "cot"  # whose rows say it by 1 and 0, and by no last newline
    closing = f"Observation: Episode finished, reward = {int(right) if is_cot else right}"
    said = [line for turn in _turns(trajectory) for line in turn]
    output = "\n".join([*said, closing]) + ("" if is_cot else "\n")
    row = {"instruction": trajectory.question.prompt(), "input": "", "output": output}
    return {**row, "system": trajectory.question.system} if trajectory.question.system else row


def react_row(trajectory: Trajectory) -> dict[str, Any]:
    """A row ``{"messages"}`` that alternate: the question and observations are the user's, turns the assistant's, the
    last of them too; one that isn't learnt has weight 0.

    Raises:
        DataError: see ``alpaca_row``.
    """
    messages: list[dict[str, Any]] = []
    if trajectory.question.system:
        messages.append({"role": "system", "content": trajectory.question.system})
    messages.append({"role": "user", "content": trajectory.question.prompt()})
    lines = [line for turn in _turns(trajectory) for line in turn]
    messages += [
        {"role": "user" if place % 2 else "assistant", "content": line} for place, line in enumerate(lines)
    ]
    for message, step in zip([m for m in messages if m["role"] == "assistant"], trajectory.steps, strict=True):
        if not step.learnt:
            message["weight"] = 0
    return {"messages": messages}


def _turns(trajectory: Trajectory) -> list[list[str]]:
    """The labelled turn and the observation line of each step; of the last, which answers, the turn alone."""
    answered(trajectory)
    if number := next((n for n, step in enumerate(trajectory.steps, start=1) if step.continues), None):
        raise DataError(f"step {number} is a further call of a turn, and a turn of ReAct text takes one action; write "
                        "it to=openai, to=sharegpt or to=jsonl")
    turns = dialogue_of(trajectory).turns
    said = [[labelled(t.text), f"Observation: {' '.join((t.observation or '').split())}"] for t in turns]
    return [*said[:-1], said[-1][:1]]
