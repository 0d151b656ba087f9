"""Search noise: what it answers, how often, and that nothing but the seed and the question decides it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fireact.errors import ConfigError, DataError
from fireact.tasks.bamboogle import Bamboogle
from fireact.tools import calls
from fireact.tools.noise import Noise
from fireact.trajectories.records import Document, Ending, Question, Score, Step, Trajectory


class Shelf:
    """A tool that answers in upper case, and a corpus."""

    name = "shelf k=1"

    def __init__(self) -> None:
        self.asked, self.closed = 0, False

    async def search(self, query: str) -> str:
        self.asked += 1
        return query.upper()

    async def aclose(self) -> None:
        self.closed = True

    def documents(self) -> Sequence[Document]:
        return [Document(f"Thing {i}", f"Thing {i} is blue. It is old.") for i in range(50)]


def ask(tool: Noise, question: str, *queries: str) -> list[str]:
    async def run() -> list[str]:
        calls.begin(Question(question, "", "", "", ""))
        return [await tool.search(query) for query in queries]

    return asyncio.run(run())


QUERIES = [f"q{i}" for i in range(400)]


def test_half_of_the_searches_find_nothing() -> None:
    shelf = Shelf()
    answers = ask(Noise(shelf, "none"), "a", *QUERIES)
    noisy = answers.count("None")
    assert 160 < noisy < 240 and shelf.asked == 400 - noisy
    assert all(answer in ("None", query.upper()) for answer, query in zip(answers, QUERIES, strict=True))


def test_the_probability_is_kept() -> None:
    assert ask(Noise(Shelf(), "none", 0), "a", "x", "y") == ["X", "Y"]
    assert ask(Noise(Shelf(), "none", 1), "a", "x", "y") == ["None", "None"]


def test_seed_question_query_and_repetition_decide() -> None:
    answers = ask(Noise(Shelf(), "none"), "a", *QUERIES)
    assert ask(Noise(Shelf(), "none"), "a", *QUERIES) == answers
    assert ask(Noise(Shelf(), "none"), "a", *reversed(QUERIES)) == answers[::-1]
    assert ask(Noise(Shelf(), "none", seed=1), "a", *QUERIES) != answers
    assert ask(Noise(Shelf(), "none"), "b", *QUERIES) != answers
    assert {*ask(Noise(Shelf(), "none"), "a", *["again"] * 20)} == {"None", "AGAIN"}


def test_other_questions_at_the_same_time_change_nothing() -> None:
    tool = Noise(Shelf(), "none")

    async def one(question: str) -> list[str]:
        calls.begin(Question(question, "", "", "", ""))
        answers = []
        for _ in range(50):
            answers.append(await tool.search("same"))
            await asyncio.sleep(0)
        return answers

    async def run() -> list[list[str]]:
        return await asyncio.gather(*(asyncio.create_task(one(name)) for name in "abc"))

    together = asyncio.run(run())
    assert together == [ask(Noise(Shelf(), "none"), name, *["same"] * 50) for name in "abc"]


def test_random_answers_of_a_corpus() -> None:
    answers = ask(Noise(Shelf(), "random", 1, pool=Shelf()), "a", *QUERIES)
    openings = {f"Thing {i} is blue. It is old." for i in range(50)}
    assert {*answers} == openings


def test_random_answers_of_an_earlier_run(tmp_path: Path) -> None:
    steps = (
        Step("t", "", "", "That turn held no action."),
        Step("t", "search", "x", "seen before"),
        Step("t", "search", "y", "None"),
        Step("t", "finish", "z", "Episode finished"),
    )
    trajectory = Trajectory(Question("q", "?", "a", "t", "dev"), "react", steps, Ending.FINISH, "z", Score(0, 0, False))
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps(trajectory.to_json()) + "\n")
    assert {*ask(Noise(Shelf(), "random", 1, pool=str(path)), "a", *QUERIES)} == {"seen before", "None"}
    path.write_text("")
    with pytest.raises(DataError, match="holds no search to take random answers from"):
        Noise(Shelf(), "random", pool=str(path))


def test_name_and_end() -> None:
    shelf = Shelf()
    tool = Noise(shelf, "none", 0.5)
    assert tool.name == "noise(none, p=0.5) over shelf k=1"
    asyncio.run(tool.aclose())
    assert shelf.closed


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="search.mode=loud is unknown; choose none or random"):
        Noise(Shelf(), "loud")
    with pytest.raises(ConfigError, match="search.probability=2 is no probability"):
        Noise(Shelf(), "none", 2)
    with pytest.raises(ConfigError, match="search.mode=random needs search.pool=FILE"):
        Noise(Shelf(), "random")
    with pytest.raises(ConfigError, match="bamboogle has no corpus to take random answers from; add search.pool=FILE"):
        Noise(Shelf(), "random", pool=Bamboogle())
