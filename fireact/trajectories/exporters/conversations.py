"""Ours → conversations with native tool calls: OpenAI's messages and ShareGPT's rows, as ``importers`` reads them.

The system text, the question, then for each turn an assistant's message with its calls and a result for each, and last
the answer, an assistant's message that calls nothing. Where a trajectory names no tools, the row describes the search
tool, as everything that says native calls does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fireact.errors import DataError, ParseError
from fireact.trajectories.exporters.answered import answered
from fireact.trajectories.records import Step, Trajectory
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema, call_ids


def openai_row(trajectory: Trajectory) -> dict[str, Any]:
    """A row ``{"messages", "tools"}`` as OpenAI's fine-tuning takes them; a message that isn't learnt has weight 0.

    A thought stands beside the calls of its turn. The answer's has no place there.

    Raises:
        DataError: the format can't hold the trajectory; says why and what can.
    """
    messages: list[dict[str, Any]] = []
    if trajectory.question.system:
        messages.append({"role": "system", "content": trajectory.question.system})
    messages.append({"role": "user", "content": trajectory.question.prompt()})
    turns, answer = _turns(trajectory)
    tools = _told(trajectory)
    number = 0
    for turn in turns:
        ids = call_ids(number, len(turn))
        called = [
            {"id": name, "type": "function", "function": {"name": step.action, "arguments": _arguments(step, tools)}}
            for name, step in zip(ids, turn, strict=True)
        ]
        said = {"role": "assistant", "content": turn[0].thought, "tool_calls": called}
        messages.append({**said, **_weight(turn[0])})
        messages += [{"role": "tool", "tool_call_id": name, "content": step.observation}
                     for name, step in zip(ids, turn, strict=True)]
        number += len(turn)
    messages.append({"role": "assistant", "content": answer.argument, **_weight(answer)})
    return {"messages": messages, "tools": [{"type": "function", "function": tool.to_json()} for tool in tools]}


def sharegpt_row(trajectory: Trajectory) -> dict[str, Any]:
    """A row ``{"conversations", "tools", "system"}``, tools and calls as JSON texts, several calls as one list.

    There is no place for thoughts.

    Raises:
        DataError: see ``openai_row``.
    """
    turns, answer = _turns(trajectory)
    tools = _told(trajectory)
    said: list[dict[str, Any]] = [{"from": "human", "value": trajectory.question.prompt()}]
    for turn in turns:
        calls = [f'{{"name": {_json(step.action)}, "arguments": {_arguments(step, tools)}}}' for step in turn]
        value = calls[0] if len(calls) == 1 else f"[{', '.join(calls)}]"
        said.append({"from": "function_call", "value": value, **_weight(turn[0])})
        said += [{"from": "observation", "value": step.observation} for step in turn]
    said.append({"from": "gpt", "value": answer.argument, **_weight(answer)})
    row = {"conversations": said, "tools": _json([tool.to_json() for tool in tools])}
    return {**row, "system": trajectory.question.system} if trajectory.question.system else row


def _turns(trajectory: Trajectory) -> tuple[list[list[Step]], Step]:
    """The turns that call, each with its steps, and the answer."""
    answer = answered(trajectory)
    turns: list[list[Step]] = []
    for number, step in enumerate(trajectory.steps[:-1], start=1):
        if not step.action:
            raise DataError(f"step {number} takes no action, and here a message without a call is the answer; write it "
                            "to=react or to=jsonl")
        if step.continues and turns:
            if step.learnt != turns[-1][0].learnt:
                raise DataError(f"of the calls in the turn of step {number} only some are learnt, and a message has "
                                "one weight; write it to=jsonl")
            turns[-1].append(step)
        else:
            turns.append([step])
    if answer.continues:
        raise DataError("the answer stands in one turn with a call, and here it is a message of its own; write it "
                        "to=jsonl")
    if not answer.argument.strip():
        raise DataError("its answer is empty, which here is a message that says nothing; write it to=react or to=jsonl")
    return turns, answer


def _told(trajectory: Trajectory) -> Sequence[ToolSchema]:
    return trajectory.tools or (SEARCH_TOOL,)


def _arguments(step: Step, tools: Sequence[ToolSchema]) -> str:
    """The arguments of a call as JSON text."""
    tool = next((tool for tool in tools if tool.name == step.action), None)
    if tool is None:
        raise DataError(f"it calls {step.action}, which none of its tools describes; describe it in tools, or write it "
                        "to=react or to=jsonl")
    try:
        return _json(tool.arguments(step.argument))
    except (ParseError, ValueError):
        raise DataError(f"the argument of {step.action} is no JSON object of its arguments; write it to=react or "
                        "to=jsonl") from None


def _weight(step: Step) -> dict[str, int]:
    return {} if step.learnt else {"weight": 0}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
