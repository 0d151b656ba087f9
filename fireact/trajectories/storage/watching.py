"""How a download or the making of an index is going: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from fireact.trajectories.storage.reading import printable

_EVERY_SECONDS = {True: 0.1, False: 15.0}  # on a terminal, elsewhere


class Watch:
    """Call it with how much of ``total`` is done; use it as a context manager."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._shown = printable(what), total, time.monotonic()
        self._console = Console(stderr=True)
        self._every = _EVERY_SECONDS[self._console.is_terminal]
        self._bar = Progress(console=self._console, transient=True)
        self._task = self._bar.add_task(escape(self._what), total=total)

    def __enter__(self) -> Watch:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int) -> None:
        """Show the state, if it is time to."""
        if time.monotonic() - self._shown < self._every:
            return
        self._shown = time.monotonic()
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done)
        else:
            line = f"{self._what}: {done:,} of {self._total:,}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
