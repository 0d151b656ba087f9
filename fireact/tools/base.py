"""The seams for tools. A search tool takes one query and gives one short text, as a search engine's first snippet; any
other takes named arguments, which its schema describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fireact.trajectories.tool_schema import ToolSchema

NOTHING = "None"  # the paper's answer where nothing is found


class SearchTool(Protocol):
    """``name`` says tool, corpus and k (for example ``bm25[miniwiki] k=1``); every score is reported with it.

    A tool that may answer the same query differently another time also has ``varies = True``; one that wraps another
    calls it ``tool``.
    """

    name: str

    async def search(self, query: str) -> str:
        """The observation for ``query``; "None" when nothing is found, as in the paper.

        Raises:
            ToolError: the tool could not answer.
            ConfigError: it never will, as it is set up; this stops the run.
        """
        ...

    async def aclose(self) -> None:
        """Release connections; the tool answers no more."""
        ...


class Tool(Protocol):
    """A tool besides the search tool. The model calls it by its ``schema``'s name.

    One that is ``idempotent`` answers the same call alike whoever asks and however often, so that episodes may share
    an answer; an answer of any other is its question's own, and its place's in the episode.
    """

    schema: ToolSchema
    idempotent: bool

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The observation.

        Raises:
            ToolError: the tool could not answer.
            ConfigError: it never will, as it is set up; this stops the run.
        """
        ...

    async def aclose(self) -> None:
        """Release what it holds; the tool answers no more."""
        ...


class ToolServer(Protocol):
    """Offers tools that itself alone can name. What it says of them is kept, so that a run is replayed without it."""

    async def listing(self) -> str:
        """What it offers, as a text that ``tools`` reads.

        Raises:
            ToolError: it could not be asked.
            ConfigError: it never will be, as it is set up.
        """
        ...

    def tools(self, listing: str) -> Sequence[Tool]:
        """The tools in what was said. They ask the server when they are called.

        Raises:
            ConfigError: the listing holds another thing than what is wanted of it.
        """
        ...
