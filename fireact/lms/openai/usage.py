"""How many tokens a call took and has to be paid for, by what the server says and by what the request allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fireact.lms.openai.wire import Reply

BYTES_PER_TOKEN = 4  # about, in English
_MOST_BYTES_PER_TOKEN = 16  # of a text as a whole; single tokens may be longer
_LONGEST_CONTEXT = 10**7  # tokens; no model reads or writes more


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a request of ``size`` bytes, ``text`` of them words, may take: a token for each, and ``answer`` more.

    ``limited`` says whether the server was told to keep to that ``answer``.
    """

    size: int
    text: int
    answer: int
    limited: bool = True

    @property
    def estimate(self) -> float:
        """Tokens in and out, before anything is known."""
        return self.size / BYTES_PER_TOKEN + self.answer

    def taken(self, reply: Reply) -> tuple[int, int]:
        """Tokens in and out, for the records; of a stream without usage an estimate and the pieces received, of any
        other reply without it (0, 0)."""
        tokens = self.counted(reply)
        if tokens is None:
            return (round(self.size / BYTES_PER_TOKEN), reply.pieces) if reply.pieces else (0, 0)
        return tokens

    def billed(self, reply: Reply) -> tuple[int, int]:
        """Tokens in and out to be paid for: as the server counts, and all that is allowed where it does not.

        A stream that was closed tells nothing of what the server had written beyond it.
        """
        tokens = self.counted(reply)
        if tokens is None:
            return self.size, self.answer
        tokens_in, tokens_out = tokens
        return tokens_in, tokens_out if reply.whole else max(tokens_out, self.answer)

    def counted(self, reply: Reply) -> tuple[int, int] | None:
        """Tokens in and out as the server reports them; None where it does not, or fewer than the words must have."""
        tokens = reported(reply.usage)
        if tokens is None:
            return None
        fewest_in, fewest_out = _fewest(self.text), _fewest(len(reply.text.encode("utf-8", "surrogatepass")))
        return tokens if tokens[0] >= fewest_in and tokens[1] >= fewest_out else None

    def passed(self, tokens_in: int, tokens_out: int) -> bool:
        """Whether these are more than the request allows."""
        return tokens_in > self.size or (self.limited and tokens_out > self.answer)


def text_size(body: Mapping[str, Any]) -> int:
    """The bytes of a request's prompt, of which each costs something, without the JSON round it."""
    texts = [message["content"] or "" for message in body["messages"]] if "messages" in body else [body["prompt"]]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def reported(usage: Any) -> tuple[int, int] | None:
    """(prompt tokens, completion tokens) of a reply's ``usage``; None where these are no counts."""
    if not isinstance(usage, Mapping):
        return None
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(tokens_in) is not int or type(tokens_out) is not int:
        return None
    return (tokens_in, tokens_out) if all(0 <= count <= _LONGEST_CONTEXT for count in (tokens_in, tokens_out)) else None


def _fewest(size: int) -> int:
    """Tokens that a text of ``size`` bytes has at least."""
    return max(size // _MOST_BYTES_PER_TOKEN, min(size, 1))
