"""What the loop itself costs: an instant model and an instant tool, with and without the journal.

    python benchmarks/loop.py [QUESTIONS …]      10,000 and 1,000 by default

Each line is a fresh process: milliseconds a question (three rounds: two searches and an answer), how many of them were
computation (the others are waits for the disk and for the machine's other work), and its peak memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fireact.agent.react import ReAct  # noqa: E402
from fireact.agent.rollout import Rollout, act_out  # noqa: E402
from fireact.journal.journaled import JournaledModel, JournaledSearch  # noqa: E402
from fireact.journal.store import Journal  # noqa: E402
from fireact.lms.base import Completion  # noqa: E402
from fireact.trajectories.dialogue import Dialogue  # noqa: E402
from fireact.trajectories.records import Question, Score, Trajectory  # noqa: E402

ROUNDS = 3


class InstantModel:
    """Searches twice, then answers."""

    name, concurrency = "instant", 64

    async def complete(self, dialogue: Dialogue) -> Completion:
        turn = len(dialogue.turns) + 1
        action = "finish[Y]" if turn == ROUNDS else f"search[{dialogue.question} {turn}]"
        return Completion(f"Thought: {'I need to look this up. ' * 4}\nAction: {action}", None, 400, 40)

    async def aclose(self) -> None: ...


class InstantSearch:
    """Finds a snippet of the usual length."""

    name = "instant"

    async def search(self, query: str) -> str:
        return f"{query}: " + "a snippet as a search engine would show it. " * 4

    async def aclose(self) -> None: ...


class Watch:
    """Counts, as a progress bar would."""

    done = 0

    def __call__(self, trajectory: Trajectory) -> None:
        self.done += 1


def run(count: int, journaled: bool) -> str:
    """Act out so many questions; one line on what it took."""
    questions = [Question(f"q{i}", f"Who wrote book {i} of this library?", "Y", "loop", "dev") for i in range(count)]
    watch, method = Watch(), ReAct("fireact", None)
    with tempfile.TemporaryDirectory() as folder, closing(Journal(f"{folder}/journal.sqlite")) as journal:
        lm, search = InstantModel(), InstantSearch()
        parts = (JournaledModel(lm, journal, {}), JournaledSearch(search, journal, {})) if journaled else (lm, search)
        rollout = Rollout(method, *parts, lambda *_: Score(1.0, 1.0, True), {})
        started, busy = time.perf_counter(), time.process_time()
        act_out(rollout, questions, Path(folder) / "predictions.jsonl", watch)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    assert watch.done == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    name = "with journal" if journaled else "without"
    took = f"{1000 * seconds / count:6.3f} ms/question ({1000 * busy / count:.3f} of CPU)"
    return f"{name:13} {count:7,} questions  {took}  peak {peak:6.1f} MiB"


def main(arguments: list[str]) -> None:
    if "--one" in arguments:
        print(run(int(arguments[1]), arguments[2] == "True"))
        return
    for journaled in (False, True):
        for count in map(int, arguments or ("1000", "10000")):
            subprocess.run([sys.executable, __file__, "--one", str(count), str(journaled)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
