"""The frozen records that cross every wall: what was asked, what was done, how it ended.

A ``Trajectory`` is self-contained (it carries its whole ``Question``), so one line of ``trajectories.jsonl`` is all
that rendering, reporting or a reader needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

from fireact.errors import DataError

SEARCH, FINISH = "search", "finish"
EM, ACCURACY = "EM", "accuracy"  # what tasks call their own scores


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
    """

    id: str
    text: str
    answer: str
    task: str
    split: str
    choices: tuple[str, ...] = ()
    kind: str = ""
    evidence: tuple[str, ...] = ()

    def prompt(self) -> str:
        """The text a model is asked: the question and, if there are any, its lettered choices."""
        letters = (f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, self.choices, strict=False))
        return "\n".join([self.text, *letters])


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the model and the environment's answer.

    A turn without a well-formed action has ``action == ""`` and keeps its whole text in ``thought``.
    ``observation`` is None while nothing has answered (normally after ``finish``).
    """

    thought: str
    action: str
    argument: str
    observation: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """``em`` and ``f1`` in 0…1; ``correct`` by the task's own rule (EM, yes/no, letter)."""

    em: float
    f1: float
    correct: bool


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

    @property
    def rounds(self) -> int:
        """Actions taken, ``finish`` included: the paper's "turns"."""
        return sum(1 for step in self.steps if step.action)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that ``json.dumps`` takes and ``from_json`` reads back equal."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Any) -> Trajectory:
        """The inverse of ``to_json``.

        Raises:
            DataError: a field is missing, unknown or of the wrong type; the message names it (not the file: the
                reader that knows the file adds it).
        """
        return cls(**{
            **_fields(cls, row, "trajectory"),
            "question": _question(row["question"]),
            "steps": tuple(Step(**_fields(Step, step, "step")) for step in _list(row, "steps")),
            "ending": _ending(row["ending"]),
            "score": Score(**_fields(Score, row["score"], "score")),
            "usage": Usage(**_fields(Usage, row.get("usage", {}), "usage")),
        })


def _question(row: Any) -> Question:
    fields = _fields(Question, row, "question")
    return Question(**{**fields, "choices": tuple(row.get("choices", ())), "evidence": tuple(row.get("evidence", ()))})


def _ending(value: Any) -> Ending:
    try:
        return Ending(value)
    except ValueError:
        raise DataError(f"ending is {value!r}; expected one of {', '.join(Ending)}") from None


def _list(row: dict[str, Any], key: str) -> Sequence[Any]:
    if not isinstance(row[key], list | tuple):
        raise DataError(f"{key} is {type(row[key]).__name__}; expected a list")
    return row[key]


def _fields(cls: type, row: Any, what: str) -> dict[str, Any]:
    """The row's fields, after checking that they are the dataclass's: all required ones there, simple types right."""
    if not isinstance(row, dict):
        raise DataError(f"{what} is {type(row).__name__}; expected an object")
    known = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(row) - set(known)):
        raise DataError(f"{what} has the unknown field {unknown[0]!r}; known are {', '.join(known)}")
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if name not in row and required:
            raise DataError(f"{what} lacks the field {name!r}")
        if name in row and f.type in _SIMPLE and not isinstance(row[name], _SIMPLE[f.type]):
            raise DataError(f"{what}.{name} is {type(row[name]).__name__}; expected {f.type}")
    return dict(row)


# Annotations are strings here (PEP 563), so the simple ones can be looked up as written.
_SIMPLE: dict[Any, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}
