"""The journal's file: SQLite in write-ahead mode, told from others by its tables; what fails is one sentence."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fireact.errors import StorageError

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
_PATIENCE_S = 60.0  # for another process that is writing, or that looks at the file with another program


class Database:
    """An open journal file; one that ``writes`` is made if it is missing, and brought to today's schema.

    Raises:
        StorageError: the file is somebody else's, and is left as it is, or can't be used; also later, by every method,
            as soon as that happens.
    """

    def __init__(self, path: Path, writes: bool) -> None:
        self._path = path
        with self.usable():
            self._refuse_others()
            self._db = self._open_to_write() if writes else self._open_to_read()
            self._check_schema(writes)

    def close(self) -> None:
        """Fold the write-ahead file into the journal and let go of both."""
        with self.usable():
            self._db.close()

    def run(self, statement: str, *values: Any) -> list[Any]:
        """The rows that a statement gives."""
        with self.usable():
            return self._db.execute(statement, values).fetchall()

    def rows(self, statement: str, *values: Any) -> Iterator[Any]:
        """The same, one at a time."""
        with self.usable():
            yield from self._db.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the body writes, or nothing; no other process writes meanwhile."""
        with self.usable():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into a sentence."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or error
            raise StorageError(f"the journal {self._path} can't be used ({why}); free or fix that place, wait for the "
                               "run that holds it, or choose another journal.path") from error

    def _refuse_others(self) -> None:
        """Refuse a database that is no journal, of which not even the write-ahead mode may be changed."""
        if not self._path.is_file() or not self._path.stat().st_size:
            return
        real = self._path.resolve()  # beside which SQLite keeps what is not in the file yet
        at_rest = not any(Path(f"{real}-{name}").exists() for name in ("wal", "journal"))
        with closing(self._open_to_read(at_rest)) as db:
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            needed = {name: columns for tables in _TABLES[: max(schema, 0)] for name, columns in tables.items()}
            lacks = any(columns - _columns(db, table) for table, columns in needed.items())
            is_new = not schema and not db.execute("SELECT 1 FROM sqlite_master").fetchone()
        if lacks or not (needed or is_new):
            raise self._no_journal()

    def _no_journal(self) -> StorageError:
        return StorageError(f"{self._path} is no journal of ours; name another journal.path")

    def _open_to_write(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def _open_to_read(self, at_rest: bool = False) -> sqlite3.Connection:
        """A connection that writes nothing; where nobody else writes (``at_rest``) not even files beside it."""
        # Where nothing can be written, SQLite reads a write-ahead file only if told that nobody else writes.
        still = "&immutable=1" if at_rest or not os.access(self._path.parent, os.W_OK) else ""
        name = f"{self._path.absolute().as_uri()}?mode=ro{still}"
        return sqlite3.connect(name, uri=True, timeout=_PATIENCE_S, isolation_level=None)

    def _check_schema(self, writes: bool) -> None:
        """Make the tables of an empty file and those that an older one lacks; refuse those of another time."""
        if writes:
            with self.transaction():
                schema = self._schema()
                for statement in ";".join(_MIGRATIONS[schema:]).split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {max(schema, SCHEMA)}")
        if not 0 < (found := self._schema()) <= SCHEMA:
            self._db.close()
            raise StorageError(f"the journal {self._path} has schema {found}, but this version reads 1 to {SCHEMA}; "
                               "choose another journal.path") if found else self._no_journal()

    def _schema(self) -> int:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(found)


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
