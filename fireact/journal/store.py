"""What was asked and answered: one row per model or search call, committed before anyone uses the answer.

A call is known by everything that shapes its answer: who is asked, with which settings, what is asked (for a model the
whole dialogue, token ids included) and, where answers vary, for which question and how often before. So a run that is
killed and started again repeats no finished call, and a run can be made again from its journal alone, byte for byte:
even its times are the recorded ones.

The file is SQLite in write-ahead mode: a kill loses nothing that was committed; a power cut may take the last moments.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from fireact.errors import BudgetError, ConfigError, FireActError, ModelError, ReplayMiss, StorageError, ToolError
from fireact.tools.calls import Call, current
from fireact.trajectories.storage.reading import joined

SCHEMA = 2
# What each schema adds to the one before.
_MIGRATIONS = (
    """
    CREATE TABLE sources (
        id INTEGER PRIMARY KEY, kind TEXT, settings TEXT, few_shot TEXT, name TEXT, varies INTEGER,
        UNIQUE (kind, settings, few_shot)
    );
    CREATE TABLE calls (
        key BLOB UNIQUE, source INTEGER, request TEXT, answer TEXT, error TEXT, finished REAL, seconds REAL
    )
    """,
    # The first row is all that is known to have been paid; there is one more for each call of which only the most that
    # it may cost is known. What servers claimed to have cost less than nothing was not paid back.
    """
    CREATE TABLE payments (id INTEGER PRIMARY KEY, usd REAL NOT NULL, made REAL NOT NULL);
    INSERT INTO payments (usd, made)
    SELECT TOTAL(MAX(json_extract(answer, '$.cost_usd'), 0)), 0 FROM calls JOIN sources ON sources.id = source
    WHERE kind = 'lm' AND error = ''
    """,
)
# By these tables, each from its schema on, a file is known as a journal.
_TABLES = (
    {
        "sources": {"id", "kind", "settings", "few_shot", "name", "varies"},
        "calls": {"key", "source", "request", "answer", "error", "finished", "seconds"},
    },
    {"payments": {"id", "usd", "made"}},
)
_FIND = "SELECT key, answer, error, finished, seconds FROM calls WHERE key IN (?, ?)"
_ANSWERED = """
SELECT request, answer FROM calls JOIN sources ON sources.id = source WHERE kind = ? AND error = '' ORDER BY finished
"""
_TOTAL = "SELECT TOTAL(usd) FROM payments"
# One statement is one transaction: no other process comes between the sum and the row.
_RESERVE = f"INSERT INTO payments (usd, made) SELECT ?, ? WHERE ({_TOTAL}) + ? <= ? RETURNING id"
_REQUESTS = "SELECT settings, few_shot, request FROM calls JOIN sources ON sources.id = source WHERE kind = ?"
_PATIENCE_S = 10.0  # for another process that is writing
_SHOWN = 60  # characters of a text round the place where it differs from another
_KINDS = {"lm": "language model", "search": "search tool"}
# Failures that end an episode; anything else stops a run and is no answer.
_ENDINGS: dict[str, type[FireActError]] = {error.__name__: error for error in (BudgetError, ModelError, ToolError)}


class Replay(StrEnum):
    """Where answers come from: the journal if it holds them, or the journal alone."""

    REUSE = "reuse"
    ONLY = "only"


Ask = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call's request, readable in the journal; ``ids`` shape the answer too, but are not for reading."""

    request: Mapping[str, Any]
    ids: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Who is asked: ``kind`` is lm or search, ``settings`` JSON text; ``few_shot`` is what a model reads first."""

    kind: str
    settings: str
    few_shot: str = ""


class Journal:
    """A journal file, made if it is missing (unless it is to be replayed only).

    Runs may share one, at the same time too. It is also the ledger of what their calls cost. A failed call is kept as
    its question's own: it is made again by ``reuse``, and fails again in ``only``.

    Raises:
        ConfigError: there is no such ``replay``.
        StorageError: the file is somebody else's, and is left as it is, or can't be used; also later, by every method,
            as soon as that happens.
    """

    def __init__(self, path: str | Path, replay: str = Replay.REUSE) -> None:
        if replay not in tuple(Replay):
            raise ConfigError(f"journal.replay={replay} is unknown; choose off, {', '.join(Replay)}")
        self.path, self.replay = Path(path), Replay(replay)
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._sources: dict[Source, int] = {}
        with self._usable():
            self._refuse_others()
            self._db = self._open()
            self._check_schema()

    def close(self) -> None:
        """Fold the write-ahead file into the journal and let go of both."""
        with self._usable():
            self._db.close()

    def source(self, kind: str, settings: str) -> tuple[str, bool]:
        """The name of what was asked with these settings, and whether its answers vary.

        Raises:
            ReplayMiss: it was never asked; shows the nearest that was.
        """
        rows = self._run("SELECT name, varies FROM sources WHERE kind = ? AND settings = ?", kind, settings)
        if not rows:
            raise self._miss(Source(kind, settings), "")
        name, varies = rows[0]
        return name, bool(varies)

    def reserve(self, usd: float, budget: float) -> int | None:
        """Enter a call that is about to be made, by the US dollars that it may cost at most.

        Returns:
            the entry, for ``settle``; None, and nothing is entered, where the calls of all runs would then have cost
            more than ``budget``.
        """
        rows = self._run(_RESERVE, usd, time.time(), usd, budget)
        return rows[0][0] if rows else None

    def settle(self, entry: int, usd: float) -> None:
        """Count what the entry's call cost in its place. One that a kill leaves behind counts in full for ever."""
        with self._usable(), self._transaction():
            self.pay(usd)
            self._run("DELETE FROM payments WHERE id = ?", entry)

    def pay(self, usd: float) -> None:
        """Count a call that nobody reserved anything for."""
        self._run("UPDATE payments SET usd = usd + ? WHERE id = 1", usd)

    def total(self) -> float:
        """US dollars: all that was paid, and all entries."""
        [[dollars]] = self._run(_TOTAL)
        return float(dollars)

    def answered(self, kind: str) -> Iterator[tuple[dict[str, Any], str]]:
        """(request, answer) of every answered call of ``kind``, in the order of their answers."""
        with self._usable():
            for request, answer in self._db.execute(_ANSWERED, (kind,)):
                yield json.loads(request), answer

    async def answer(self, source: Source, name: str, varies: bool, asked: Asked, ask: Ask) -> str:
        """The recorded answer, or the one that ``ask`` gives, recorded. The same call in flight is made once.

        Args:
            name: of the source, for people.
            varies: whether every question, and every time it asks, gets an answer of its own.

        Raises:
            ReplayMiss: only the journal may answer, and it does not hold the call.
            FireActError: whatever ``ask`` raised, now or when it was recorded.
        """
        calls, request = current(), asked.request
        if varies:
            request = {**request, "for": [calls.question.id, calls.occurrence((source, json_text(request)))]}
        text = json_text(request)
        key, failed = _key(source, text, asked.ids), _key(source, text, asked.ids, calls.question.id)
        async with self._locks.setdefault(key, asyncio.Lock()):
            found = {row[0]: Call(*row[1:]) for row in self._run(_FIND, key, failed)}
            # A failure counts only where nothing can be called again.
            call = found.get(key) if self.replay is Replay.REUSE else found.get(failed, found.get(key))
            if call is None and self.replay is Replay.ONLY:
                raise self._miss(source, text)
            if call is None:
                call = await _make(ask)
                self._record(failed if call.error else key, self._source_id(source, name, varies), text, call)
                if failed in found and not call.error:
                    self._run("DELETE FROM calls WHERE key = ?", failed)
        calls.made.append(call)
        if call.error:
            raise _ENDINGS[call.error](call.answer)
        return call.answer

    def _record(self, key: bytes, source: int, request: str, call: Call) -> None:
        row = (key, source, request, call.answer, call.error, call.finished, call.seconds)
        self._run("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    def _source_id(self, source: Source, name: str, varies: bool) -> int:
        if source not in self._sources:
            row = (source.kind, source.settings, source.few_shot)
            self._run("INSERT OR IGNORE INTO sources VALUES (NULL, ?, ?, ?, ?, ?)", *row, name, varies)
            same = "SELECT id FROM sources WHERE kind = ? AND settings = ? AND few_shot = ?"
            self._sources[source] = self._run(same, *row)[0][0]
        return self._sources[source]

    def _miss(self, source: Source, request: str) -> ReplayMiss:
        """One sentence on what was asked, what was recorded that is most like it, and where the two part."""
        asked, what = _shown(source.settings, source.few_shot, request), _KINDS[source.kind]
        recorded = self._nearest(source.kind, asked)
        if recorded is None:
            return ReplayMiss(f"the journal {self.path} holds no call of a {what}; journal.replay=reuse records them")
        at = len(os.path.commonprefix([asked, recorded]))
        parted = (f"the nearest one says {_excerpt(recorded, at)} where now {_excerpt(asked, at)} is asked"
                  if asked != recorded else "the same was asked for another question or with other tokens")
        return ReplayMiss(f"the journal {self.path} does not hold this call of a {what}: {parted}; replay what was "
                          "recorded, or let journal.replay=reuse make the call")

    def _nearest(self, kind: str, asked: str) -> str | None:
        """The recorded call whose words are most like those asked (Jaccard); of equals the one that agrees longest."""
        words = set(asked.split())

        def likeness(text: str) -> tuple[float, int]:
            others = set(text.split())
            return len(words & others) / len(words | others), len(os.path.commonprefix([asked, text]))

        with self._usable():
            texts = (_shown(*row) for row in self._db.execute(_REQUESTS, (kind,)))
            return max(texts, key=likeness, default=None)

    def _run(self, statement: str, *values: Any) -> list[Any]:
        with self._usable():
            return self._db.execute(statement, values).fetchall()

    def _refuse_others(self) -> None:
        """Refuse a database that is no journal, of which not even the write-ahead mode may be changed."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        real = self.path.resolve()  # beside which SQLite keeps what is not in the file yet
        at_rest = not any(Path(f"{real}-{name}").exists() for name in ("wal", "journal"))
        with closing(self._open_to_read(at_rest)) as db:
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            needed = {name: columns for tables in _TABLES[: max(schema, 0)] for name, columns in tables.items()}
            lacks = any(columns - _columns(db, table) for table, columns in needed.items())
            is_new = not schema and not db.execute("SELECT 1 FROM sqlite_master").fetchone()
        if lacks or not (needed or is_new):
            raise self._no_journal()

    def _no_journal(self) -> StorageError:
        return StorageError(f"{self.path} is no journal of ours; name another journal.path")

    def _open(self) -> sqlite3.Connection:
        if self.replay is Replay.ONLY:
            return self._open_to_read()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def _open_to_read(self, at_rest: bool = False) -> sqlite3.Connection:
        """A connection that writes nothing; where nobody else writes (``at_rest``) not even files beside it."""
        # Where nothing can be written, SQLite reads a write-ahead file only if told that nobody else writes.
        still = "&immutable=1" if at_rest or not os.access(self.path.parent, os.W_OK) else ""
        name = f"{self.path.absolute().as_uri()}?mode=ro{still}"
        return sqlite3.connect(name, uri=True, timeout=_PATIENCE_S, isolation_level=None)

    def _check_schema(self) -> None:
        """Make the tables of an empty file and those that an older one lacks; refuse those of another time."""
        if self.replay is Replay.REUSE:
            with self._transaction():
                schema = self._schema()
                for statement in ";".join(_MIGRATIONS[schema:]).split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {max(schema, SCHEMA)}")
        if not 0 < (found := self._schema()) <= SCHEMA:
            self._db.close()
            raise StorageError(f"the journal {self.path} has schema {found}, but this version reads 1 to {SCHEMA}; "
                               "choose another journal.path") if found else self._no_journal()

    def _schema(self) -> int:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(found)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that the body writes, or nothing; no other process writes meanwhile."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or error
            raise StorageError(f"the journal {self.path} can't be used ({why}); free or mend that place, wait for the "
                               "run that holds it, or choose another journal.path") from error


async def _make(ask: Ask) -> Call:
    """Make the call and time it; a failure that ends an episode is an answer too."""
    started = time.perf_counter()
    try:
        answer, error = await ask(), ""
    except tuple(_ENDINGS.values()) as failure:
        answer, error = str(failure), type(failure).__name__
    return Call(joined(answer), error, time.time(), time.perf_counter() - started)


def json_text(value: Any) -> str:
    """The one text of a plain value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _key(source: Source, *parts: str) -> bytes:
    return hashlib.sha256(json_text([source.kind, source.settings, source.few_shot, *parts]).encode()).digest()


def _shown(settings: str, few_shot: str, request: str) -> str:
    """A call as one text, its settings first."""
    return " ".join(filter(None, [settings, few_shot, request]))


def _excerpt(text: str, at: int) -> str:
    """The words round a place in a text."""
    words = text[max(at - _SHOWN // 2, 0) : at + _SHOWN // 2]
    return repr(f"…{words}…")
