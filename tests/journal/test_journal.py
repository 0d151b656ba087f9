"""What was asked once is not asked again; a replay answers from the journal alone, or says what it lacks."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kills
from fireact.agent.react import ReAct
from fireact.agent.rollout import Rollout, act_out
from fireact.errors import ConfigError, ModelError, ReplayMiss
from fireact.journal import recordings, store
from fireact.journal.journaled import JournaledModel, JournaledSearch
from fireact.journal.store import Journal
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.tools.calls import current
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import Question, Score
from tests.journal.asking import DIALOGUE, SETTINGS, Model, Search, ask
from tests.lms.openai_server import Loopback, chat, error


def test_a_finished_call_is_not_made_again(tmp_path: Path) -> None:
    [said] = ask(tmp_path, DIALOGUE, lm=Model())
    assert said == Completion("Action: finish[é1]", (3, 1), 7, 2, 0.1 + 0.2)
    again = Model()
    assert ask(tmp_path, DIALOGUE, lm=again) == [said] and again.calls == 0
    assert ask(tmp_path, DIALOGUE, lm=None, replay="only") == [said]


def test_everything_that_shapes_an_answer_makes_another_call(tmp_path: Path) -> None:
    [turn] = DIALOGUE.turns
    others = [
        replace(DIALOGUE, question="Who wrote Z?"),
        replace(DIALOGUE, few_shot=""),
        replace(DIALOGUE, prefill=""),
        replace(DIALOGUE, turns=()),
        replace(DIALOGUE, turns=(replace(turn, text="Action: search[Z]"),)),
        replace(DIALOGUE, turns=(replace(turn, observation="None"),)),
        replace(DIALOGUE, turns=(replace(turn, ids=(1, 3)),)),
        replace(DIALOGUE, turns=(replace(turn, ids=None),)),
    ]
    lm = Model()
    said = ask(tmp_path, DIALOGUE, *others, lm=lm)
    assert lm.calls == len({completion.text for completion in said}) == 9
    other_settings = Model()
    ask(tmp_path, DIALOGUE, lm=other_settings, settings={**SETTINGS, "lm.temperature": 0.5})
    assert other_settings.calls == 1


def test_duplicates_in_flight_are_made_once(tmp_path: Path) -> None:
    lm, tool = Model(), Search()
    assert len({completion.text for completion in ask(tmp_path, *[DIALOGUE] * 10, lm=lm)}) == lm.calls == 1

    async def run() -> list[str]:
        return await asyncio.gather(*[search.search("X") for _ in range(10)])

    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        search = JournaledSearch(tool, journal, {})
        assert asyncio.run(run()) == ["X 1"] * 10
    assert tool.calls == 1


def test_answers_that_vary_are_kept_apart_by_question_and_repeat(tmp_path: Path) -> None:
    lm = Model(varies=True)
    said = ask(tmp_path, DIALOGUE, DIALOGUE, lm=lm, question="a")
    assert ask(tmp_path, DIALOGUE, lm=lm, question="b") not in ([said[0]], [said[1]])
    assert lm.calls == 3
    again = Model(varies=True)
    assert ask(tmp_path, DIALOGUE, DIALOGUE, lm=again, question="a") == said and again.calls == 0
    assert ask(tmp_path, DIALOGUE, DIALOGUE, lm=None, replay="only", question="a") == said
    with pytest.raises(ReplayMiss):
        ask(tmp_path, DIALOGUE, lm=None, replay="only", question="c")


def test_a_failure_is_its_question_s_own_and_made_again_unless_replayed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the server is gone"):
        ask(tmp_path, DIALOGUE, lm=Model(ModelError("the server is gone")))
    with pytest.raises(ModelError, match="the server is gone"):
        ask(tmp_path, DIALOGUE, lm=None, replay="only")
    other = ask(tmp_path, DIALOGUE, lm=Model(), question="other")
    assert ask(tmp_path, DIALOGUE, lm=None, replay="only", question="other") == other
    assert ask(tmp_path, DIALOGUE, lm=None) == other, "answered by now, for whatever question"
    with pytest.raises(ModelError):
        ask(tmp_path, DIALOGUE, lm=None, replay="only")


def test_a_second_try_that_succeeds_replaces_the_failure(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        ask(tmp_path, DIALOGUE, lm=Model(ModelError("busy")))
    said = ask(tmp_path, DIALOGUE, lm=Model())
    assert ask(tmp_path, DIALOGUE, lm=None, replay="only") == said


def test_what_stops_a_run_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ask(tmp_path, DIALOGUE, lm=Model(ConfigError("no key")))
    lm = Model()
    ask(tmp_path, DIALOGUE, lm=lm)
    assert lm.calls == 1


def miss(folder: Path, dialogue: Dialogue, settings: dict[str, Any] = SETTINGS) -> str:
    with pytest.raises(ReplayMiss) as error:
        ask(folder, dialogue, lm=None, settings=settings, replay="only")
    return str(error.value)


def test_a_miss_shows_the_question_and_where_the_nearest_record_parts(tmp_path: Path) -> None:
    ask(tmp_path, DIALOGUE, Dialogue("What is the capital of Z, a country far away?"), lm=Model())
    missed = f"the journal {tmp_path}/journal.sqlite does not hold this call of a language model for question q: "
    unasked = missed.replace(" for question q", "")
    fix = "; replay what was recorded, or let journal.replay=reuse make the call"
    [turn] = DIALOGUE.turns
    assert miss(tmp_path, replace(DIALOGUE, turns=(replace(turn, observation="X is by Q."),))) == (
        f"""{missed}it says '…"Action: search[X]", "X is by Y."]]}}…' """
        f"""where now '…"Action: search[X]", "X is by Q."]]}}…' is asked{fix}"""
    )
    assert miss(tmp_path, DIALOGUE, {**SETTINGS, "lm.temperature": 0.7}) == (
        f"""{unasked}it says '…el": "m", "lm.temperature": 0.0}} Answer questions. {{"opening…' """
        f"""where now '…el": "m", "lm.temperature": 0.7}}…' is asked{fix}"""
    )
    assert miss(tmp_path, replace(DIALOGUE, turns=(replace(turn, ids=None),))) == (
        f"{missed}the same was asked for another question or with other tokens{fix}"
    )


def test_a_replayed_search_that_was_never_made_stops_too(tmp_path: Path) -> None:
    ask(tmp_path, DIALOGUE, lm=Model())
    with (
        closing(Journal(tmp_path / "journal.sqlite", "only")) as journal,
        pytest.raises(ReplayMiss, match="holds no call of a search tool; journal.replay=reuse records them"),
    ):
        JournaledSearch(None, journal, {})


class Actor(Model):
    """Searches once for what its question names, then answers; question 3 says nothing, question 5 is not answered."""

    async def complete(self, dialogue: Dialogue) -> Completion:
        number = int(dialogue.question.split()[1])
        self.calls += 1
        await asyncio.sleep(0.001 * (number % 3))
        if number == 5:
            raise ModelError("no answer")
        said = "Hm." if number == 3 else "Action: finish[4]" if dialogue.turns else f"Action: search[{number % 4}]"
        return Completion(said if number != 2 else "Action: search[broken]", (number,), 10, 2, 0.001 * number)


def score(question: Question, answer: str) -> Score:
    return Score(float(answer == question.answer), 0.0, answer == question.answer)


def run(folder: Path, journal: Journal, lm: Model | None, tool: Search | None, name: str) -> bytes:
    questions = [Question(f"q{i}", f"Question {i}", str(i), "test", "dev") for i in range(8)]
    parts = JournaledModel(lm, journal, {}), JournaledSearch(tool, journal, {})
    rollout = Rollout(ReAct("react", None), *parts, score, {"lm": parts[0].name, "search": parts[1].name})
    act_out(rollout, questions, folder / name, lambda _: None)
    return (folder / name).read_bytes()


def test_a_whole_run_comes_out_of_the_journal_alone_byte_for_byte(tmp_path: Path) -> None:
    tool = Search()
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        first = run(tmp_path, journal, Actor(), tool, "first.jsonl")
    with closing(Journal(tmp_path / "journal.sqlite", "only")) as journal:
        assert run(tmp_path, journal, None, None, "again.jsonl") == first
    for ending in (b'"finish"', b'"parse_failure"', b'"tool_failure"', b'"model_failure"'):
        assert b'"ending": ' + ending in first
    assert tool.calls == 5, "0 to 3, broken, and 2 of 6 and 7 found in the journal"


def test_episodes_of_a_journal_follow_the_first_of_each_question(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        run(tmp_path, journal, Actor(), Search(), "first.jsonl")
    held = recordings.load(str(tmp_path / "journal.sqlite"))
    assert [(turn.text, turn.observation) for turn in held.turns["Question 1"]] == [
        ("Action: search[1]", held.answers["1"]), ("Action: finish[4]", None)
    ]
    assert len(held.turns["Question 3"]) == 3 and "Question 5" not in held.turns
    assert set(held.answers) == {"0", "1", "2", "3"}


def test_a_clock_that_is_set_back_loses_no_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = itertools.count(1e9, -3600)
    monkeypatch.setattr(store.time, "time", lambda: next(hour))
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        run(tmp_path, journal, Actor(), Search(), "first.jsonl")
    assert len(recordings.load(str(tmp_path / "journal.sqlite")).turns["Question 3"]) == 3


def test_outside_of_a_rollout_calls_belong_to_a_nameless_question() -> None:
    async def occurrences() -> list[int]:
        return [current().occurrence("x"), current().occurrence("x"), current().occurrence("y")]

    assert asyncio.run(occurrences()) == [0, 1, 0]


def test_no_finished_call_is_repeated_after_kills(tmp_path: Path) -> None:
    counts = kills.count(tmp_path, kills=5, seed=1)
    assert counts["repeated"] == 0
    assert counts["kills"] >= 3, "the others came too late; the run had ended"


def test_halves_of_characters_from_a_server_never_fail_the_journal(tmp_path: Path) -> None:
    """Neither in an answer, nor in the sentence of an error, nor from a tool of a user's own."""

    async def run() -> list[Any]:
        answers = error(400, "bad \ud83d"), chat("Action: finish[\ud83d]")
        async with Loopback(*answers) as server:
            with closing(Journal(tmp_path / "journal.sqlite")) as journal:
                lm = JournaledModel(OpenAI("m", server.url), journal, {})
                refused = await asyncio.gather(lm.complete(DIALOGUE), return_exceptions=True)
                said = await lm.complete(DIALOGUE)
                await lm.aclose()
                return [str(*refused), said.text.strip(), await JournaledSearch(Halves(), journal, {}).search("q")]

    refused, said, found = asyncio.run(run())
    assert "refuses the request (HTTP 400: bad \ufffd)" in refused
    assert (said, found) == ("Action: finish[\ufffd]", "q \ufffd \U0001f600")


class Halves(Search):
    async def search(self, query: str) -> str:
        return f"{query} \ud83d \ud83d\ude00"
