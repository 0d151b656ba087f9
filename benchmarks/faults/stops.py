"""Runs that are stopped at random moments, again and again, and what they come to in the end.

    python benchmarks/faults/stops.py [KILL|TERM|INT] [STOPS] [SCRIPT …]     TERM, 50 of each script by default

A run is started, stopped, started again …; where it comes to its end, its files are compared with those of one that
nobody stopped, and the next one begins. Says how many stops hit a run at work, with which exit codes it answered, how
many ends differed and how many half-written files were left.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.tiny import Runs, prepared  # noqa: E402

RIGHT = {"KILL": -9, "TERM": 143, "INT": 130}


def stopped(runs: Runs, number: str, stops: int, rng: random.Random) -> Counter[str]:
    """Stop a command so many times at work; counts by what happened."""
    counts: Counter[str] = Counter()
    whole, seconds = runs.untouched()
    shutil.rmtree(runs.folder)
    while counts["stops"] < stops:
        process = runs.start()
        try:
            _, said = process.communicate(timeout=rng.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, f"SIG{number}"))
            _, said = process.communicate()
            counts["stops"] += 1
            right = process.returncode in (RIGHT[number], 0, -getattr(signal, f"SIG{number}"))
            counts[f"exit code {process.returncode}"] += 1
            counts["wrong exit codes"] += not right
        if b"Traceback" in said:
            counts["traces"] += 1
            print(said.decode()[-2000:], flush=True)
        if process.returncode == 0:
            counts["ends"] += 1
            now = runs.content()
            differing = [name for name in whole.keys() | now.keys() if whole.get(name) != now.get(name)]
            counts["ends that differ"] += bool(differing)
            if differing:
                print("differs:", *sorted(differing))
            shutil.rmtree(runs.folder)
        elif process.returncode == 1:
            print(said.decode()[-800:])
    return counts


def main(arguments: list[str]) -> int:
    number, stops, *scripts = [*arguments, *["TERM", "50"][len(arguments) :]]
    broken = 0
    with prepared() as (_, commands):
        for script, runs in commands.items():
            if not scripts or script in scripts:
                counts = stopped(runs, number, int(stops), random.Random(0))
                broken += counts["wrong exit codes"] + counts["ends that differ"] + counts["traces"]
                said = ", ".join(f"{count} {name}" for name, count in counts.items())
                print(f"{script}, SIG{number}: {said}", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
