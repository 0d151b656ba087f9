"""What is said in an episode, turn by turn, and the ReAct text of a turn: a thought and one action line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireact.errors import ParseError
from fireact.trajectories.records import Step, Trajectory

_ACTION_LINE = re.compile(r"^Action:[ \t]*(\w+)\[(.*)\][ \t]*$", re.MULTILINE)
_COMPLETE_ACTION_LINE = re.compile(_ACTION_LINE.pattern + r"\n", re.MULTILINE)
STOP = "\nObservation:"
NO_ACTION = "That turn held no action."  # how the loop answers one, before it says what to write


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model and what was answered; ``ids`` are its generated tokens where the model is local."""

    text: str
    observation: str | None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Everything said so far. ``few_shot`` is empty for a tuned model; ``opening`` is forced on the next turn."""

    question: str
    few_shot: str = ""
    turns: tuple[Turn, ...] = ()
    opening: str = ""


def parse_step(text: str) -> Step:
    """The first action line of a model's turn, with everything before it as the thought.

    Raises:
        ParseError: there is no line ``Action: name[argument]``.
    """
    match = _ACTION_LINE.search(text)
    if match is None:
        raise ParseError("no line of the form Action: name[argument]")
    thought = text[: match.start()].strip().removeprefix("Thought:").strip()
    return Step(thought, match.group(1), match.group(2))


def cut_after_action(text: str) -> str | None:
    """``text`` up to the end of its first finished action line, newline excluded; None if there is none yet."""
    match = _COMPLETE_ACTION_LINE.search(text)
    return None if match is None else text[: match.end() - 1].rstrip()


def turn_is_over(text: str, stops: Sequence[str] = (STOP,)) -> bool:
    """Whether nothing that a model says after ``text`` can change its turn any more; each of ``stops`` ends it too."""
    return cut_after_action(text) is not None or any(stop in text for stop in stops)


def cut_turn(text: str, stops: Sequence[str] = (STOP,)) -> str:
    """The turn in what a model said: up to the end of its first action line, or to the first of ``stops``."""
    before = re.split("|".join(map(re.escape, stops)), text)[0]
    return cut_after_action(before + "\n") or before


def step_text(step: Step) -> str:
    """The model's turn that ``parse_step`` reads back as ``step``; a turn without action is its own text."""
    if not step.action:
        return step.thought
    thought = f"Thought: {step.thought}\n" if step.thought else ""
    return f"{thought}Action: {step.action}[{step.argument}]"


def dialogue_of(trajectory: Trajectory) -> Dialogue:
    """The dialogue a tuned model would have had: no few-shot prompt, every step a turn."""
    turns = tuple(Turn(step_text(step), step.observation) for step in trajectory.steps)
    return Dialogue(trajectory.question.prompt(), turns=turns)
