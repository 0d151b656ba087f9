"""The journal's file: whose it is, of which edition, what it has cost, and what can't be used."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from fireact.errors import ConfigError, StorageError
from fireact.journal import database
from fireact.journal.store import Journal
from fireact.trajectories.dialogue import Dialogue
from tests.conftest import ROOT
from tests.journal.asking import DIALOGUE, Model, ask, opened


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

_OTHERS = """
import sys
from fireact.journal.store import Journal

for _ in range(40):
    journal = Journal(sys.argv[1])
    entry = journal.reserve(1.0, 1e9)
    journal.settle(entry, 0.5)
    journal.close()
"""


def test_several_processes_open_write_and_close_one_journal_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", _OTHERS, str(path)]
    others = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(other.communicate()[1], other.returncode) for other in others] == [("", 0)] * 4
    with closing(Journal(path)) as journal:
        assert journal.total() == 4 * 40 * 0.5


def test_a_journal_that_another_program_holds_for_a_while_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path)) as journal, closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        letting_go = threading.Timer(0.5, other.execute, ["ROLLBACK"])
        letting_go.start()
        journal.pay(1.0)
        letting_go.join()
        assert journal.total() == 1.0
