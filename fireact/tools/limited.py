"""A tool within limits: arguments that fit its schema, a time-out, a length, and failures as a run wants them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Literal

from fireact.errors import FireActError, ParseError, ToolError
from fireact.tools.base import Tool
from fireact.trajectories.storage.reading import HALVES, joined

log = logging.getLogger(__name__)
OnError = Literal["observation", "end"]


class Limited:
    """``tool``, none of whose calls takes longer than ``timeout_s`` or answers more than ``max_chars`` characters.

    With ``on_error=observation`` the model reads why a call failed, and goes on; with ``end`` its episode ends. Calls
    that do not fit the schema are the model's own mistakes, and always read by it.
    """

    def __init__(self, tool: Tool, timeout_s: float, max_chars: int, on_error: OnError) -> None:
        self._tool, self._timeout_s, self._max_chars, self._on_error = tool, timeout_s, max_chars, on_error
        self.schema, self.idempotent = tool.schema, tool.idempotent

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See ``Tool``."""
        try:
            self.schema.check(arguments)
        except ParseError as mistake:
            return f"Error: {mistake}."
        try:
            return self._cut(await self._answer(arguments))
        except ToolError as error:
            if self._on_error == "end":
                raise
            return self._cut(f"Error: {error}")

    async def aclose(self) -> None:
        """See ``Tool``."""
        await self._tool.aclose()

    async def _answer(self, arguments: Mapping[str, Any]) -> str:
        name = self.schema.name
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._tool.call(arguments)
        except TimeoutError:
            raise ToolError(f"{name} did not answer within {self._timeout_s:g} s") from None
        except FireActError:
            raise
        except Exception as error:  # somebody else's code: whatever it raises ends no more than its call
            raise ToolError(f"{name} failed with {type(error).__name__}: {error}") from error
        if not isinstance(answer, str):
            raise ToolError(f"{name} answered with {type(answer).__name__}; a tool answers with text")
        whole = joined(answer)
        if whole != answer:
            log.warning(HALVES, name, whole.count("\ufffd") - answer.count("\ufffd"))
        return whole

    def _cut(self, answer: str) -> str:
        over = len(answer) - self._max_chars
        return f"{answer[: self._max_chars]} … [{over} more characters]" if over > 0 else answer
