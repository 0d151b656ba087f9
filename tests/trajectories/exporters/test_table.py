"""The table of docs/exports.md, held against what each format does with an example of each line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.trajectories.exporters.rows import FORMATS, row_of
from fireact.trajectories.files import convert
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.tool_schema import ToolSchema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exports.md"
TOOL = ToolSchema("search", "Looks it up.", '{"properties": {"q": {"type": "string"}}, "type": "object"}')
LOOK, ANSWER = Step("I look.", "search", "X", "Error: none."), Step("So.", "finish", "Y")
BASE = Trajectory(Question("q", "Who?", "Z", "quiz", "dev", ("Ann", "Bob"), system="Be brief."), "io", (LOOK, ANSWER),
                  Ending.FINISH, "Y", Score(0.0, 0.5, False), Usage(3), {"lm": "teacher"})  # fmt: skip


def with_steps(*steps: Step, **more: Any) -> Trajectory:
    return replace(BASE, steps=steps, **more)


def asked(trajectory: Trajectory) -> tuple[str, ...]:
    question = trajectory.question
    return question.answer, question.id, question.task, question.split


# What each line is about: an example, and what is to be found in it again.
LINES: dict[str, tuple[Trajectory, Callable[[Trajectory], Any]]] = {
    "thought beside a call": (BASE, lambda t: t.steps[0].thought),
    "thought before the answer": (BASE, lambda t: t.steps[-1].thought),
    "several calls in a turn": (
        with_steps(LOOK, replace(LOOK, thought="", continues=True), ANSWER), lambda t: [s.continues for s in t.steps]
    ),
    "tool schemas": (replace(BASE, tools=(TOOL,)), lambda t: t.tools),
    "turn without an action (`Thought: …`)": (
        with_steps(Step("Thought: hm", "", "", "What?"), LOOK, ANSWER), lambda t: t.steps[0].thought
    ),
    "observation of one line, errors too": (BASE, lambda t: t.steps[0].observation),
    "line breaks in an observation": (with_steps(replace(LOOK, observation="a\nb"), ANSWER),
                                      lambda t: t.steps[0].observation),
    "what was said after the answer": (with_steps(LOOK, replace(ANSWER, observation="Well done.")),
                                       lambda t: t.steps[-1].observation),
    "system text": (BASE, lambda t: t.question.system),
    "turns that are not `learnt`": (with_steps(replace(LOOK, learnt=False), ANSWER), lambda t: t.steps[0].learnt),
    "choices of the question": (BASE, lambda t: t.question.choices),
    "the answer": (BASE, lambda t: t.steps[-1].argument),
    "whether it is right": (BASE, lambda t: t.score.correct),
    "scores": (BASE, lambda t: t.score),
    "gold answer, id, task, split": (BASE, asked),
    "method, usage, provenance": (BASE, lambda t: (t.method, t.usage, t.provenance)),
    "another ending than finish": (with_steps(LOOK, ending=Ending.STEP_LIMIT, answer=""), lambda t: t.ending),
}  # fmt: skip


def told() -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in PAGE.read_text("utf-8").split("\n")]
    head = next(n for n, row in enumerate(rows) if row[0] == "of a trajectory")
    assert rows[head][1:] == list(FORMATS)
    table = {row[0]: row[1:] for row in rows[head + 2 :] if len(row) == len(rows[head])}
    assert list(table) == list(LINES)
    return table


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_so(line: str) -> None:
    trajectory, of = LINES[line]
    found = []
    for to in FORMATS:
        try:
            row = json.loads(json.dumps(row_of(trajectory, to, (), Counter())))
        except DataError:
            found.append("refused")
            continue
        assert of(convert(row, Counter())) == of(trajectory)
        row.pop("metadata", None)
        found.append("held" if of(convert(row, Counter())) == of(trajectory) else "metadata")
    assert found == told()[line]
