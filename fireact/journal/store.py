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
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from fireact.errors import BudgetError, ConfigError, FireActError, ModelError, ReplayMiss, ToolError
from fireact.journal.database import Database
from fireact.tools.calls import Call, current
from fireact.trajectories.storage.reading import joined

_FIND = "SELECT key, answer, error, finished, seconds FROM calls WHERE key IN (?, ?)"
_ANSWERED = """
SELECT request, answer FROM calls JOIN sources ON sources.id = source WHERE kind = ? AND error = ''
ORDER BY calls.rowid
"""
_TOTAL = "SELECT TOTAL(usd) FROM payments"
# One statement is one transaction: no other process comes between the sum and the row.
_RESERVE = f"INSERT INTO payments (usd, made) SELECT ?, ? WHERE ({_TOTAL}) + ? <= ? RETURNING id"
_REQUESTS = "SELECT settings, few_shot, request FROM calls JOIN sources ON sources.id = source WHERE kind = ?"
_SHOWN = 60  # characters of a text round the place where it differs from another
_KINDS = {"lm": "language model", "search": "search tool", "tool": "tool"}
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
    """Who is asked: ``kind`` is lm, search or tool, ``settings`` JSON text; ``few_shot``, what a model reads first."""

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
        self._db = Database(self.path, writes=self.replay is Replay.REUSE)

    def close(self) -> None:
        """Fold the write-ahead file into the journal and let go of both."""
        self._db.close()

    def source(self, kind: str, settings: str) -> tuple[str, bool]:
        """The name of what was asked with these settings, and whether its answers vary.

        Raises:
            ReplayMiss: it was never asked; shows the nearest that was.
        """
        rows = self._db.run("SELECT name, varies FROM sources WHERE kind = ? AND settings = ?", kind, settings)
        if not rows:
            raise self._miss(Source(kind, settings), "")
        name, varies = rows[0]
        return name, bool(varies)

    def enter(self, source: Source, name: str, varies: bool) -> int:
        """Note who may be asked, so that ``source`` knows its name; its number."""
        if source not in self._sources:
            row = (source.kind, source.settings, source.few_shot)
            self._db.run("INSERT OR IGNORE INTO sources VALUES (NULL, ?, ?, ?, ?, ?)", *row, name, varies)
            same = "SELECT id FROM sources WHERE kind = ? AND settings = ? AND few_shot = ?"
            self._sources[source] = self._db.run(same, *row)[0][0]
        return self._sources[source]

    def reserve(self, usd: float, budget: float) -> int | None:
        """Enter a call that is about to be made, by the US dollars that it may cost at most.

        Returns:
            the entry, for ``settle``; None, and nothing is entered, where the calls of all runs would then have cost
            more than ``budget``.
        """
        rows = self._db.run(_RESERVE, usd, time.time(), usd, budget)
        return rows[0][0] if rows else None

    def settle(self, entry: int, usd: float) -> None:
        """Count what the entry's call cost in its place. One that a kill leaves behind counts in full for ever."""
        with self._db.transaction():
            self.pay(usd)
            self._db.run("DELETE FROM payments WHERE id = ?", entry)

    def pay(self, usd: float) -> None:
        """Count a call that nobody reserved anything for."""
        self._db.run("UPDATE payments SET usd = usd + ? WHERE id = 1", usd)

    def total(self) -> float:
        """US dollars: all that was paid, and all entries."""
        [[dollars]] = self._db.run(_TOTAL)
        return float(dollars)

    def answered(self, kind: str) -> Iterator[tuple[dict[str, Any], str]]:
        """(request, answer) of every answered call of ``kind``, in the order of their answers, not of a clock."""
        for request, answer in self._db.rows(_ANSWERED, kind):
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
            found = {row[0]: Call(*row[1:]) for row in self._db.run(_FIND, key, failed)}
            # A failure counts only where nothing can be called again.
            call = found.get(key) if self.replay is Replay.REUSE else found.get(failed, found.get(key))
            if call is None and self.replay is Replay.ONLY:
                raise self._miss(source, text)
            if call is None:
                call = await _make(ask)
                self._record(failed if call.error else key, self.enter(source, name, varies), text, call)
                if failed in found and not call.error:
                    self._db.run("DELETE FROM calls WHERE key = ?", failed)
        calls.made.append(call)
        if call.error:
            raise _ENDINGS[call.error](call.answer)
        return call.answer

    def _record(self, key: bytes, source: int, request: str, call: Call) -> None:
        row = (key, source, request, call.answer, call.error, call.finished, call.seconds)
        self._db.run("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    def _miss(self, source: Source, request: str) -> ReplayMiss:
        """One sentence on what was asked, and where the recorded call that agrees with it longest differs."""
        asked, what = _shown(source.settings, source.few_shot, request), _KINDS[source.kind]
        recorded = (_shown(*row) for row in self._db.rows(_REQUESTS, source.kind))
        nearest = max(recorded, key=lambda text: len(os.path.commonprefix([asked, text])), default=None)
        if nearest is None:
            return ReplayMiss(f"the journal {self.path} holds no call of a {what}; journal.replay=reuse records them")
        at = len(os.path.commonprefix([asked, nearest]))
        parted = (f"it says {_excerpt(nearest, at)} where now {_excerpt(asked, at)} is asked"
                  if asked != nearest else "the same was asked for another question or with other tokens")
        of = f" for question {current().question.id}" if current().question.id else ""
        return ReplayMiss(f"the journal {self.path} does not hold this call of a {what}{of}: {parted}; replay what was "
                          "recorded, or let journal.replay=reuse make the call")


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


def _key(source: Source, *parts: str) -> bytes:
    return hashlib.sha256(json_text([source.kind, source.settings, source.few_shot, *parts]).encode()).digest()


def _shown(settings: str, few_shot: str, request: str) -> str:
    """A call as one text, its settings first."""
    return " ".join(filter(None, [settings, few_shot, request]))


def _excerpt(text: str, at: int) -> str:
    """The words round a place in a text."""
    words = text[max(at - _SHOWN // 2, 0) : at + _SHOWN // 2]
    return repr(f"…{words}…")
