"""The seam for search tools: one query in, one short text out, as a search engine's first snippet."""

from __future__ import annotations

from typing import Protocol


class SearchTool(Protocol):
    """``name`` says tool, corpus and k (for example ``bm25[miniwiki] k=1``); every score is reported with it."""

    name: str

    async def search(self, query: str) -> str:
        """The observation for ``query``; "None" when nothing is found, as in the paper.

        Raises:
            ToolError: the tool could not answer.
        """
        ...
