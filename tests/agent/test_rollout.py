from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from fireact.agent.react import ReAct
from fireact.agent.rollout import Rollout, act_out
from fireact.errors import ConfigError
from fireact.lms.base import Completion
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Question, Score, Trajectory

QUESTIONS = [Question(f"q{i}", f"Question {i}?", str(i), "test", "dev") for i in range(20)]


class Echo:
    """A model that answers with the question's number, later questions sooner, and counts what is in flight."""

    name, concurrency = "echo", 4

    def __init__(self, fail_at: int | None = None) -> None:
        self.pending = self.most = self.calls = 0
        self.closed, self.fail_at = False, fail_at

    async def complete(self, dialogue: Dialogue) -> Completion:
        number = int(dialogue.question.removeprefix("Question ").removesuffix("?"))
        if number == self.fail_at:
            raise ConfigError("the configuration is wrong")
        self.calls += 1
        self.pending += 1
        self.most = max(self.most, self.pending)
        for _ in range(4 - number % 4):
            await asyncio.sleep(0)
        self.pending -= 1
        return Completion(f"Action: finish[{number}]")

    async def aclose(self) -> None:
        self.closed = True


class NoSearch:
    name = "none"

    async def search(self, query: str) -> str:
        return "None"

    async def aclose(self) -> None: ...


def score(question: Question, answer: str) -> Score:
    right = answer == question.answer
    return Score(float(right), float(right), right)


def make(lm: Echo) -> Rollout:
    return Rollout(ReAct("react", None), lm, NoSearch(), score, {"lm": lm.name})


def test_all_questions_are_acted_out_and_written_in_their_order(tmp_path):
    lm, watched = Echo(), []
    act_out(make(lm), QUESTIONS, tmp_path / "predictions.jsonl", watched.append)
    done = list(read(tmp_path / "predictions.jsonl", Counter()))
    assert [t.question for t in done] == QUESTIONS
    assert {t.question.id for t in watched} == {q.id for q in QUESTIONS}
    assert all(t.ending == Ending.FINISH and t.score.correct and t.provenance["lm"] == "echo" for t in done)
    assert (lm.most, lm.closed) == (4, True)
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert [f'"id": "q{i}"' in line for i, line in enumerate(lines)] == [True] * 20


def test_a_second_run_asks_only_what_is_missing(tmp_path):
    path, again = tmp_path / "predictions.jsonl", Echo()
    act_out(make(Echo()), QUESTIONS[:12], path, lambda _: None)
    first = list(read(path, Counter()))
    act_out(make(again), QUESTIONS, path, lambda _: None)
    both = list(read(path, Counter()))
    assert (both[:12], again.calls) == (first, 8)


def test_what_was_finished_before_a_failure_is_kept(tmp_path):
    path, lm = tmp_path / "predictions.jsonl", Echo(fail_at=10)
    with pytest.raises(ConfigError):
        act_out(make(lm), QUESTIONS, path, lambda _: None)
    kept = path.read_text().splitlines()
    assert 0 < len(kept) <= 10 and lm.closed
    again = Echo()
    act_out(make(again), QUESTIONS, path, lambda _: None)
    done = list(read(path, Counter()))
    assert again.calls == 20 - len(kept)
    assert all(isinstance(t, Trajectory) for t in done) and len(done) == 20


class Halves(Echo):
    """Fails for every other question, all at the same moment."""

    concurrency = 20

    async def complete(self, dialogue: Dialogue) -> Completion:
        number = int(dialogue.question.removeprefix("Question ").removesuffix("?"))
        await asyncio.sleep(0)
        if number % 2 == 0:
            raise ConfigError("the configuration is wrong")
        return Completion(f"Action: finish[{number}]")


def test_what_finishes_beside_a_failure_is_kept_and_every_failure_is_seen(tmp_path, caplog):
    watched = []
    with pytest.raises(ConfigError, match="the configuration is wrong"):
        act_out(make(Halves()), QUESTIONS, tmp_path / "predictions.jsonl", watched.append)
    gc.collect()
    assert len(watched) == 10 and not caplog.records
