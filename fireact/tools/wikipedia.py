"""Wikipedia, or any wiki with search and TextExtracts, through the MediaWiki API (https://www.mediawiki.org/wiki/API)."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
from annotated_types import Interval

from fireact.errors import ConfigError, ToolError
from fireact.ranges import Count, NoEffect, Text
from fireact.tools.base import NOTHING
from fireact.tools.bm25 import snippet
from fireact.tools.http import Http, Limits, at, bounded, explained
from fireact.trajectories.records import Document

_LONGEST_QUERY = 300  # the API refuses a longer one
_MAXLAG = 5  # seconds; asked of every client that is not interactive


class Wikipedia:
    """The titles and first sentences of the ``k`` best pages, in one request.

    ``contact`` (an e-mail address or a page) stands in the User-Agent, as Wikimedia asks of every client; ``words`` is
    how many words are quoted of each page at most.

    Raises:
        ConfigError: ``contact`` is empty or ``base_url`` is no HTTP address.
    """

    def __init__(
        self,
        contact: NoEffect[str],
        base_url: Text = "https://en.wikipedia.org/w/api.php",
        k: Annotated[int, Interval(ge=1, le=50)] = 1,
        words: Count = 40,
        limits: NoEffect[Limits] = Limits(),  # noqa: B008 - frozen
    ) -> None:
        if not contact:
            raise ConfigError("search.contact is empty; Wikimedia asks for an e-mail address or a page to write to")
        agent = f"FireAct/0.1 ({contact}) httpx/{httpx.__version__}"
        self._http = Http("Wikipedia", base_url, limits, "check search.contact", {"User-Agent": agent})
        self.name = f"wikipedia[{httpx.URL(base_url).host}] k={k}"
        self._k, self._words = k, words

    async def search(self, query: str) -> str:
        """See ``SearchTool``."""
        if not query.strip():
            return NOTHING
        body = await self._http.get(self._params(query), busy=_busy)
        if "error" in body:
            raise ToolError(f"Wikipedia could not search ({explained(body)}); try another query")
        pages = [page for page in _pages(body)[: self._k] if page.text.strip()]
        return bounded(" ".join(snippet(page, (), self._words) for page in pages), "Wikipedia") or NOTHING

    async def aclose(self) -> None:
        """See ``SearchTool``."""
        await self._http.aclose()

    def _params(self, query: str) -> dict[str, str]:
        return {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "maxlag": str(_MAXLAG),
            "generator": "search",
            "gsrsearch": query[:_LONGEST_QUERY],
            "gsrlimit": str(self._k),
            "gsrnamespace": "0",
            "redirects": "1",
            "prop": "extracts",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": str(self._k),
        }


def _busy(body: dict[str, Any]) -> str:
    """A lagging or crowded wiki says so with status 200."""
    return explained(body) if at(body, "error", "code") in ("maxlag", "ratelimited", "readonly") else ""


def _pages(body: dict[str, Any]) -> list[Document]:
    """The pages found, best first; the API lists them in another order."""
    try:
        pages = sorted(body.get("query", {}).get("pages", ()), key=lambda page: page["index"])
        # A title is one line; any other could pass for a turn of the model's.
        return [Document(" ".join(_text(page["title"]).split()), _text(page.get("extract") or "")) for page in pages]
    except (AttributeError, KeyError, TypeError):
        raise ToolError("Wikipedia answered in an unknown form; check that search.base_url is an api.php") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
