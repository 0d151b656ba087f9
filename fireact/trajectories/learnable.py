"""What a trajectory must be to learn from: each turn, said as text, is read back as the very same action."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fireact.errors import DataError, ParseError, quoted
from fireact.trajectories.dialogue import NO_ACTION, STOP, THINK, parse_step, split_reasoning, step_text
from fireact.trajectories.records import FINISH, SEARCH, Ending, Step, Trajectory

# Text that a reader takes for an action or a label and ``parse_step`` does not: numbered, decorated, as JSON … It would
# be learnt as prose, so that a model says what nothing here carries out. The patterns are wide on purpose: a refused
# row is rewritten in a minute. No row of the paper's training files holds any of it.
# What Markdown and the like put before a word and after it:
_BEFORE, _AFTER = r"(?:[^\w\n]|_)*+", r"(?:[^\w\n:：\[(]|_)*+"
_CALL = rf"(?:search|finish){_AFTER}"
_ACTION = rf"(?<![^\W_])(?:action|act){_AFTER}(?:input{_AFTER})?\d*+{_AFTER}[:：]"
_PATTERNS = (
    rf"^{_BEFORE}{_ACTION}",
    rf"{_ACTION}{_BEFORE}(?:(?:search|finish)\b|\w+[\[(])",
    rf"^{_BEFORE}{_CALL}[\[(]",
    r"\b(?:search|finish)\[",
    r"<\W?/?(?:tool|function)[ _]?calls?\b|\[tool_calls?\]",
    r"[\"'](?:arguments|parameters|action|action_input|tool_input)[\"']\s*:",
)
_MEANT_ACTION = re.compile("|".join(_PATTERNS), re.MULTILINE | re.IGNORECASE)
# "Thought:" itself is ours, wherever it stands
_LABEL = re.compile(rf"^(?!(?-i:Thought:)){_BEFORE}(?:thought|observation|obs){_AFTER}\d*+{_AFTER}[:：]",
                    re.MULTILINE | re.IGNORECASE)  # fmt: skip


def check(trajectory: Trajectory, where: str, counts: Counter[str]) -> None:
    """Refuse what would teach a model words that the loop takes for other ones, or that nothing here can carry out.

    A turn without an action is learnt as it stands, with what was answered; ``turns_without_action`` counts them. One
    that seems to act is refused, unless the loop made the row and so carried it out as it reads here, or the turn was
    answered as the loop answers what it can't read.

    Raises:
        DataError: names ``where`` it stands, the step, counted from 1, and what is wrong.
    """
    try:
        _check(trajectory)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if idle := sum(1 for step in trajectory.steps if not step.action):
        counts["turns_without_action"] += idle


def _check(trajectory: Trajectory) -> None:
    if not trajectory.question.text.strip():
        raise DataError("question.text is empty, so nothing is asked; leave the row out")
    steps = trajectory.steps
    if not steps:
        raise DataError("steps is empty, so there is nothing to learn; leave the row out")
    for number, step in enumerate(steps, start=1):
        _check_step(step, f"step {number}", [tool.name for tool in trajectory.tools])
        corrected = not step.action and (step.observation or "").startswith(NO_ACTION)
        if not corrected and not trajectory.usage.lm_calls:
            _check_meant(step, f"step {number}")
    if trajectory.ending == Ending.FINISH and trajectory.score.correct and steps[-1].action == FINISH:
        _check_answer(trajectory.answer, steps[-1].argument)
    early = next((number for number, step in enumerate(steps[:-1], start=1) if step.action == FINISH), None)
    if early:
        raise DataError(f"step {early} of {len(steps)} is finish[…] already, and no model acts on after it; end there")
    if trajectory.ending == Ending.FINISH and steps[-1].action != FINISH:
        raise DataError("the ending is finish, but the last step is not; end it with finish[…], or name another ending")


def _check_step(step: Step, what: str, tools: Sequence[str]) -> None:
    if step.action not in (SEARCH, FINISH, "", *tools):
        known = ", ".join([SEARCH, *(tool for tool in tools if tool != SEARCH)])
        raise DataError(f"{what} takes the action {quoted(step.action)}, which nothing here can carry out; expected "
                        f"{known} or {FINISH}, or a row whose tools name it")
    thought = split_reasoning(step.thought)[1].strip()  # reasoning holds no action
    said = step_text(replace(step, thought=thought))
    if STOP in f"\n{said}":
        raise DataError(f"{what} says a line that begins with 'Observation:', where a turn is cut off; take it out")
    if mark := next((mark for mark in THINK if mark in said), None):
        raise DataError(f"{what} says {mark} outside its reasoning, where a model that says it would be read as one "
                        "that is still reasoning; take it out")
    if not step.action:
        return
    if "\n" in step.argument and step.action in (SEARCH, FINISH):
        raise DataError(f"the argument of {what} has a line break, where an action ends; write it on one line")
    try:
        again = parse_step(said)
    except ParseError:
        raise DataError(f"{what} is not read back as an action; write it as 'Action: name[argument]'") from None
    if (again.thought, again.action, again.argument) != (thought, step.action, step.argument):
        raise DataError(f"{what} is read back as {again.action}[{quoted(again.argument)}], not as "
                        f"{step.action}[{quoted(step.argument)}]: the thought holds an action; take it out")


def _check_answer(answer: str, argument: str) -> None:
    if answer.strip() != argument.strip():
        raise DataError(f"the answer is {quoted(answer)} and counted as right, but the last step is "
                        f"finish[{quoted(argument)}]; make them the same")


def _check_meant(step: Step, what: str) -> None:
    """Refuse what would be learnt as prose though it is meant as an action, or as the label of one in another style."""
    thought = split_reasoning(step.thought)[1]
    if line := meant_action(thought, step):
        raise DataError(f"{what} holds {quoted(line)}, which is not read as an action; write 'Action: search[…]' or "
                        "'Action: finish[…]' on a line of its own at the turn's end, or leave the row out")
    if line := _meant_label(thought):
        raise DataError(f"{what} holds {quoted(line)}, a label in a thought; write 'Thought: …' before the thought, "
                        "and what was observed as the answer to the turn")


def meant_action(text: str, taken: Step | None = None) -> str | None:
    """Where ``text`` first seems to act, to the end of that line; None if nowhere.

    Where a thought names the very action that its turn takes, ``taken``, nothing else is meant, as in the paper's
    "I need to wrap up and finish this task in the next step. Action: finish[Y]".
    """
    text = text.removeprefix("Thought:")
    if taken and taken.action:
        text = text.replace(f"Action: {taken.action}[{taken.argument}]", "")
    return _line(text, _MEANT_ACTION)


def _meant_label(text: str) -> str | None:
    """The first line of ``text`` that begins with a thought's or an observation's label, spelled in any way."""
    return _line(text, _LABEL)


def _line(text: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    end = text.find("\n", match.end())
    return text[match.start() : end if end >= 0 else None].strip()
