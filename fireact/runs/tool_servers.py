"""What servers of tools offer: asked once in a process, and read from a run's journal where that holds it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from fireact.cli import Config, build
from fireact.errors import ReplayMiss
from fireact.journal.store import Asked, Journal, Replay, Source, json_text
from fireact.runs.settings import settings
from fireact.tools.base import Tool, ToolServer

_ASKED = Asked({"ask": "what do you offer"})
_LISTED: dict[str, str] = {}  # by settings


def built(node: Config, journal: Journal | None, recorded: Config | None = None) -> Sequence[Tool]:
    """The tool that ``node`` names, or those that the server offers which it names.

    Args:
        journal: what the server offers is read from it or, if it is asked now, kept there.
        recorded: the configuration of a journal, which is read where there is no open one.

    Raises:
        FireActError: see ``ToolServer``.
    """
    found = build(node)
    if not hasattr(found, "listing"):
        return [found]
    tools: Sequence[Tool] = found.tools(_listing(found, node, journal, recorded))
    return tools


def digests(tools: Config | None, journal: Config) -> dict[str, str]:
    """The SHA-256 of what each server of ``tools`` offers to a run, by its key: with other tools it is another run.

    Args:
        journal: the configuration of the run's journal.
    """
    found = {}
    for key, node in tools.named.items() if tools else ():
        if hasattr(server := build(node), "listing"):
            offers = server.tools(_listing(server, node, None, journal))
            schemas = json_text([tool.schema.to_json() for tool in offers])
            found[str(key)] = hashlib.sha256(schemas.encode()).hexdigest()
    return found


def _listing(server: ToolServer, node: Config, journal: Journal | None, recorded: Config | None) -> str:
    source = Source("tool", json_text(settings("tool", node)))

    async def ask() -> str:
        if source.settings not in _LISTED:
            _LISTED[source.settings] = await server.listing()
        return _LISTED[source.settings]

    def kept(journal: Journal) -> str:
        return asyncio.run(journal.answer(source, "tools", False, _ASKED, ask))

    if journal is not None:
        return kept(journal)
    if recorded is not None and recorded.replay not in ("off", False):
        is_all = recorded.replay == Replay.ONLY
        if is_all or Path(recorded.path).is_file():
            with suppress(*() if is_all else (ReplayMiss,)), closing(Journal(recorded.path, Replay.ONLY)) as opened:
                return kept(opened)
    return asyncio.run(ask())
