"""Several processes that run the same command in the same folder at once, some of them killed on the way.

    python benchmarks/faults/together.py [PROCESSES] [ROUNDS] [SCRIPT …]     4 and 5 by default

All that live must end with exit code 0 and leave what one process alone leaves. In every second round one is killed at
a random moment, with whatever locks it holds.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.disks import differing  # noqa: E402
from benchmarks.faults.tiny import Runs, prepared  # noqa: E402


def together(runs: Runs, processes: int, rounds: int, rng: random.Random) -> Counter[str]:
    """Run a command so often in so many processes at once; counts by what happened."""
    counts: Counter[str] = Counter()
    whole, seconds = runs.untouched()
    for number in range(rounds):
        shutil.rmtree(runs.written)
        started = [runs.start() for _ in range(processes)]
        if number % 2:
            time.sleep(rng.uniform(0.3, 1.0) * seconds)
            started[0].kill()
        for process in started:
            said = process.communicate(timeout=900)[1].decode("utf-8", "replace")
            counts[f"exit code {process.returncode}"] += 1
            if process.returncode not in (0, -9) or "Traceback" in said:
                counts["wrong"] += 1
                print(said[-2000:])
        if lost := differing(whole, runs):
            counts["rounds that differ"] += 1
            print("differs:", *lost)
    return counts


def main(arguments: list[str]) -> int:
    processes, rounds, *scripts = [*arguments, *["4", "5"][len(arguments) :]]
    bad = 0
    with prepared() as (_, commands):
        for script, runs in commands.items():
            if not scripts or script in scripts:
                counts = together(runs, int(processes), int(rounds), random.Random(0))
                bad += counts["wrong"] + counts["rounds that differ"]
                print(f"{script}: {', '.join(f'{n} {name}' for name, n in counts.items())}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
