"""What is said in an episode, turn by turn, and the ReAct text of a turn: a thought and one action line."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fireact.errors import ParseError
from fireact.trajectories.records import FINISH, SEARCH, Step, Trajectory
from fireact.trajectories.tool_schema import ToolSchema

# ``Action: name[argument]``, and other spellings: ``**Action:** name[argument]``, ``Action 1: Name [argument].``
_MARKS = "[*`]{0,3}"
_NUMBERED = rf"(?:[ \t]*\d+)?{_MARKS}[ \t]*:{_MARKS}"
_HEAD = rf"[ \t]*(?:[#>-]{{1,6}}[ \t]+)?{_MARKS}Action{_NUMBERED}[ \t]*{_MARKS}(\w+){_MARKS}[ \t]*\["
_TAIL = r"[.*`]{0,4}[^\S\n]*$"
_ACTION = re.compile(f"^{_HEAD}", re.MULTILINE)
_ACTION_LINE = re.compile(rf"{_HEAD}(.*)\]{_TAIL}", re.MULTILINE)
_LAST_BRACKET = re.compile(rf"\]{_TAIL}")
_THOUGHT = re.compile(rf"\s*(?:[#>-]{{1,6}}[ \t]+)?{_MARKS}Thought{_NUMBERED}")
STOP = "\nObservation:"
THINK = ("<think>", "</think>")  # what stands around reasoning in a turn, however the model itself marks it
_BLOCK = re.compile(r"<think>(.*?)</think>", re.DOTALL)
_REASONING = re.compile(rf"\s*{_BLOCK.pattern}\s*", re.DOTALL)
# A model that has learnt to begin with its label may reason behind it.
_LEADING_BLOCKS = re.compile(r"(?:\s*(?:Thought:\s*)?<think>.*?</think>\s*)*", re.DOTALL)
NO_ACTION = "That turn held no action."  # how the loop answers one, before it says what to write


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model and what was answered; ``ids`` are its generated tokens where the model is local.

    ``text`` may begin with what the model reasoned, in a think block; see ``split_reasoning``. A turn that is not
    ``learnt`` is context in training. ``step``, where it is known, is what the turn did, without the observation; one
    that ``continues`` is a further call of the turn before it.
    """

    text: str
    observation: str | None
    ids: tuple[int, ...] | None = None
    learnt: bool = True
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Everything said so far. ``few_shot`` is empty for a tuned model; ``prefill`` is forced on the next turn.

    ``system`` is what a chat's system message says, ``tools`` what the model is told of its tools.
    """

    question: str
    few_shot: str = ""
    turns: tuple[Turn, ...] = ()
    prefill: str = ""
    system: str = ""
    tools: tuple[ToolSchema, ...] = ()


def parse_step(text: str) -> Step:
    """The first action line of a model's turn, with everything before it as the thought; reasoning holds no action.

    The label may be numbered, as in ReAct's own prompts, and Markdown may stand round it and after the action.

    Raises:
        ParseError: there is no line ``Action: name[argument]``.
    """
    start = _start(text)
    spoken = text[start:]
    action = None if start is None else _action(spoken)
    if action is None:
        raise ParseError("no line of the form Action: name[argument]")
    reasoning = "\n\n".join(filter(None, map(str.strip, _BLOCK.findall(text[:start]))))
    thought = reasoning_block(reasoning) + _unlabelled(spoken[: action.start])
    return Step(thought.strip(), action.name, action.argument)


def named(step: Step, actions: Sequence[str]) -> Step:
    """``step`` with its action spelled as the only one of ``actions`` that it differs from in case alone."""
    alike = [action for action in actions if action.lower() == step.action.lower()]
    return step if step.action in actions or len(alike) != 1 else replace(step, action=alike[0])


@dataclass(frozen=True, slots=True)
class _Action:
    """Where an action stands in a text, and what it is."""

    start: int
    end: int
    name: str
    argument: str


def _action(text: str, finished: bool = False) -> _Action | None:
    """The first action in ``text``; with ``finished`` one that nothing more can be added to.

    The argument of a search or an answer ends with its line. One of another tool, such as a program, may have several
    lines: it ends where a line does whose last bracket closes the first; if none does, with its line too.
    """
    closing: _Closing | None = None
    for head in _ACTION.finditer(text):
        line, name = _ACTION_LINE.match(text, head.start()), head[1]
        end = line.end() if line else None
        if name.lower() not in (SEARCH, FINISH):
            closing = closing or _Closing(text)
            closed = closing.end(head.start())
            end = closed if closed is not None or finished else end
        if end is not None and not (finished and end == len(text)):
            return _Action(head.start(), end, name, text[head.end() : text.rindex("]", head.end(), end)])
    return None


class _Closing:
    """Which lines of a text close brackets that others open: found once, so that no text takes long."""

    def __init__(self, text: str) -> None:
        self._starts, self._ends, self._depths, depth = [0], list[int](), [0], 0
        self._closing: dict[int, list[int]] = {}  # depth → the lines after which it is so, and which end in a bracket
        for number, line in enumerate(text.split("\n")):
            depth += line.count("[") - line.count("]")
            self._ends.append(self._starts[-1] + len(line))
            self._starts.append(self._ends[-1] + 1)
            self._depths.append(depth)
            if _LAST_BRACKET.search(line):
                self._closing.setdefault(depth, []).append(number)

    def end(self, start: int) -> int | None:
        """The end of the first line from the one at ``start`` on that closes what that one opens; None if none does."""
        number = bisect.bisect_left(self._starts, start)
        lines = self._closing.get(self._depths[number], [])
        at = bisect.bisect_left(lines, number)
        return self._ends[lines[at]] if at < len(lines) else None


def _start(text: str) -> int | None:
    """Where a turn begins to speak, behind the think blocks at its head; None where one of them is not closed."""
    blocks = _LEADING_BLOCKS.match(text)
    start = blocks.end() if blocks else 0
    return None if _unlabelled(text[start:]).startswith(THINK[0]) else start


def _unlabelled(thought: str) -> str:
    label = _THOUGHT.match(thought)
    return thought[label.end() if label else 0 :].strip()


def split_reasoning(text: str) -> tuple[str, str]:
    """(reasoning, the rest) of a turn or a thought that begins with a whole think block; else ("", ``text``)."""
    match = _REASONING.match(text)
    return ("", text) if match is None else (match.group(1).strip(), text[match.end() :])


def reasoned(text: str) -> tuple[str, str]:
    """(reasoning, the rest) of what a model said, which may begin inside a think block, or end there: no rest then."""
    before, end, after = text.partition(THINK[1])
    if end:
        return before.strip().removeprefix(THINK[0]).strip(), after
    return (text.strip().removeprefix(THINK[0]).strip(), "") if text.lstrip().startswith(THINK[0]) else ("", text)


def reasoning_block(reasoning: str) -> str:
    """The text that ``split_reasoning`` reads back; empty for none."""
    return f"{THINK[0]}\n{reasoning}\n{THINK[1]}\n\n" if reasoning else ""


def cut_after_action(text: str) -> str | None:
    """``text`` up to the end of its first finished action line, newline excluded; None if there is none yet."""
    start = _start(text)
    action = None if start is None else _action(text[start:], finished=True)
    return None if start is None or action is None else text[: start + action.end].rstrip()


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
    reasoning, spoken = split_reasoning(step.thought)
    thought = f"Thought: {spoken}\n" if spoken else ""
    return f"{reasoning_block(reasoning)}{thought}Action: {step.action}[{step.argument}]"


def dialogue_of(trajectory: Trajectory) -> Dialogue:
    """The dialogue a tuned model would have had: no few-shot prompt, every step a turn."""
    turns = tuple(_turn(step) for step in trajectory.steps)
    question = trajectory.question
    return Dialogue(question.prompt(), turns=turns, system=question.system, tools=trajectory.tools)


def turn_ends(turns: Sequence[Turn]) -> list[int]:
    """After how many of ``turns`` each turn of the model's ends, where one may make several calls."""
    further = [turn.step is not None and turn.step.continues for turn in turns]
    return [end for end in range(1, len(turns) + 1) if end == len(turns) or not further[end]]


def step_of(turn: Turn) -> Step:
    """What a turn did, by its text alone where it doesn't say."""
    if turn.step is not None:
        return turn.step
    try:
        return parse_step(turn.text)
    except ParseError:
        return Step(turn.text, "", "")


def _turn(step: Step) -> Turn:
    done = replace(step, observation=None, learnt=True)
    return Turn(step_text(step), step.observation, learnt=step.learnt, step=done)
