"""Conversations with native tool calls, or with none, as OpenAI writes their messages → ours.

A system or developer message is the question's ``system``, the user's one message the question. Calls of an assistant's
message are steps, what it says beside them their thought; each is answered by the tool's message that names it. The
message without a call is the answer, and the last one. A message of ``weight`` 0 is context, not learnt. Nothing says
whether the answer is right, so the row counts as a right demonstration; ``demonstrations`` counts such rows. A tool
that is called and not described gets the schema that its calls have; ``undescribed_tool NAME`` counts them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fireact.errors import DataError, ParseError, quoted
from fireact.trajectories.importers import calls, contents, fields
from fireact.trajectories.records import FINISH, OWN, Ending, Question, Score, Step, Trajectory
from fireact.trajectories.tool_schema import ToolSchema

_SYSTEM = ("system", "developer")
_READ = {
    **dict.fromkeys(_SYSTEM, {"role", "content"}), "user": {"role", "content"},
    "assistant": {"role", "content", "weight", "tool_calls", *contents.REASONING_FIELDS},
    "tool": {"role", "content", "tool_call_id", "name", "is_error"},
}  # fmt: skip
# ReAct's labels, however they are decorated; a text that only begins with such a word is prose.
LABEL = re.compile(r"^\W*(?:thought|action|observation)(?:\W*\d+)?\W*[:：]", re.MULTILINE | re.IGNORECASE)
_OBSERVED = re.compile(r"\s*Observation(?: \d+)?:")
# A call or a turn's label that a message spells in its text, where nothing would carry it out.
_SPELLED = re.compile(r"^Action(?: Input)?(?: \d+)?:|</?tool_call>|\[TOOL_CALLS\]|<function=", re.MULTILINE)
_THOUGHT = re.compile(r"^Thought(?: \d+)?:", re.MULTILINE)


def trajectory(messages: Sequence[dict[str, Any]], tools: Sequence[ToolSchema], counts: Counter[str]) -> Trajectory:
    """The episode in ``contents.modern`` messages, whose tools are described by ``tools``, or by their calls.

    Raises:
        DataError: something in it is not understood, or would be lost; names the message, counted from 1.
    """
    tools = [*tools, *calls.undescribed(messages, {tool.name for tool in tools}, counts)]
    known = {tool.name: tool for tool in tools}
    system: list[str] = []
    question, steps, waiting, answered = "", list[Step](), dict[str, int](), False
    for number, message in enumerate(messages, start=1):
        what = f"message {number}"
        role = fields.text(message, "role", f"{what}: ")
        if answered:
            raise DataError(f"{what} follows the answer; make a row of each question, with what was said before at its "
                            "head")
        if role in _SYSTEM and not question:
            system.append(_plain(message, what, counts))
        elif role == "user" and not question:
            question = _plain(message, what, counts)
            if not question.strip():
                raise DataError("the question is empty; leave the row out")
        elif role == "assistant" and question and not waiting:
            said = _said(message, known, what, counts)
            answered = said[0].action == FINISH
            waiting = {name: len(steps) + at for at, name in enumerate(_ids(message, what))}
            steps += said
        elif role == "tool" and waiting:
            at = _answers(message, waiting, steps, what)
            if message.get("is_error"):
                counts[f"tool_error {steps[at].action}"] += 1
            steps[at] = replace(steps[at], observation=_plain(message, what, counts))
        else:
            raise DataError(f"{what} is the {role}'s, where it can't stand: a row is a system text, one question of "
                            "the user's, then calls of the assistant's, each with its result, and the answer")
    if not answered:
        raise DataError("the row ends before the assistant's answer; end it with a message without calls")
    if not any(step.learnt for step in steps):
        raise DataError("every message of the assistant's has weight 0, so nothing is learnt; leave the row out")
    counts["demonstrations"] += 1
    name = hashlib.sha256(" ".join(question.split()).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    answer = steps[-1].argument
    asked = Question(f"{OWN}-{name}", question, answer, OWN, "train", system="\n\n".join(system))
    return Trajectory(asked, "react", tuple(steps), Ending.FINISH, answer, Score(1.0, 1.0, True), tools=tuple(tools))


def is_native(messages: Sequence[Mapping[str, Any]], tools: Any = None) -> bool:
    """Whether messages have tools, calls or their results, or nothing of ReAct's text: an answer alone."""
    if tools or any(message.get("role") == "tool" or message.get("tool_calls") for message in messages):
        return True
    said = ((message.get("role"), message.get("content")) for message in messages)
    texts = [(role, content) for role, content in said if isinstance(content, str)]
    return not any(LABEL.search(text) if role == "assistant" else _OBSERVED.match(text) for role, text in texts)


def _plain(message: Mapping[str, Any], what: str, counts: Counter[str]) -> str:
    """The text of a message that is not the model's, of which a weight says nothing: none of it is learnt anyhow."""
    fields.check(message, {*_READ[message["role"]], "weight"}, what, counts)
    if message.get("weight") is not None:
        counts["ignored_field weight"] += 1
    return contents.text_of(message, what, counts)


def _said(message: Mapping[str, Any], known: Mapping[str, ToolSchema], what: str, counts: Counter[str]) -> list[Step]:
    """The steps of an assistant's message: its calls, or its answer."""
    fields.check(message, _READ["assistant"], what, counts)
    weight = 1 if message.get("weight") is None else message["weight"]
    if isinstance(weight, bool) or weight not in (0, 1):
        raise DataError(f"{what} has the weight {quoted(weight)}; only 0 and 1 are possible")
    reasoning, content = contents.spoken(message, what, counts)
    if spelled := _SPELLED.search(content) or (not message.get("tool_calls") and _THOUGHT.search(content)):
        raise DataError(f"{what} spells {quoted(spelled[0])} in its text, where a call is not read; write calls as "
                        "tool_calls, or the whole row as ReAct text, without tools and messages of theirs")
    if not (called := message.get("tool_calls")):
        if not content.strip():
            raise DataError(f"{what} says nothing and calls nothing; leave it out")
        return [Step(reasoning, FINISH, content, learnt=weight == 1)]
    if not isinstance(called, list) or not all(isinstance(call, dict) for call in called):
        raise DataError(f"{what}: expected tool_calls as a list of objects")
    thought, steps = "\n\n".join(filter(None, (reasoning, content.strip()))), list[Step]()
    for at, one in enumerate(called):
        name, arguments = calls.call(one, f"{what}, call {at + 1}", counts)
        if (tool := known.get(name)) is None:
            raise DataError(f"{what} calls {name}, as the answer is called here; rename that tool")
        argument = tool.argument(arguments)
        try:
            is_read_back = tool.arguments(argument) == arguments
        except ParseError:
            is_read_back = False
        if not is_read_back:
            raise DataError(f"{what} calls {name} with other arguments than its one text, {tool.text_argument}; "
                            "describe all arguments in tools")
        steps.append(Step("" if at else thought, name, argument, continues=at > 0, learnt=weight == 1))
    return steps


def _ids(message: Mapping[str, Any], what: str) -> list[str]:
    """By what each call of a message is answered; its place where it has no id."""
    called = message.get("tool_calls") or ()
    ids = [call.get("id") or str(at) for at, call in enumerate(called)]
    if not all(isinstance(name, str | int) for name in ids):
        raise DataError(f"{what} has a call whose id is no text; write it as one")
    if len(set(ids)) < len(ids):
        raise DataError(f"{what} has two calls of one id; give each its own")
    return ids


def _answers(message: Mapping[str, Any], waiting: dict[str, int], steps: Sequence[Step], what: str) -> int:
    """Which step a tool's message answers: by the id it names, else by its tool's name, else the first that waits."""
    named, tool = message.get("tool_call_id"), message.get("name")
    if named is None:
        named = next((name for name, at in waiting.items() if tool in (None, steps[at].action)), next(iter(waiting)))
    if not isinstance(named, str | int) or named not in waiting:
        raise DataError(f"{what} answers the call {quoted(named)}, which is none that waits for a result; name one")
    at = waiting.pop(named)
    if tool not in (None, steps[at].action):
        raise DataError(f"{what} is of the tool {quoted(tool)}, but answers a call of {steps[at].action}")
    return at
