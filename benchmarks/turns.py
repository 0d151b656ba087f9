"""Contenders in processes of their own that take turns: A B C A B C …, so that a machine's noise falls on all of them.

Only one works at a time, and each keeps the memory that it would have alone. A contender is a script that calls
``Seat``. Its turns end either where it says so (``take_turns``) or by the clock (``alternate``).
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Facts = dict[str, Any]


class Seat:
    """The contender's side: ready, then one turn after the other whenever it is asked.

    Whatever else the process prints goes to standard error from here on.
    """

    def __init__(self) -> None:
        self._replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._started = 0.0

    def ready(self) -> None:
        """Everything that comes before the first turn is done; returns when the first turn begins."""
        self._reply({})

    def done(self, **facts: Any) -> None:
        """The turn is over; returns when the next one begins, or the last has been."""
        self._reply({"seconds": time.perf_counter() - self._started, **facts})

    def leave(self, **facts: Any) -> None:
        """All turns are over; adds the process's peak memory in bytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"peak": peak, **facts}), file=self._replies, flush=True)

    def _reply(self, facts: Facts) -> None:
        print(json.dumps(facts), file=self._replies, flush=True)
        sys.stdin.readline()
        self._started = time.perf_counter()


class Contender:
    """The other side: a process started, asked for turns and seen off."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables)
        self._command = command
        self._hear()

    def turn(self) -> Facts:
        """What it reports of its next turn."""
        self._say("go")
        return self._hear()

    def end(self) -> Facts:
        """Its last words."""
        self._say("end")
        facts = self._hear()
        self._process.wait()
        return facts

    def begin(self) -> None:
        """Let it work on its only turn, and stop it until ``go_on``."""
        self._process.send_signal(signal.SIGSTOP)
        self._say("go")

    def go_on(self, seconds: float) -> tuple[float, Facts | None]:
        """Let it work for so long; how long it did, and its report if that is its turn's end."""
        started = time.perf_counter()
        self._process.send_signal(signal.SIGCONT)
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if ready:
            return time.perf_counter() - started, self._hear()
        self._process.send_signal(signal.SIGSTOP)
        return time.perf_counter() - started, None

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)

    def _hear(self) -> Facts:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self._command)} ended with code {self._process.wait()}; its reason is above")
        facts: Facts = json.loads(line)
        return facts


def take_turns(
    commands: Mapping[str, Sequence[str]], turns: int, environment: Mapping[str, str] | None = None
) -> tuple[dict[str, list[Facts]], dict[str, Facts]]:
    """Start every command, give each so many turns in rotating order, and end them.

    Returns:
        what each reported of its turns, and its last words.
    """
    contenders: dict[str, Contender] = {}
    for name, command in commands.items():
        print(f"starting {name}", file=sys.stderr)
        contenders[name] = Contender(command, environment or {})
    reports: dict[str, list[Facts]] = {name: [] for name in commands}
    for number in range(turns):
        names = list(commands)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            reports[name].append(contenders[name].turn())
            print(f"turn {number + 1}/{turns}: {name} {reports[name][-1]['seconds']:.2f} s", file=sys.stderr)
    return reports, {name: contender.end() for name, contender in contenders.items()}


def alternate(commands: Mapping[str, Sequence[str]], seconds: float) -> tuple[dict[str, Facts], dict[str, Facts]]:
    """Start every command and give each one turn, cut into pieces of so many seconds that alternate.

    Returns:
        what each reported of its turn, with the ``seconds`` that it worked, and its last words.
    """
    contenders = {name: Contender(command, {}) for name, command in commands.items()}
    worked, reports = dict.fromkeys(commands, 0.0), dict[str, Facts]()
    for contender in contenders.values():
        contender.begin()
    while waiting := [name for name in commands if name not in reports]:
        for name in waiting:
            took, facts = contenders[name].go_on(seconds)
            worked[name] += took
            if facts is not None:
                reports[name] = {**facts, "seconds": worked[name]}
    return reports, {name: contender.end() for name, contender in contenders.items()}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
