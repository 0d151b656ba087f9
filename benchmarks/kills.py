"""Calls repeated after kills at random moments: a run is killed, started again, killed again …, and its calls counted.

    python benchmarks/kills.py [KILLS]      20 by default

A call counts as finished once its answer has been used. Those that were under way at a kill have to be made again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fireact.agent.react import ReAct  # noqa: E402
from fireact.agent.rollout import Rollout, act_out  # noqa: E402
from fireact.journal.journaled import JournaledModel, JournaledSearch  # noqa: E402
from fireact.journal.store import Journal  # noqa: E402
from fireact.lms.base import Completion, LanguageModel  # noqa: E402
from fireact.tools.base import SearchTool  # noqa: E402
from fireact.trajectories.dialogue import Dialogue  # noqa: E402
from fireact.trajectories.records import Question, Score  # noqa: E402

QUESTIONS, ROUNDS, LOG = 60, 5, "calls.log"


class Log:
    """Lines that survive a kill."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class SlowModel:
    """Takes a few milliseconds for a search, and for an answer after ``ROUNDS`` of them; logs that it was asked."""

    name, concurrency = "slow", 8

    def __init__(self, log: Log) -> None:
        self._log = log

    async def complete(self, dialogue: Dialogue) -> Completion:
        self._log("asked", "lm", dialogue.question, len(dialogue.turns))
        await asyncio.sleep(random.uniform(0, 0.01))
        turn = len(dialogue.turns)
        action = f"finish[{turn}]" if turn == ROUNDS else f"search[{dialogue.question}/{turn}]"
        return Completion(f"Action: {action}")

    async def aclose(self) -> None: ...


class SlowSearch:
    """Takes a few milliseconds; logs that it was asked."""

    name = "slow"

    def __init__(self, log: Log) -> None:
        self._log = log

    async def search(self, query: str) -> str:
        self._log("asked", "search", query)
        await asyncio.sleep(random.uniform(0, 0.01))
        return f"about {query}"

    async def aclose(self) -> None: ...


class Witness:
    """Stands where the loop stands and logs every answer that reaches it."""

    def __init__(self, lm: LanguageModel, search: SearchTool, log: Log) -> None:
        self.name, self.concurrency = lm.name, lm.concurrency
        self._lm, self._search, self._log = lm, search, log

    async def complete(self, dialogue: Dialogue) -> Completion:
        completion = await self._lm.complete(dialogue)
        self._log("answered", "lm", dialogue.question, len(dialogue.turns))
        return completion

    async def search(self, query: str) -> str:
        observation = await self._search.search(query)
        self._log("answered", "search", query)
        return observation

    async def aclose(self) -> None: ...


def run(folder: Path) -> None:
    """One session of the run, to its end unless it is killed."""
    log = Log(folder)
    questions = [Question(f"q{i}", f"q{i}", str(ROUNDS), "kills", "dev") for i in range(QUESTIONS)]
    with closing(Journal(folder / "journal.sqlite")) as journal:
        parts = JournaledModel(SlowModel(log), journal, {}), JournaledSearch(SlowSearch(log), journal, {})
        witness = Witness(*parts, log)
        rollout = Rollout(ReAct("fireact", None), witness, witness, lambda *_: Score(1.0, 1.0, True), {})
        act_out(rollout, questions, folder / "predictions.jsonl", lambda _: None)


def count(folder: Path, kills: int, seed: int = 0) -> Counter[str]:
    """Kill the run so many times, let it end, and count: ``kills`` made while it was at work, ``calls`` made in all,
    ``unfinished`` ones made again and, of the finished, those ``repeated``."""
    rng, counts = random.Random(seed), Counter[str]()
    log = folder / LOG
    for last in [False] * kills + [True]:
        size = log.stat().st_size if log.exists() else 0
        session = subprocess.Popen([sys.executable, __file__, "--run", str(folder)])
        while not last and session.poll() is None and (not log.exists() or log.stat().st_size == size):
            time.sleep(0.001)
        if not last:
            time.sleep(rng.uniform(0, 1.2 * QUESTIONS * ROUNDS / 800 / kills))
            counts["kills"] += session.poll() is None
            session.send_signal(signal.SIGKILL)
        session.wait()
    asked, answered = set[str](), set[str]()
    for line in log.read_text().splitlines():
        event, _, call = line.partition(" ")
        if event == "asked":
            counts["calls"] += 1
            counts["repeated"] += call in answered
            counts["unfinished"] += call in asked and call not in answered
        (asked if event == "asked" else answered).add(call)
    assert len(asked) == len(answered) == QUESTIONS * (2 * ROUNDS + 1)
    return counts


def main(arguments: list[str]) -> None:
    if "--run" in arguments:
        run(Path(arguments[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        counts = count(Path(folder), int(arguments[0]) if arguments else 20)
    print(f"{counts['kills']} kills, {counts['calls']} calls made, {counts['unfinished']} of them again because a kill "
          f"cut them off, {counts['repeated']} although they had finished")


if __name__ == "__main__":
    main(sys.argv[1:])
