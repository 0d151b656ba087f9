"""What hypothesis makes of trajectories is read back equal from every format that holds it; all else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireact.trajectories.exporters.rows import FORMATS
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.tool_schema import ToolSchema
from tests import properties

EVERYWHERE = settings(max_examples=40, derandomize=True, database=None, deadline=None,
                      suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
ANYTHING = st.lists(st.one_of(st.sampled_from(properties.TEXTS), st.text(max_size=8)), max_size=5).map(
    lambda parts: properties.joined("".join(parts))
)
SIGNS = 'ab é"\\{}[]<>:,\u2028\x1b'
LINE = st.text(SIGNS, min_size=1, max_size=12).map(str.strip).filter(bool)  # that spells no label
TEXT = st.text(f"{SIGNS}\n", min_size=1, max_size=12).map(str.strip).filter(bool)
NUMBER = st.floats(0, 1)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), LINE),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(LINE, inner, max_size=2)),
    max_leaves=4,
)
TOOLS = (
    ToolSchema("search", "", '{"properties": {"q": {"type": "string"}}, "type": "object"}'),
    ToolSchema("draw", "Draws \u00e9.", '{"properties": {"n": {}, "of": {}}, "type": "object"}'),
)
QUESTIONS = st.builds(
    Question, TEXT, TEXT, ANYTHING, ANYTHING, ANYTHING,
    choices=st.one_of(st.just(()), st.lists(LINE, min_size=2, max_size=10).map(tuple)), kind=ANYTHING,
    evidence=st.lists(ANYTHING, max_size=2).map(tuple), system=st.one_of(st.just(""), TEXT),
    calls=st.one_of(st.none(), st.just(('{"arguments": {"n": 1}, "tool": "draw"}',))),
)  # fmt: skip
SCORES = st.builds(Score, NUMBER, NUMBER, st.booleans(), st.one_of(st.none(), NUMBER))
USAGES = st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**40), seconds=NUMBER)
SEARCHES = st.builds(Step, st.one_of(st.just(""), TEXT), st.just("search"), LINE, ANYTHING, learnt=st.booleans())
DRAWS = st.builds(
    Step, st.one_of(st.just(""), TEXT), st.just("draw"), st.dictionaries(LINE, JSON, max_size=3).map(json.dumps),
    ANYTHING, continues=st.booleans(),
)  # fmt: skip
ANSWERS = st.builds(Step, st.one_of(st.just(""), TEXT), st.just("finish"), LINE, st.one_of(st.none(), ANYTHING))
WILD = st.builds(Step, ANYTHING, st.sampled_from(["search", "finish", "draw", ""]), ANYTHING,
                 st.one_of(st.none(), ANYTHING), st.booleans(), st.booleans())  # fmt: skip


def trajectories(steps: st.SearchStrategy[list[Step]], tools: tuple[ToolSchema, ...]) -> st.SearchStrategy[Trajectory]:
    return st.builds(
        Trajectory, QUESTIONS, ANYTHING, steps.map(tuple), st.just(Ending.FINISH), ANYTHING, SCORES, USAGES,
        st.dictionaries(ANYTHING, ANYTHING, max_size=2), st.just(tools),
    )  # fmt: skip


def answered(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    return st.tuples(st.lists(steps, max_size=4), ANSWERS).map(lambda parts: [*parts[0], parts[1]])


def calling(trajectory: Trajectory) -> Trajectory:
    """No call continues a turn that is none, and those of one turn have one weight."""
    steps: list[Step] = []
    for step in trajectory.steps:
        if step.continues and (not steps or not steps[-1].learnt):
            step = replace(step, continues=False)
        steps.append(step)
    return replace(trajectory, steps=tuple(steps))


@EVERYWHERE
@given(trajectories(answered(SEARCHES), ()))
@pytest.mark.parametrize("to", FORMATS)
def test_searches_are_held_by_every_format(tmp_path: Path, to: str, original: Trajectory) -> None:
    if to == "alpaca":
        original = replace(original, steps=tuple(replace(step, learnt=True) for step in original.steps))
    assert properties.exported(original, to, tmp_path / "rows.jsonl")


@EVERYWHERE
@given(trajectories(answered(st.one_of(SEARCHES, DRAWS)), TOOLS).map(calling))
@pytest.mark.parametrize("to", ["jsonl", "openai", "sharegpt"])
def test_calls_of_tools_are_held_by_native_formats(tmp_path: Path, to: str, original: Trajectory) -> None:
    assert properties.exported(original, to, tmp_path / "rows.jsonl")


CARRIED = st.fixed_dictionaries({}, optional={
    "question": st.dictionaries(st.sampled_from(["id", "choices", "evidence", "calls", "text"]), JSON),
    "score": st.one_of(JSON, st.fixed_dictionaries({"em": NUMBER, "f1": NUMBER, "correct": st.booleans()})),
    "usage": JSON, "provenance": JSON, "method": JSON, "tools": st.one_of(st.just([]), JSON),
    "steps": st.dictionaries(st.sampled_from(["1", "2", "x"]),
                             st.dictionaries(st.sampled_from(["thought", "argument", "observation"]), JSON)),
})  # fmt: skip


@EVERYWHERE
@given(st.one_of(st.text(), JSON, CARRIED.map(json.dumps)))
def test_any_metadata_is_read_or_refused(carried: object) -> None:
    messages = [{"role": "user", "content": "Q?\nA. a\nB. b"}, {"role": "assistant", "content": "Action: finish[a]"}]
    properties.row({"messages": messages, "metadata": {"fireact": carried}})
    native = {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "a"}], "tools": "[]"}
    properties.row({**native, "metadata": {"fireact": carried}})


@EVERYWHERE
@given(trajectories(st.lists(WILD, max_size=3), ()), st.sampled_from([(), ("metadata", "thoughts"), ("weights",)]))
@pytest.mark.parametrize("to", FORMATS)
def test_anything_else_is_held_or_refused(
    tmp_path: Path, to: str, original: Trajectory, leave_out: tuple[str, ...]
) -> None:
    properties.exported(original, to, tmp_path / "rows.jsonl", leave_out)
