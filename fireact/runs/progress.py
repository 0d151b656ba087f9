"""How a rollout is going: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage.reading import printable

_EVERY_SECONDS = 15.0


class RolloutProgress:
    """Call it with every trajectory as it finishes; use it as a context manager."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = printable(name), total
        self._started = self._printed = time.monotonic()
        self._done = self._right = self._rounds = self._tokens = 0
        self._cost = 0.0
        self._endings: Counter[str] = Counter()
        self._console = Console(stderr=True)
        described, state = (TextColumn(f"{{task.{text}}}", markup=False) for text in ("description", "fields[state]"))
        columns = (described, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), state)
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task(self._name, total=total, state="")

    def __enter__(self) -> RolloutProgress:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._print()

    def __call__(self, trajectory: Trajectory) -> None:
        """Count one finished trajectory and show the state."""
        self._done += 1
        self._right += trajectory.score.correct
        self._rounds += trajectory.rounds
        self._tokens += trajectory.usage.tokens_out
        self._cost += trajectory.usage.cost_usd
        self._endings[trajectory.ending] += 1
        self._bar.update(self._task, completed=self._done, state=self._state())
        if not self._console.is_terminal and time.monotonic() - self._printed > _EVERY_SECONDS:
            self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        line = f"{self._name}: {self._done}/{self._total} done, {self._state()}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _state(self) -> str:
        done, seconds = max(self._done, 1), time.monotonic() - self._started
        endings = " ".join(f"{ending} {n}" for ending, n in self._endings.most_common())
        left = (self._total - self._done) * seconds / done
        cost = f", ${self._cost:.2f}" if self._cost else ""
        return (f"right {self._right} ({self._right / done:.0%}), {endings}, rounds {self._rounds / done:.1f}, "
                f"{self._tokens / max(seconds, 1e-9):.0f} tokens/s{cost}, {left:.0f} s left")
