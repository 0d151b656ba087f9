"""What a row's messages can't say of a trajectory, carried in the row's ``metadata`` so that it is read back whole.

``metadata`` holds it as one text, ``fireact``, since OpenAI's metadata holds texts: the JSON of an object of

- ``question``: its ``id``, ``answer``, ``task``, ``split``, ``choices``, ``kind``, ``evidence`` and ``calls``;
- ``method``, ``answer``, ``score``, ``usage``, ``provenance``, as in our own rows;
- ``tools``: an empty list, where the trajectory names none and the row the search that stands for that;
- ``steps``: by number from 1, what the messages leave open of a step: a ``thought`` that they don't say, an
  ``argument`` that is the same JSON written otherwise, an ``observation`` that differs in white space, or follows the
  answer.

What the messages do say stands there alone, so the two can't contradict each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.records import Step, Trajectory
from fireact.trajectories.storage import reading
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema

KEY = "fireact"
_QUESTION = ("id", "answer", "task", "split", "choices", "kind", "evidence", "calls")
_WHOLE = ("method", "answer", "score", "usage", "provenance")
_STEP = ("thought", "argument", "observation")
_SEARCH = [SEARCH_TOOL.to_json()]
_KNOWN = ("question", *_WHOLE, "tools", "steps")


def taken(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The row without what its metadata carries, and that, an object; None if nothing is carried.

    Raises:
        DataError: it is no JSON text of an object.
    """
    metadata = row.get("metadata")
    if not isinstance(metadata, Mapping) or KEY not in metadata:
        return dict(row), None
    text = metadata[KEY]
    if not isinstance(text, str):
        raise DataError(f"metadata.{KEY} is no text; leave it as it was exported, or remove it")
    said = reading.loads(text.encode("utf-8", "surrogatepass"), f"metadata.{KEY}", "the JSON text of an object")
    _known(said, _KNOWN, f"metadata.{KEY}")
    others = {key: value for key, value in metadata.items() if key != KEY}
    rest = {key: value for key, value in row.items() if key != "metadata"}
    return ({**rest, "metadata": others} if others else rest), said


def merged(read: Trajectory, said: Mapping[str, Any]) -> Trajectory:
    """The trajectory that ``read``, the row's messages, and what its metadata ``said`` make up.

    Raises:
        DataError: the metadata has another form, or contradicts the messages.
    """
    row = read.to_json()
    row.update({key: said[key] for key in _WHOLE if key in said})
    asked = said.get("question", {})
    _known(asked, _QUESTION, f"metadata.{KEY}.question")
    row["question"].update({**asked, "text": ""})
    if "tools" in said:
        if said["tools"] != [] or _json(read.tools) != _SEARCH:
            raise DataError(f"metadata.{KEY}.tools may only be an empty list beside the search tool; write tools into "
                            "the row's own tools")
        row["tools"] = []
    steps = said.get("steps", {})
    _known(steps, [str(number) for number in range(1, len(read.steps) + 1)], f"metadata.{KEY}.steps")
    for number, more in steps.items():
        _known(more, _STEP, f"metadata.{KEY}.steps.{number}")
        row["steps"][int(number) - 1].update(more)
    whole = Trajectory.from_json(row)
    choices, prompt = whole.question.prompt(), read.question.prompt()
    if not prompt.endswith(choices):
        raise DataError(f"the question does not end with the choices in metadata.{KEY}; make them the same")
    whole = replace(whole, question=replace(whole.question, text=prompt.removesuffix(choices)))
    _check_said(whole, read, f"metadata.{KEY} contradicts the messages: ", "make them the same, or remove it")
    return whole


def beyond(trajectory: Trajectory, read: Trajectory) -> dict[str, Any]:
    """What metadata must carry so that ``merged`` makes ``trajectory`` of the row that is read as ``read``; empty if
    the row says all.

    Raises:
        DataError: the row would be read as something else, which no metadata can mend; says what.
    """
    if is_same(read, trajectory):
        return {}
    if trajectory.tools and _json(trajectory.tools) != _json(read.tools):
        raise DataError("it describes tools, for which such a row has no place; write it to=openai, to=sharegpt or "
                        "to=jsonl")
    _check_said(trajectory, read, "it would not be read back: ", "write it to=jsonl")
    row = trajectory.to_json()
    question = {key: row["question"][key] for key in _QUESTION if key in row["question"]}
    said = {"question": question, **{key: row[key] for key in _WHOLE}}
    if read.tools and not trajectory.tools:
        said["tools"] = []
    pairs = enumerate(zip(trajectory.steps, read.steps, strict=True), start=1)
    steps = {str(number): _more(own, other) for number, (own, other) in pairs if own != other}
    return {**said, "steps": steps} if steps else said


def is_same(one: Trajectory, other: Trajectory) -> bool:
    """Whether a file would hold the same of both: that knows no order of the keys in a tool's schema."""
    return one.to_json() == other.to_json()


def _more(own: Step, other: Step) -> dict[str, Any]:
    return {key: getattr(own, key) for key in _STEP if getattr(own, key) != getattr(other, key)}


def _check_said(own: Trajectory, read: Trajectory, what: str, fix: str) -> None:
    """Refuse where ``own`` differs from what its messages are ``read`` as in anything that messages say."""
    tools = _json(own.tools), _json(read.tools)
    pairs = {
        "the question": (own.question.prompt(), read.question.prompt()),
        "the system text": (own.question.system, read.question.system),
        "the ending": (own.ending.value, read.ending.value),
        "the list of tools": tools if tools != ([], _SEARCH) else ([], []),
        "the number of steps": (len(own.steps), len(read.steps)),
    }
    for number, (one, other) in enumerate(zip(own.steps, read.steps, strict=False), start=1):
        for key, (wanted, found) in _said(one, other, is_last=number == len(own.steps)).items():
            pairs[f"the {key} of step {number}"] = (wanted, found)
    for name, (wanted, found) in pairs.items():
        if wanted != found:
            raise DataError(f"{what}{name} is {quoted(wanted)} and there {quoted(found)}; {fix}")


def _said(own: Step, read: Step, is_last: bool) -> dict[str, tuple[Any, Any]]:
    """What messages say of a step, as it is and as it is read; equal texts where the difference may be carried."""
    pairs: dict[str, tuple[Any, Any]] = {
        key: (getattr(own, key), getattr(read, key)) for key in ("action", "continues", "learnt")
    }
    if read.thought or not own.action:
        pairs["thought"] = (own.thought.strip(), read.thought.strip())
    pairs["argument"] = (_canonical(own.argument), _canonical(read.argument))
    if not is_last:
        pairs["observation"] = (_one_line(own.observation), _one_line(read.observation))
    return pairs


def _canonical(argument: str) -> str:
    """An argument so that two that are the same JSON object are equal, and no others."""
    try:
        value = json.loads(argument)
    except (ValueError, RecursionError):
        return argument
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else argument


def _one_line(observation: str | None) -> str | None:
    return None if observation is None else " ".join(observation.split())


def _json(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    return [tool.to_json() for tool in tools]


def _known(value: Any, known: Sequence[str], what: str) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{what} is no object; leave it as it was exported, or remove it")
    if unknown := sorted(set(value) - set(known)):
        raise DataError(f"{what} has the unknown field {quoted(unknown[0])}; known are {', '.join(known)}")
