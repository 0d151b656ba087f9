"""How many tokens a call took and has to be paid for, by what the server says and by what the request allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fireact.lms.openai.wire import Reply

BYTES_PER_TOKEN = 4  # about, in English


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a request of ``size`` bytes may take: a token for each of them, and ``answer`` more.

    ``limited`` says whether the server was told to keep to that ``answer``.
    """

    size: int
    answer: int
    limited: bool = True

    @property
    def estimate(self) -> float:
        """Tokens in and out, before anything is known."""
        return self.size / BYTES_PER_TOKEN + self.answer

    def taken(self, reply: Reply) -> tuple[int, int]:
        """Tokens in and out, for the records; of a stream without usage an estimate and the pieces received, of any
        other reply without it (0, 0)."""
        tokens = reported(reply.usage)
        if tokens is None:
            return (round(self.size / BYTES_PER_TOKEN), reply.pieces) if reply.pieces else (0, 0)
        return self._within(*tokens)

    def billed(self, reply: Reply) -> tuple[int, int]:
        """Tokens in and out that it has cost at most: all that is allowed, where the server does not tell less.

        A stream that was closed tells nothing of what the server had written beyond it.
        """
        tokens = reported(reply.usage)
        if tokens is None:
            return self.size, self.answer
        tokens_in, tokens_out = self._within(*tokens)
        return tokens_in, tokens_out if reply.whole else max(tokens_out, self.answer)

    def doubts(self, usage: Any) -> bool:
        """Whether the server reports what can't be."""
        return bool(usage) and ((tokens := reported(usage)) is None or tokens != self._within(*tokens))

    def _within(self, tokens_in: int, tokens_out: int) -> tuple[int, int]:
        return min(tokens_in, self.size), min(tokens_out, self.answer) if self.limited else tokens_out


def reported(usage: Any) -> tuple[int, int] | None:
    """(prompt tokens, completion tokens) of a reply's ``usage``; None where these are no counts."""
    if not isinstance(usage, Mapping):
        return None
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(tokens_in) is not int or type(tokens_out) is not int or min(tokens_in, tokens_out) < 0:
        return None
    return tokens_in, tokens_out
