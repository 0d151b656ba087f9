from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kills
from fireact.agent.react import ReAct
from fireact.agent.rollout import Rollout, act_out
from fireact.errors import ConfigError, ModelError, ReplayMiss, StorageError, ToolError
from fireact.journal import database, recordings
from fireact.journal.journaled import JournaledModel, JournaledSearch
from fireact.journal.store import Journal
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.tools.calls import begin, current
from fireact.trajectories.dialogue import Dialogue, Turn
from fireact.trajectories.records import Question, Score
from tests.lms.openai_server import Loopback, chat, error

DIALOGUE = Dialogue("Who wrote X?", "Answer questions.", (Turn("Action: search[X]", "X is by Y.", (1, 2)),), "Thought:")
SETTINGS = {"lm.temperature": 0.0, "lm.model": "m"}


class Model:
    """Says how many calls it has had, or fails with the error given for that call; takes one turn of the event loop."""

    name, concurrency = "model", 4

    def __init__(self, *errors: Exception | None, varies: bool = False) -> None:
        self.calls, self.errors, self.varies = 0, list(errors), varies

    async def complete(self, dialogue: Dialogue) -> Completion:
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return Completion(f"Action: finish[é{call}]", (3, call), 7, 2, 0.1 + 0.2)

    async def aclose(self) -> None: ...


class Search:
    name = "search"

    def __init__(self) -> None:
        self.calls = 0

    async def search(self, query: str) -> str:
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0)
        if query == "broken":
            raise ToolError("the tool is broken")
        return f"{query} {call}"

    async def aclose(self) -> None: ...


@contextmanager
def opened(
    folder: Path, lm: Model | None = None, settings: dict[str, Any] = SETTINGS, replay: str = "reuse"
) -> Iterator:
    with closing(Journal(folder / "journal.sqlite", replay)) as journal:
        yield JournaledModel(lm, journal, settings)


def ask(folder: Path, *dialogues: Dialogue, lm: Model | None, question: str = "q", **options: Any) -> list[Completion]:
    """One session: the dialogues at once, for one question."""

    async def run() -> list[Completion]:
        begin(Question(question, "", "", "", ""))
        return await asyncio.gather(*map(model.complete, dialogues))

    with opened(folder, lm, **options) as model:
        return asyncio.run(run())


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a journal of one call."""
    ask(tmp_path, DIALOGUE, lm=Model())
    return tmp_path


def test_a_journal_of_another_schema_is_refused(folder: Path) -> None:
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("PRAGMA user_version = 7")
    for replay in ("reuse", "only"):
        with pytest.raises(StorageError, match="has schema 7, but this version reads 1 to 2; choose another journal"):
            Journal(folder / "journal.sqlite", replay)


@pytest.mark.parametrize("replay", ["reuse", "only"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(
    ("version", "table"),
    [(0, "t"), (0, "calls"), (1, "t"), (2, "t"), (7, "t"), (1, "sources"), (2, "calls"), (-1, "t")],
)
def test_a_database_of_somebody_else_s_is_refused_untouched(
    tmp_path: Path, version: int, table: str, mode: str, replay: str
) -> None:
    path = tmp_path / "mine.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute(f"CREATE TABLE {table} (x)")
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"mine.sqlite is no journal of ours; name another journal.path$"):
        Journal(path, replay)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_database_that_somebody_else_writes_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = wal")
        db.execute("CREATE TABLE t (x)")  # in the write-ahead file alone
        before = path.read_bytes()
        with pytest.raises(StorageError, match="is no journal of ours"):
            Journal(path)
        assert path.read_bytes() == before


def test_an_empty_file_becomes_a_journal_and_replays_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch()
    with pytest.raises(StorageError, match="is no journal of ours"):
        Journal(path, "only")
    Journal(path).close()
    Journal(path, "only").close()


OLD = """
CREATE TABLE sources (
    id INTEGER PRIMARY KEY, kind TEXT, settings TEXT, few_shot TEXT, name TEXT, varies INTEGER,
    UNIQUE (kind, settings, few_shot)
);
CREATE TABLE calls (
    key BLOB UNIQUE, source INTEGER, request TEXT, answer TEXT, error TEXT, finished REAL, seconds REAL
);
INSERT INTO sources SELECT * FROM new.sources;
INSERT INTO calls SELECT * FROM new.calls;
INSERT INTO calls SELECT x'00', source, request, '{"cost_usd": -5.0}', error, finished, seconds FROM new.calls;
PRAGMA main.user_version = 1;
"""


def test_a_journal_of_the_first_schema_is_replayed_as_it_is_and_carried_on(folder: Path) -> None:
    before, path = ask(folder, DIALOGUE, lm=None, replay="only"), folder / "journal.sqlite"
    path.rename(folder / "new.sqlite")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"ATTACH '{folder}/new.sqlite' AS new;{OLD}")
    old = path.read_bytes()
    assert ask(folder, DIALOGUE, lm=None, replay="only") == before
    assert path.read_bytes() == old
    for _ in range(2):
        lm = Model()
        assert ask(folder, DIALOGUE, lm=lm) == before and lm.calls == 0
        with closing(Journal(path)) as journal:
            assert journal.total() == 0.1 + 0.2, "what it had paid; what was below nothing was not paid back"


def test_what_a_call_may_cost_is_entered_before_and_what_it_cost_after(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path)) as one, closing(Journal(path)) as other:
        first, second = one.reserve(0.25, 0.5), other.reserve(0.25, 0.5)
        assert first != second and one.total() == other.total() == 0.5
        assert one.reserve(0.01, 0.5) is None
        assert first is not None
        other.settle(first, 0.0625)
        assert one.total() == 0.3125
        assert one.reserve(0.1875, 0.5) is not None
    with closing(Journal(path)) as again:
        assert again.total() == 0.5


def test_what_a_model_without_a_ledger_costs_is_entered_too(tmp_path: Path) -> None:
    ask(tmp_path, DIALOGUE, lm=Model())
    ask(tmp_path, DIALOGUE, lm=Model())
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        assert journal.total() == 0.1 + 0.2


def test_an_unusable_file_is_named_in_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE_S", 0.01)
    path = folder / "journal.sqlite"
    fix = "; free or fix that place, wait for the run that holds it, or choose another journal.path"

    def refusal(file: Path, replay: str = "reuse") -> str:
        with pytest.raises(StorageError) as error:
            Journal(file, replay)
        return str(error.value)

    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert refusal(path) == f"the journal {path} can't be used (database is locked){fix}"
    (folder / "text").write_text("no database, but long enough to look like one " * 9)
    assert refusal(folder / "text") == f"the journal {folder}/text can't be used (file is not a database){fix}"
    assert refusal(folder / "text" / "j") == f"the journal {folder}/text/j can't be used (File exists){fix}"
    missing = folder / "none.sqlite"
    assert refusal(missing, "only") == f"the journal {missing} can't be used (unable to open database file){fix}"
    with pytest.raises(ConfigError, match="journal.replay=always is unknown; choose off, reuse, only"):
        Journal(path, "always")


def test_a_full_disk_stops_the_run_and_keeps_what_is_there(folder: Path) -> None:
    with opened(folder, Model()) as model:
        pages = model._journal._db.run("PRAGMA page_count")[0][0]
        model._journal._db.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"can't be used \(database or disk is full\)"):
            asyncio.run(model.complete(Dialogue("x" * 20_000)))
    lm = Model()
    ask(folder, DIALOGUE, lm=lm)
    assert lm.calls == 0


def test_a_replay_writes_nothing(folder: Path) -> None:
    before = (folder / "journal.sqlite").read_bytes()
    ask(folder, DIALOGUE, lm=None, replay="only")
    assert (folder / "journal.sqlite").read_bytes() == before
    with closing(Journal(folder / "journal.sqlite", "only")) as journal, pytest.raises(StorageError, match="readonly"):
        journal._db.run("DELETE FROM calls")


def test_runs_share_a_journal_at_the_same_time(tmp_path: Path) -> None:
    with opened(tmp_path, Model()) as one, opened(tmp_path, Model()) as other:
        said = asyncio.run(one.complete(DIALOGUE))
        assert asyncio.run(other.complete(DIALOGUE)) == said


def test_episodes_of_a_journal_follow_the_first_of_each_question(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        run(tmp_path, journal, Actor(), Search(), "first.jsonl")
    held = recordings.load(str(tmp_path / "journal.sqlite"))
    assert [(turn.text, turn.observation) for turn in held.turns["Question 1"]] == [
        ("Action: search[1]", held.answers["1"]), ("Action: finish[4]", None)
    ]
    assert len(held.turns["Question 3"]) == 3 and "Question 5" not in held.turns
    assert set(held.answers) == {"0", "1", "2", "3"}


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
