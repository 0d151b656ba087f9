"""Tool calls against those expected: how they are compared, counted, and shown in tables and on the page."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.reporting.compare import markdown
from fireact.reporting.page import write_page
from fireact.reporting.results import results_of
from fireact.reporting.statistics import summarize
from fireact.reporting.tables import table_of
from fireact.trajectories.records import Ending, Question, Step, Trajectory
from fireact.trajectories.reference_calls import call_text, expected, key_of
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema
from tests.reporting.grids import PROMPTED, Maker, trajectory

ADD = ToolSchema("add", "", '{"properties": {"a": {"type": "number"}, "b": {"type": "number"}}}')
TOOLS = {"search": SEARCH_TOOL, "add": ADD}


def acted(number: int, calls: list[Any] | None, *steps: Step, ending: Ending = Ending.FINISH) -> Trajectory:
    wanted = None if calls is None else tuple(map(call_text, calls))
    question = Question(f"q{number}", f"Q{number}?", "a", "file", "test", calls=wanted)
    finish = Step("", "finish", "a")
    plain = trajectory(number, 1, 2, "file")
    return dataclasses.replace(plain, question=question, steps=(*steps, finish), ending=ending, tools=(ADD,))


def search(query: str, found: str = "x") -> Step:
    return Step("", "search", query, found)


@pytest.mark.parametrize(
    ("call", "tool", "argument", "same"),
    [
        ({"tool": "search", "arguments": "The  Nile"}, "search", "the nile", True),
        ({"tool": "search", "arguments": {"query": "Nile"}}, "search", "Nile", True),
        ({"tool": "search", "arguments": "Nile"}, "search", "Nil", False),
        ({"tool": "add", "arguments": {"a": 1, "b": 2.0}}, "add", '{"b": 2, "a": 1}', True),
        ({"tool": "add", "arguments": {"a": 1, "b": "2.50"}}, "add", '{"a": 1, "b": 2.5}', True),
        ({"tool": "add", "arguments": {"a": 1, "b": 2}}, "add", '{"a": 2, "b": 1}', False),
        ({"tool": "add", "arguments": {"a": True}}, "add", '{"a": 1}', False),
        ({"tool": "add"}, "add", "{}", True),
        ({"tool": "search", "arguments": "Nile"}, "find", "Nile", False),
    ],
)
def test_when_a_call_is_the_one_expected(call: Any, tool: str, argument: str, same: bool) -> None:
    assert (expected(call_text(call), TOOLS) == key_of(tool, argument, TOOLS.get(tool))) is same


def test_arguments_that_cannot_be_told_are_never_right() -> None:
    run = [acted(0, [{"tool": "add", "arguments": "one and two"}], Step("", "add", "three", "Error: no"))]
    assert summarize(run)["tool_calls"] == {
        "questions": 1, "expected": 1, "made": 1, "errors": 1, "right_tool": 1.0, "right_arguments": 0.0, "exact": 0.0
    }


RUN = [
    acted(0, [{"tool": "search", "arguments": "x"}, {"tool": "search", "arguments": "x"}], search("X"), search("y")),
    acted(1, [{"tool": "add", "arguments": {"a": 1}}], Step("", "", "no action"), Step("", "add", '{"a": 1}', "1")),
    acted(2, []),
    acted(3, None, search("not counted", "Error: nor this")),
    acted(4, [], search("z", "Error: gone"), ending=Ending.FINISH),
]


def test_what_was_called_and_how_often() -> None:
    assert summarize(RUN)["tool_calls"] == {
        "questions": 4, "expected": 3, "made": 4, "errors": 1, "right_tool": 1.0, "right_arguments": 2 / 3,
        "exact": 0.5,
    }  # fmt: skip
    none = summarize([acted(0, [])])["tool_calls"]
    assert (none["right_tool"], none["exact"]) == (None, 1.0)


def test_a_call_that_ended_its_episode_failed_once() -> None:
    ended = dataclasses.replace(acted(0, [], search("x")), steps=(Step("", "search", "x"),), ending=Ending.TOOL_FAILURE)
    assert summarize([ended])["tool_calls"]["errors"] == 1


def test_a_question_with_its_calls_is_read_back() -> None:
    row = json.loads(json.dumps(RUN[0].to_json()))
    assert row["question"]["calls"] == [{"tool": "search", "arguments": "x"}] * 2
    assert Trajectory.from_json(row) == RUN[0]
    assert Trajectory.from_json(json.loads(json.dumps(RUN[2].to_json()))).question.calls == ()
    assert "calls" not in RUN[3].to_json()["question"]
    with pytest.raises(DataError, match="the call 'x' is none"):
        Trajectory.from_json({**row, "question": {**row["question"], "calls": ["x"]}})


def test_tables_and_page_show_them_where_there_are_any(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    cell = maker.cell({**PROMPTED, "task": "file"}, [1] * len(RUN))
    facts = {"task": "file", "retriever": "r", "seed": 0, "measure": "judge", "scored_by": "judge is a share."}
    judged = [dataclasses.replace(t, provenance={**t.provenance, "measure": "judge", "unscored": "why"}) for t in RUN]
    (cell.run / "predictions.jsonl").write_text("".join(json.dumps(t.to_json()) + "\n" for t in judged))
    (cell.run / "metrics.json").write_text(json.dumps({**facts, **summarize(RUN)}))
    grid = maker.grid("prompting")
    table = table_of(results_of(grid))
    shown = dict(zip(table.header, table.rows[0], strict=True))
    assert "judge, %" in shown and "EM, %" not in shown
    wanted = {
        "right tool, %": "100.0", "right arguments, %": "66.7", "just these calls, %": "50.0", "calls": "1.00",
        "calls expected": "0.75", "calls that failed, %": "25.0",
    }  # fmt: skip
    assert {name: shown[name] for name in wanted} == wanted
    assert "judge is a share." in table.notes and any(note.startswith("Tool calls are") for note in table.notes)
    assert "right_arguments" in table.csv.splitlines()[0] and "judge_kappa" not in table.csv.splitlines()[0]
    compared = markdown([("one", {**facts, **summarize(RUN)}), ("two", {**facts, **summarize([RUN[3]])})])
    assert compared.splitlines()[2].split("|")[-3].strip() == "0.75"
    assert compared.splitlines()[3].split("|")[-3].strip() == "–"
    page = write_page(grid, tmp_path / "page", "t", [table], []).read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if '"Q0?"' in line)
    assert '"",["search[x]","search[x]"]]' in row and '[1,1.0,1.0,"judge",1.0,"why"]' in row


def test_a_page_of_others_is_as_it_was(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [1])
    page = write_page(maker.grid("prompting"), tmp_path / "page", "t", [], []).read_text(encoding="utf-8")
    assert '["q000","?","a","miniwiki","dev",[],""]' in page and "[1,1.0,1.0]" in page
