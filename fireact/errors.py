"""Every failure a user can meet, named after the boundary it crossed.

The message is one sentence that says what is wrong and how to fix it; the entry scripts print it and exit with 1.
Anything that is not a ``FireActError`` is a bug of ours and keeps its stack trace.
"""


class FireActError(Exception):
    """Base of all named failures: its message is written for the user, not for us."""


class ConfigError(FireActError):
    """The configuration asks for something that does not exist or does not fit together."""


class DataError(FireActError):
    """A data file is missing, malformed, empty or too small; names the file and, where known, the line."""


class StorageError(FireActError):
    """A folder cannot be written, a disk is full, or a run folder belongs to another configuration."""


class ModelError(FireActError):
    """A language model could not be loaded or could not answer."""


class ToolError(FireActError):
    """A search tool could not answer."""


class ParseError(FireActError):
    """A model's text holds no well-formed action."""


class BudgetError(FireActError):
    """The next call would pass a configured limit on money or calls."""


class Terminated(KeyboardInterrupt):
    """SIGTERM asked this process to stop. It stops as for Ctrl-C, and only its exit code says the difference."""


class ReplayMiss(FireActError):
    """A replay asks what was never recorded; shows the nearest record."""


def quoted(value: object) -> str:
    """A key or value of a user's as a message shows it: on one line, control characters escaped, and not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
