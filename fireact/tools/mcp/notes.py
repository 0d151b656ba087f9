"""What is known of a connection to a server, for a message that says why it ended."""

from __future__ import annotations

from dataclasses import dataclass

from fireact.trajectories.storage.reading import printable

_SHOWN = 200  # characters of a server's own words


@dataclass(slots=True)
class Notes:
    """``reason`` follows the server's name in a sentence; ``last_words`` are what it wrote to stderr; a server that
    ``has_session`` may know at the next call what came of the last."""

    reason: str = ""
    last_words: str = ""
    has_session: bool = True

    def said(self) -> str:
        """Its last line on stderr in brackets, behind a space; nothing if it wrote none."""
        lines = self.last_words.split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({brief(last)})" if last else ""


def brief(words: str) -> str:
    """A server's own words on one line, such as a terminal may show them, and not too long."""
    text = printable(" ".join(words.split()))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
