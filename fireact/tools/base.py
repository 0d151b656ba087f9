"""The seam for search tools: one query in, one short text out, as a search engine's first snippet."""

from __future__ import annotations

from typing import Protocol

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
