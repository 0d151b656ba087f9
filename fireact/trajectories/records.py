"""The frozen records that cross every wall: what was asked, what was done, how it ended.

A ``Trajectory`` is self-contained (it carries its whole ``Question``), so one line of ``trajectories.jsonl`` is all
that rendering, reporting or a reader needs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.reference_calls import call_text
from fireact.trajectories.tool_schema import ToolSchema

SEARCH, FINISH = "search", "finish"
OWN = "own"  # the task that questions are filed under where nothing names one
EM, ACCURACY, F1_NAME = "EM", "accuracy", "F1"  # what tasks call their own scores


class Ending(StrEnum):
    """Why an episode stopped; every trajectory has exactly one."""

    FINISH = "finish"
    STEP_LIMIT = "step_limit"
    PARSE_FAILURE = "parse_failure"
    TOOL_FAILURE = "tool_failure"
    MODEL_FAILURE = "model_failure"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Document:
    """One article of a corpus."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold answer.

    ``choices`` holds the options of a multiple-choice question (then ``answer`` is a letter). ``kind`` names the
    question's family within its task; ``evidence`` the titles of the documents that lead to the answer, in order.
    ``system`` is what a chat's system message says before the question. ``calls`` are the tool calls that its answer
    needs, each as ``call_text`` writes it; None where nobody says.
    """

    id: str
    text: str
    answer: str
    task: str
    split: str
    choices: tuple[str, ...] = ()
    kind: str = ""
    evidence: tuple[str, ...] = ()
    system: str = ""
    calls: tuple[str, ...] | None = None

    def prompt(self) -> str:
        """The text a model is asked: the question and, if there are any, its lettered choices."""
        letters = (f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, self.choices, strict=False))
        return "\n".join([self.text, *letters])


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the model and the environment's answer.

    A turn without a well-formed action has ``action == ""`` and keeps its whole text in ``thought``.
    ``observation`` is None while nothing has answered (normally after ``finish``). A step that ``continues`` is a
    further call of the same turn as the step before it. One that is not ``learnt`` is context in training.
    """

    thought: str
    action: str
    argument: str
    observation: str | None = None
    continues: bool = False
    learnt: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """``em`` and ``f1`` in 0…1; ``correct`` by the task's own rule (EM, yes/no, letter).

    ``value``, in 0…1, is the task's own score where that is more than right or wrong.
    """

    em: float
    f1: float
    correct: bool
    value: float | None = None

    @property
    def own(self) -> float:
        """The task's own score, in 0…1."""
        return float(self.correct if self.value is None else self.value)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an episode cost: calls, tokens of the model, US dollars, wall-clock seconds from first call to ending."""

    lm_calls: int = 0
    search_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A question acted out by one method: its steps, its ending and what it scored and cost."""

    question: Question
    method: str
    steps: tuple[Step, ...]
    ending: Ending
    answer: str
    score: Score
    usage: Usage = Usage()
    provenance: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[ToolSchema, ...] = ()  # that the model was told of; the paper's search is not described

    @property
    def rounds(self) -> int:
        """Actions taken, ``finish`` included: the paper's "turns"."""
        return sum(1 for step in self.steps if step.action)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that ``json.dumps`` takes and ``from_json`` reads back equal.

        What the first edition did not know is left out where it says nothing, so its files stay as they are.
        """
        row = dataclasses.asdict(self)
        if self.question.calls is not None:
            row["question"]["calls"] = [json.loads(call) for call in self.question.calls]
        _leave_out(row["question"], {"system": "", "calls": None})
        _leave_out(row["score"], {"value": None})
        for step in row["steps"]:
            _leave_out(step, {"continues": False, "learnt": True})
        row["tools"] = [tool.to_json() for tool in self.tools]
        _leave_out(row, {"tools": []})
        return row

    @classmethod
    def from_json(cls, row: Any) -> Trajectory:
        """The inverse of ``to_json``.

        Raises:
            DataError: a field is missing, unknown, of the wrong type or out of its range; the message names it (not the
                file: the reader that knows the file adds it).
        """
        fields = _fields(cls, row, "trajectory")
        return cls(**{
            **fields,
            "question": _question(fields["question"]),
            "steps": tuple(Step(**_fields(Step, step, f"step {n}")) for n, step in enumerate(fields["steps"], start=1)),
            "ending": _ending(fields["ending"]),
            "score": Score(**_fields(Score, fields["score"], "score")),
            "usage": Usage(**_fields(Usage, fields.get("usage", {}), "usage")),
            "tools": tuple(ToolSchema.from_json(t, f"tool {n}") for n, t in enumerate(fields.get("tools", ()), 1)),
        })


def _leave_out(row: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, default in defaults.items():
        if row[key] == default:
            del row[key]


def checked(name: str, value: Any, kind: str) -> None:
    """Refuse a value that is not of ``kind``, an annotation of a record's field as it is written.

    Raises:
        DataError: it is of another type, or a number that no record can mean; the message names it.
    """
    # a truth value is an int to Python, and nobody who writes true means 1
    fits = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not fits:
        raise DataError(f"{name} is {_kind_of(value)}; expected {_WORDS.get(kind, kind)}")
    if kind in ("int", "float") and not 0 <= value <= _LARGEST:
        raise DataError(f"{name} is {quoted(value)}; expected a number from 0 to 2^63")
    if kind == "tuple[str, ...]" and not all(isinstance(member, str) for member in value):
        raise DataError(f"{name} holds {_kind_of(next(m for m in value if not isinstance(m, str)))}; expected texts")
    if kind == "Mapping[str, str]" and not all(isinstance(text, str) for pair in value.items() for text in pair):
        wrong = next(key for key, text in value.items() if not (isinstance(key, str) and isinstance(text, str)))
        raise DataError(f"{name}[{quoted(wrong)}] is {_kind_of(value[wrong])}; expected str")


def fraction(name: str, value: Any) -> None:
    """Refuse what is no number in 0…1, with a DataError that names it."""
    checked(name, value, "float")
    if value > 1:
        raise DataError(f"{name} is {quoted(value)}; expected a number in 0…1")


def _question(row: Any) -> Question:
    fields = _fields(Question, row, "question")
    lists = {key: tuple(fields.get(key, ())) for key in ("choices", "evidence")}
    if len(lists["choices"]) > len(ascii_uppercase):
        raise DataError(f"question.choices has {len(lists['choices'])} choices; there are letters for 26")
    calls = fields.get("calls")
    return Question(**{**fields, **lists, "calls": None if calls is None else tuple(map(call_text, calls))})


def _ending(value: Any) -> Ending:
    try:
        return Ending(value)
    except ValueError:
        raise DataError(f"ending is {quoted(value)}; expected one of {', '.join(Ending)}") from None


def _fields(cls: type, row: Any, what: str) -> dict[str, Any]:
    """The row's fields, after checking that they are the dataclass's, all required ones there, and their values fit."""
    if not isinstance(row, Mapping):
        raise DataError(f"{what} is {_kind_of(row)}; expected an object")
    known = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(row) - set(known)):
        raise DataError(f"{what} has the unknown field {quoted(unknown[0])}; known are {', '.join(known)}")
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if name not in row:
            if required:
                raise DataError(f"{what} lacks the field {name!r}")
        elif cls is Score and f.type == "float | None":
            if row[name] is not None:
                fraction(f"{what}.{name}", row[name])
        elif cls is Score and f.type == "float":
            fraction(f"{what}.{name}", row[name])
        elif f.type in _KINDS:
            checked(name if name == "steps" else f"{what}.{name}", row[name], str(f.type))
    return dict(row)


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__


_LARGEST = 2**63
_LISTS = ("tuple[str, ...]", "tuple[Step, ...]", "tuple[ToolSchema, ...]")
_WORDS = {**dict.fromkeys((*_LISTS, "tuple[str, ...] | None"), "a list"), "Mapping[str, str]": "an object of texts"}
# Annotations are strings here (PEP 563), so they can be looked up as written.
_KINDS: dict[Any, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    **dict.fromkeys(_LISTS, (list, tuple)),
    "tuple[str, ...] | None": (list, tuple, type(None)),
    "Mapping[str, str]": (Mapping,),
}
