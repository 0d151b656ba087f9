"""Logs of inspect_ai's evaluations (``.json``, version 2) → ours: each sample's messages, the tools, and its score.

A log in inspect's own form, ``.eval``, is packed in a way that its library alone reads; ``inspect log convert`` makes
it JSON. What a sample says about its making (events, usage, times) is counted as ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import calls, contents, conversations, fields
from fireact.trajectories.records import Score, Trajectory

CONVERT = "convert it by: inspect log convert --to json --output-dir FOLDER FILE, and name the .json file"
_LOGGED = frozenset((
    "epoch", "input", "choices", "output", "store", "events", "events_data", "attachments", "model_usage", "role_usage",
    "started_at", "completed_at", "total_time", "working_time", "error_retries", "turn_count", "timelines", "sandbox",
    "files", "setup", "invalidation", "uuid", "id", "metadata",
))  # fmt: skip
_RIGHT = {"C": 1.0, "I": 0.0, "N": 0.0, True: 1.0, False: 0.0}
_OF_MESSAGE = ("source", "model", "internal", "metadata", "id")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One sample of a log."""

    sample: Any


def is_log(value: Any) -> bool:
    """Whether a file's one value is a log of inspect_ai's."""
    return isinstance(value, dict) and {"eval", "status"} <= {*value}


def rows(log: Mapping[str, Any], path: str) -> Iterator[tuple[str, SampleRow]]:
    """The samples of the log in ``path``, each with its place (``sample 1``).

    Raises:
        DataError: the log has none.
    """
    samples = log.get("samples")
    if not isinstance(samples, list) or not samples:
        raise DataError(f"{path}: the log holds no samples; write it with them (log_samples=True), or name another one")
    for number, sample in enumerate(samples, start=1):
        yield f"sample {number}", SampleRow(sample)


def from_sample(row: SampleRow, counts: Counter[str]) -> Trajectory:
    """A sample's episode, scored as its scorers did: right where all of them say so.

    Raises:
        DataError: it ended in an error or at a limit, its score is no right or wrong, or its messages can't be said.
    """
    sample = row.sample
    if not isinstance(sample, dict):
        raise DataError("expected a sample as an object")
    logged = [key for key in sample if key in _LOGGED]
    counts.update(f"ignored_field {key}" for key in logged if sample[key] not in (None, [], {}))
    fields.check(sample, ("messages", "target", "scores", "error", "limit", *logged), "the sample", counts)
    for key in ("error", "limit"):
        if sample.get(key):
            raise DataError(f"the sample ended in the {key} {quoted(_reason(sample[key]))}; leave it out")
    messages = [_message(each, sample, counts) for each in _listed(sample.get("messages"))]
    own = Counter[str]()
    found = conversations.trajectory(contents.modern(messages, own), _tools(sample, own), own)
    target = sample.get("target")
    gold = target[0] if isinstance(target, list) and target else target
    right = _score(sample.get("scores") or {})
    if right is not None:
        del own["demonstrations"]
    counts.update(own)
    if right is None:
        return found
    asked = replace(found.question, answer=gold if isinstance(gold, str) else found.question.answer)
    return replace(found, question=asked, score=Score(float(right), float(right), right))


def _score(scores: Any) -> bool | None:
    """Whether all scorers say right; None where there are none."""
    if not isinstance(scores, dict) or not all(isinstance(score, dict) for score in scores.values()):
        raise DataError("expected scores as an object of objects")
    values = {name: score.get("value") for name, score in scores.items()}
    for name, value in values.items():
        if isinstance(value, list | dict) or _RIGHT.get(value, value) not in (0.0, 1.0):
            raise DataError(f"the scorer {quoted(name)} gives {quoted(value)}, which is neither right nor wrong; score "
                            "by C and I, or by 1 and 0")
    return all(_RIGHT.get(value, value) == 1 for value in values.values()) if values else None


def _message(message: Any, sample: Mapping[str, Any], counts: Counter[str]) -> dict[str, Any]:
    """A message in OpenAI's form; the error of a tool is its result where it has no other."""
    if not isinstance(message, dict):
        raise DataError("expected messages as a list of objects with role and content")
    plain = {key: _whole(value, sample) for key, value in message.items() if key not in _OF_MESSAGE}
    counts.update(f"ignored_field {key}" for key in _OF_MESSAGE if message.get(key) is not None)
    called = plain.get("tool_calls")
    if isinstance(called, list):
        plain["tool_calls"] = [_call(call, counts) for call in called]
    if plain.get("role") == "tool":
        name, error = plain.pop("function", None), plain.pop("error", None)
        plain["name"] = name
        if error:
            plain["is_error"] = True
            plain["content"] = plain.get("content") or _reason(error)
    return plain


def _call(call: Any, counts: Counter[str]) -> Any:
    if not isinstance(call, dict) or not isinstance(call.get("function"), str):
        return call  # says so where it is read
    if call.get("parse_error"):
        raise DataError(f"a call of {quoted(call['function'])} could not be read ({quoted(call['parse_error'])}); "
                        "leave the sample out")
    fields.check(call, ("id", "function", "arguments", "type", "parse_error", "view", "internal"), "a call", counts)
    return {"id": call.get("id"), "function": {"name": call["function"], "arguments": call.get("arguments")}}


def _tools(sample: Mapping[str, Any], counts: Counter[str]) -> list[Any]:
    """The tools that the model was told of, as its first calls name them."""
    events = [event for event in _listed(sample.get("events")) if isinstance(event, dict)]
    listed = [tool for event in events if event.get("event") == "model" for tool in _listed(event.get("tools"))]
    objects = [tool for tool in listed if isinstance(tool, dict)]
    told = {str(tool.get("name")): {key: tool.get(key) for key in _OF_TOOL} for tool in objects}
    return calls.schemas(list(told.values()), counts)


def _whole(value: Any, sample: Mapping[str, Any]) -> Any:
    """A value with what it names among the sample's attachments in its place."""
    if isinstance(value, str) and value.startswith(_ATTACHED):
        held = sample.get("attachments")
        text = held.get(value.removeprefix(_ATTACHED)) if isinstance(held, dict) else None
        if not isinstance(text, str):
            raise DataError(f"the sample lacks {quoted(value)}; write the log with its attachments")
        return text
    if isinstance(value, dict):
        return {key: _whole(each, sample) for key, each in value.items()}
    return [_whole(each, sample) for each in value] if isinstance(value, list) else value


def _reason(error: Any) -> str:
    return str(error.get("message") or error.get("type")) if isinstance(error, dict) else str(error)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_OF_TOOL = ("name", "description", "parameters")
_ATTACHED = "attachment://"
