"""Conversations with native tool calls → ours: OpenAI's messages, its older function calls, and ShareGPT's rows.

A system or developer message is the question's ``system``, the user's one message the question. Calls of an assistant's
message are steps, what it says beside them their thought; each is answered by the tool's message that names it. The
message without a call is the answer, and the last one. A message of ``weight`` 0 is context, not learnt. Nothing says
whether the answer is right, so the row counts as a right demonstration; ``demonstrations`` counts such rows. A tool
that is called and not described gets the schema that its calls have; ``undescribed_tool NAME`` counts them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fireact.errors import DataError, ParseError, quoted
from fireact.trajectories.importers import fields
from fireact.trajectories.records import FINISH, Ending, Question, Score, Step, Trajectory
from fireact.trajectories.tool_schema import ToolSchema

TASK = "own"  # what questions of rows are filed under that name no task
_SYSTEM = ("system", "developer")
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_SAYS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def is_native(row: Mapping[str, Any]) -> bool:
    """Whether a row of messages has tools, calls or their results, and so is no ReAct text."""
    messages = row["messages"] if _is_list(row["messages"]) else []
    said = [message for message in messages if isinstance(message, dict)]
    return bool(row.get("tools") or row.get("functions")) or any(
        message.get("role") in ("tool", "function") or message.get("tool_calls") or message.get("function_call")
        for message in said
    )


def from_messages(row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"messages": […], "tools": […]}``, as OpenAI's fine-tuning takes them.

    Raises:
        DataError: something in it is not understood, or would be lost; names the message, counted from 1.
    """
    fields.check(row, ("messages", "tools", "functions", "parallel_tool_calls"), "the row", counts)
    tools = [*_tools(row.get("tools") or []), *_tools(row.get("functions") or [])]
    return _trajectory(_modern(row["messages"]), tools, counts)


def from_sharegpt(row: Mapping[str, Any], counts: Counter[str]) -> Trajectory:
    """One row ``{"conversations": [{"from", "value"}, …], "tools": JSON text, "system": text}``.

    Raises:
        DataError: see ``from_messages``.
    """
    fields.check(row, ("conversations", "tools", "system"), "the row", counts)
    tools = row.get("tools") or []
    if isinstance(tools, str):
        tools = _json(tools, "the row's tools")
    messages: list[Any] = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    turns = row["conversations"]
    if not _is_list(turns) or not all(isinstance(turn, dict) for turn in turns):
        raise DataError("expected conversations as a list of objects with from and value")
    for number, turn in enumerate(turns, start=1):
        what = f"turn {number}"
        fields.check(turn, ("from", "value", "weight"), what, counts)
        who, value = fields.text(turn, "from", f"{what}: "), fields.text(turn, "value", f"{what}: ")
        weight = {"weight": turn["weight"]} if turn.get("weight") is not None else {}
        if who == "function_call":
            messages.append({"role": "assistant", "content": "", **_called(_json(value, what), what), **weight})
        elif who in ("observation", "tool"):
            messages.append({"role": "tool", "content": value})
        elif who in _SAYS:
            messages.append({"role": _SAYS[who], "content": value, **weight})
        else:
            raise DataError(f"{what} is from {quoted(who)}; expected human, gpt, function_call, observation or system")
    return _trajectory(messages, _tools(tools), counts)


def _trajectory(messages: Any, tools: Sequence[ToolSchema], counts: Counter[str]) -> Trajectory:
    if not _is_list(messages) or not all(isinstance(message, dict) for message in messages):
        raise DataError("expected messages as a list of objects with role and content")
    tools = [*tools, *_undescribed(messages, {tool.name for tool in tools}, counts)]
    known = {tool.name: tool for tool in tools}
    system: list[str] = []
    question, steps, waiting, answered = "", list[Step](), dict[str, int](), False
    for number, message in enumerate(messages, start=1):
        what = f"message {number}"
        role = fields.text(message, "role", f"{what}: ")
        read = {"role", "content", "weight", "tool_calls", "tool_call_id", "name"}
        fields.check(message, read, what, counts)
        content = _content(message, what)
        if answered:
            raise DataError(f"{what} follows the answer; make a row of each question, with what was said before at its "
                            "head")
        if role in _SYSTEM and not question:
            system.append(content)
        elif role == "user" and not question:
            if not content.strip():
                raise DataError("the question is empty; leave the row out")
            question = content
        elif role == "assistant" and question and not waiting:
            said = _said(message, content, known, what)
            answered = said[0].action == FINISH
            ids = [call.get("id") or str(at) for at, call in enumerate(message.get("tool_calls") or ())]
            if len(set(ids)) < len(ids):
                raise DataError(f"{what} has two calls of one id; give each its own")
            waiting = {name: len(steps) + at for at, name in enumerate(ids)}
            steps += said
        elif role == "tool" and waiting:
            at = _answers(message, waiting, steps, what)
            steps[at] = Step(*_parts(steps[at]), content, steps[at].continues, steps[at].learnt)
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
    asked = Question(f"{TASK}-{name}", question, answer, TASK, "train", system="\n\n".join(system))
    return Trajectory(asked, "react", tuple(steps), Ending.FINISH, answer, Score(1.0, 1.0, True), tools=tuple(tools))


def _undescribed(messages: Sequence[Mapping[str, Any]], known: set[str], counts: Counter[str]) -> list[ToolSchema]:
    """The tools that are called and not ``known``, each with the arguments that its calls have."""
    properties = dict[str, dict[str, Any]]()
    for number, message in enumerate(messages, start=1):
        called: Any = message.get("tool_calls")
        for call in called if _is_list(called) else ():
            name, arguments = _call(call, f"message {number}")
            if name in known or name == FINISH:
                continue
            its = properties.setdefault(name, {})
            for key, value in arguments.items():
                kind = _KINDS.get(type(value), "object")
                its[key] = {"type": kind} if its.get(key, {"type": kind}) == {"type": kind} else {}
    for name in properties:
        counts[f"undescribed_tool {name}"] += 1
    return [ToolSchema.from_json({"name": name, "parameters": {"type": "object", "properties": its}}, f"tool {name}")
            for name, its in properties.items()]


def _said(message: Mapping[str, Any], content: str, known: Mapping[str, ToolSchema], what: str) -> list[Step]:
    """The steps of an assistant's message: its calls, or its answer."""
    weight = message.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise DataError(f"{what} has the weight {quoted(weight)}; only 0 and 1 are possible")
    if not (called := message.get("tool_calls")):
        if not content.strip():
            raise DataError(f"{what} says nothing and calls nothing; leave it out")
        return [Step("", FINISH, content, learnt=weight == 1)]
    if not _is_list(called) or not all(isinstance(call, dict) for call in called):
        raise DataError(f"{what}: expected tool_calls as a list of objects")
    steps = []
    for at, call in enumerate(called):
        name, arguments = _call(call, f"{what}, call {at + 1}")
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
        steps.append(Step("" if at else content.strip(), name, argument, continues=at > 0, learnt=weight == 1))
    return steps


def _call(call: Any, what: str) -> tuple[str, dict[str, Any]]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or call.get("type", "function") != "function":
        raise DataError(f"{what} is no function's; only such calls are read")
    name, arguments = fields.text(function, "name", f"{what}: "), function.get("arguments")
    if isinstance(arguments, str):
        arguments = _json(arguments, f"{what}: its arguments") if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise DataError(f"{what} has arguments that are no JSON object; write them as one")
    return name, arguments


def _answers(message: Mapping[str, Any], waiting: dict[str, int], steps: Sequence[Step], what: str) -> int:
    """Which step a tool's message answers, by the id it names or, where it names none, the first that waits."""
    named = message.get("tool_call_id")
    if named is None:
        named = next(iter(waiting))
    if named not in waiting:
        raise DataError(f"{what} answers the call {quoted(named)}, which is none that waits for a result; name one")
    at = waiting.pop(named)
    if message.get("name") not in (None, steps[at].action):
        raise DataError(f"{what} is of the tool {quoted(message['name'])}, but answers a call of {steps[at].action}")
    return at


def _parts(step: Step) -> tuple[str, str, str]:
    return step.thought, step.action, step.argument


def _content(message: Mapping[str, Any], what: str) -> str:
    """A message's text; a list of text parts is their texts."""
    content = message.get("content")
    if content is None:
        return ""
    if _is_list(content):
        if not all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in content):
            raise DataError(f"{what} has a part that is no text; only text is learnt; leave the row out")
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise DataError(f"{what}: expected the field 'content' to be text")
    return content


def _tools(rows: Any) -> list[ToolSchema]:
    """The schemas in a row's ``tools``, each an object, or one in ``function``."""
    if not _is_list(rows):
        raise DataError("expected tools as a list")
    found = []
    for number, row in enumerate(rows, start=1):
        row = row.get("function", row) if isinstance(row, dict) else row
        plain = {key: value for key, value in row.items() if key != "strict"} if isinstance(row, dict) else row
        found.append(ToolSchema.from_json(plain, f"tool {number}"))
    names = [tool.name for tool in found]
    if FINISH in names or len(set(names)) < len(names):
        raise DataError(f"two tools have one name, or one is called {FINISH}, as the answer is; rename it")
    return found


def _modern(messages: Any) -> Any:
    """Messages with the older ``function_call`` and role ``function`` in today's form."""
    if not _is_list(messages):
        return messages
    modern = []
    for message in messages:
        if isinstance(message, dict) and message.get("function_call") is not None and not message.get("tool_calls"):
            rest = {key: value for key, value in message.items() if key != "function_call"}
            message = {**rest, "tool_calls": [{"function": message["function_call"]}]}
        if isinstance(message, dict) and message.get("role") == "function":
            message = {**message, "role": "tool"}
        modern.append(message)
    return modern


def _called(value: Any, what: str) -> dict[str, Any]:
    calls = value if _is_list(value) else [value]
    if not calls or not all(isinstance(call, dict) for call in calls):
        raise DataError(f"{what} holds no call; expected an object with name and arguments")
    return {"tool_calls": [{"function": call} for call in calls]}


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is no JSON: {quoted(text)}; write it as JSON") from None


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
