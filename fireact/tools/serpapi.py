"""Google through SerpApi (https://serpapi.com/search-api), answering as the paper's tool does."""

from __future__ import annotations

import math
import os
from typing import Any

from fireact.errors import ConfigError, ToolError
from fireact.ranges import NoEffect, Text
from fireact.tools.base import NOTHING
from fireact.tools.http import Http, Limits, at, bounded, explained

KEY = "SERPAPI_API_KEY"
_CHOICE: tuple[tuple[str | int, ...], ...] = (
    ("answer_box", "answer"),
    ("answer_box", "snippet"),
    ("answer_box", "snippet_highlighted_words", 0),
    ("organic_results", 0, "snippet"),
)


class SerpApi:
    """The first answer of a results page. The key is read from the environment variable SERPAPI_API_KEY.

    ``engine``, ``gl`` (country) and ``hl`` (language) are SerpApi's own parameters; the defaults are the paper's.

    Raises:
        ConfigError: there is no key, or ``base_url`` is no HTTP address.
    """

    def __init__(
        self,
        base_url: Text = "https://serpapi.com/search.json",
        engine: Text = "google",
        gl: Text = "us",
        hl: Text = "en",
        limits: NoEffect[Limits] = Limits(),  # noqa: B008 - frozen
    ) -> None:
        key = os.environ.get(KEY)
        if not key:
            raise ConfigError(f"{KEY} is not set; put your SerpApi key into that environment variable")
        self.name = f"serpapi[{engine}]"
        self._secret = {"api_key": key}
        self._page = {"engine": engine, "gl": gl, "hl": hl}
        self._http = Http("SerpApi", base_url, limits, fix=f"check {KEY} and what is left of your plan")

    async def search(self, query: str) -> str:
        """See ``SearchTool``."""
        if not query.strip():
            return NOTHING
        body = await self._http.get({**self._page, "q": query}, secret=self._secret)
        # A search that found nothing has an error too, but is a success.
        if "error" in body and at(body, "search_metadata", "status") != "Success":
            raise ToolError(f"SerpApi could not search ({explained(body)}); try again later")
        return bounded(choose(body), "SerpApi")

    async def aclose(self) -> None:
        """See ``SearchTool``."""
        await self._http.aclose()


def choose(body: dict[str, Any]) -> str:
    """The paper's choice of one answer from a results page, on one line; "None" where there is none."""
    answers = (at(body, *path) for path in _CHOICE)
    texts = (" ".join(str(answer).split()) for answer in answers if _is_said(answer))
    return next(filter(None, texts), NOTHING)


def _is_said(answer: Any) -> bool:
    """Whether it is a text or a number; neither a truth value nor an infinity is."""
    return type(answer) in (str, int) or (type(answer) is float and math.isfinite(answer))
