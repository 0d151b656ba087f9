from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fireact.errors import ToolError
from fireact.journal.recorded_search import Recorded
from fireact.tools.calls import begin
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.storage.writing import append_line


def question(text: str) -> Question:
    return Question(text, text, "Y", "test", "dev")


def search(query: str, observation: str) -> Step:
    return Step("t", "search", query, observation)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Two questions that search for the same, one of them three times."""
    for text, steps in {
        "Who wrote X?": [search("X", "by Y"), search("X", "a book"), search("W", "a poem"), search("X", "None")],
        "Who read X?": [search("X", "Q reads X")],
    }.items():
        episode = Trajectory(question(text), "react", tuple(steps), Ending.STEP_LIMIT, "", Score(0.0, 0.0, False))
        append_line(tmp_path / "predictions.jsonl", episode.to_json())
    return str(tmp_path / "predictions.jsonl")


def found(path: str, asker: str, *queries: str) -> list[str]:
    tool = Recorded(path)

    async def run() -> list[str]:
        begin(question(asker))
        return [await tool.search(query) for query in queries]

    return asyncio.run(run())


def test_every_question_gets_its_own_answers_in_their_order(path: str) -> None:
    assert found(path, "Who wrote X?", "X", "W", "X", "X", "X") == ["by Y", "a poem", "a book", "None", "None"]
    assert found(path, "Who read X?", "X", "X", "W") == ["Q reads X", "Q reads X", "a poem"]


def test_another_question_gets_the_first_answer_of_the_file(path: str) -> None:
    assert found(path, "Who burnt X?", "X", "X", "W") == ["by Y", "by Y", "a poem"]


def test_a_query_that_was_never_asked_is_a_failure_of_the_tool(path: str) -> None:
    with pytest.raises(ToolError, match="predictions.jsonl holds no answer to 'Z'; use another search tool"):
        found(path, "Who wrote X?", "Z")
