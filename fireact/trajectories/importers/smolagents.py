"""Runs of smolagents' agents → messages: what ``agent.memory.get_full_steps()`` or ``RunResult.dict()`` give, as JSON.

Shapes are those of smolagents 1.26. A step of a tool-calling agent is a message with its calls, and their results; one
of a code agent a call of ``python_interpreter``. The step that gives the final answer is the answer, behind what its
code printed where it does more than that. What the model was told (``model_input_messages``) names smolagents' own
prompts and is counted as ignored: here a model is told its tools by their schemas.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import conversations, fields
from fireact.trajectories.records import Trajectory

FINAL, PYTHON = "final_answer", "python_interpreter"
_ACTION = ("tool_calls", "error", "model_output_message", "model_output", "code_action", "observations",
           "observations_images", "action_output", "is_final_answer")  # fmt: skip
_LOGGED = ("step_number", "timing", "model_input_messages", "token_usage")
_CODE = re.compile(r"(?:^|\n)\s*(?:Code:\s*)?(?:<code>|```)")
_ONLY_FINAL = re.compile(rf"\s*{FINAL}\((?:[^()]|\([^()]*\))*\)\s*")
_THOUGHT = re.compile(r"\s*Thought:")


def is_run(row: Any) -> bool:
    """Whether a value is an agent's memory: its list of steps, or an object with it."""
    steps = row.get("steps") if isinstance(row, dict) and "question" not in row else row
    return isinstance(steps, list) and bool(steps) and any(
        isinstance(step, dict) and ({"task_images", "model_output", "system_prompt"} & {*step} or {*step} == {"task"})
        for step in steps
    )


def from_run(row: Any, counts: Counter[str]) -> Trajectory:
    """The one question of a run, as a right demonstration.

    Raises:
        DataError: the run has none or several, ends without an answer, or holds what can't be said here.
    """
    if isinstance(row, dict):
        fields.check(row, ("steps", "output", "state", "task", *_logged(row, counts)), "the run", counts)
        if row.get("state") not in (None, "success"):
            raise DataError(f"the run ended as {quoted(row['state'])}, not with an answer; leave it out")
        asked = [{"task": row["task"]}] if row.get("task") and "task" not in row["steps"][0] else []
        row = [*asked, *row["steps"]]
    messages, thought = list[dict[str, Any]](), ""
    for number, step in enumerate(row, start=1):
        what = f"step {number}"
        if not isinstance(step, dict):
            raise DataError(f"expected {what} as an object")
        made = _messages(step, what, counts)
        messages += made
        if made and made[-1]["role"] == "assistant" and len(made) == 1:
            thought = _thought(step)  # an answer's, which no message holds
    found = conversations.trajectory(messages, [], counts)
    *before, last = found.steps
    return replace(found, steps=(*before, replace(last, thought=thought)))


def _messages(step: Mapping[str, Any], what: str, counts: Counter[str]) -> list[dict[str, Any]]:
    logged = _logged(step, counts)
    if "plan" in step:
        raise DataError(f"{what} is a plan, which is no turn here; leave the run out, or let the agent plan nothing")
    if "system_prompt" in step:
        counts["ignored_field system_prompt"] += 1
        return []
    if "task" in step:
        fields.check(step, ("task", "task_images", *logged), what, counts)
    else:
        fields.check(step, (*_ACTION, *logged), what, counts)
    if step.get("task_images") or step.get("observations_images"):
        raise DataError(f"{what} shows images, and only text is learnt; leave the run out")
    if "task" in step:
        return [{"role": "user", "content": fields.text(step, "task", f"{what}: ")}]
    if not (made := _calls(step)):
        reason = _error(step) or "it holds none"
        raise DataError(f"{what} makes no call that could be read ({quoted(reason)}); leave the run out")
    final = next((call for call in made if _name(call) == FINAL), None)
    if final and len(made) > 1:
        raise DataError(f"{what} calls other tools beside {FINAL}; leave the run out")
    if not final and not step.get("is_final_answer"):
        return _turn(step, made, what, counts)
    said = _answer(step, final)
    answer = {"role": "assistant", "content": said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)}
    if final or _ONLY_FINAL.fullmatch(str(step.get("code_action"))):
        return [answer]
    counts["answers_behind_code"] += 1
    return [*_turn(step, made, what, counts), answer]


def _turn(step: Mapping[str, Any], made: list[dict[str, Any]], what: str, counts: Counter[str]) -> list[dict[str, Any]]:
    """A message with calls, and one with the result of each, of which a step has but one text."""
    error, seen = _error(step), step.get("observations")
    results = [str(seen)] if seen else []
    if len(made) > 1 and not error:
        results = str(seen).split("\n")
    results = [*results, error] if error else results or [""]
    if error and len(made) == 1:
        results = ["\n".join(results)]
    if len(results) != len(made):
        raise DataError(f"{what} makes {len(made)} calls whose results are one text, in which it can't be told which "
                        "is whose; leave the run out")
    found: list[dict[str, Any]] = [{"role": "assistant", "content": _thought(step), "tool_calls": made}]
    return found + [{"role": "tool", "content": result, "is_error": bool(error)} for result in results]


def _calls(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of a step; of one that failed they stand in the model's message alone."""
    if step.get("code_action") is not None:
        return [{"function": {"name": PYTHON, "arguments": {"code": step["code_action"]}}}]
    listed = step.get("tool_calls")
    if not listed and isinstance(step.get("model_output_message"), dict):
        listed = step["model_output_message"].get("tool_calls")
    made = []
    for call in listed if isinstance(listed, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return []
        plain = {key: value for key, value in function.items() if key in ("name", "arguments")}
        made.append({"id": call.get("id"), "function": plain})
    return made


def _name(call: Mapping[str, Any]) -> Any:
    return call["function"].get("name")


def _answer(step: Mapping[str, Any], final: Mapping[str, Any] | None) -> Any:
    """What the final answer is: as the step holds it, else the one argument of the call that gives it."""
    if step.get("action_output") is not None or final is None:
        return step.get("action_output")
    arguments = final["function"].get("arguments")
    one = list(arguments.values()) if isinstance(arguments, dict) else [arguments]
    return one[0] if len(one) == 1 else arguments


def _thought(step: Mapping[str, Any]) -> str:
    """What the model says before its code or calls, without a label."""
    said = step.get("model_output")
    text = said if isinstance(said, str) else ""
    if step.get("code_action") is not None and (code := _CODE.search(text)):
        text = text[: code.start()]
    return _THOUGHT.sub("", text, count=1).strip()


def _error(step: Mapping[str, Any]) -> str:
    error = step.get("error")
    return str(error.get("message") or error.get("type")) if isinstance(error, dict) else str(error or "")


def _logged(row: Mapping[str, Any], counts: Counter[str]) -> list[str]:
    """The fields of a row that say how it was logged, or what smolagents told the model; counted by name."""
    found = [key for key in _LOGGED if key in row]
    counts.update(f"ignored_field {key}" for key in found if row[key] is not None)
    return found
