"""Runs whose disk fails at each place where they write, and what the same command comes to afterwards.

    python benchmarks/faults/disks.py [PLACES] [SCRIPT …] [--fault NAME]     12 places of each fault by default

A run's writing calls below its folders are counted; then it is run again and again, each time with another of them
failing. It must end with a sentence, or as if nothing had failed where nothing was lost; started once more on a sound
disk it must leave what a run leaves whose disk never failed. Needs a C compiler.
"""

from __future__ import annotations

import argparse
import errno
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.faults.tiny import Runs, prepared  # noqa: E402


@dataclass(frozen=True)
class Fault:
    """How a disk fails: which calls, with which errno, once or from then on, and whether they are done all the same."""

    name: str
    number: int
    calls: str = "open write sync truncate mkdir rename link unlink"
    stays: bool = False
    done: bool = False

    def environment(self, at: int) -> dict[str, str]:
        """What the preloaded library is told, for the call of that number."""
        flags = {"FAULT_STAYS": self.stays, "FAULT_DONE": self.done}
        said = {"FAULT_CALLS": self.calls, "FAULT_ERRNO": str(self.number), "FAULT_AT": str(at)}
        return said | {name: "1" for name, flag in flags.items() if flag}


FAULTS = [
    Fault("full", errno.ENOSPC, "open write truncate mkdir", stays=True),
    Fault("fails once", errno.EIO),
    Fault("fails from then on", errno.EIO, "write sync truncate", stays=True),
    Fault("read-only from then on", errno.EROFS, stays=True),
    Fault("a rename is refused", errno.ESTALE, "rename"),
    Fault("a rename is done, its answer lost", errno.ENOENT, "rename", done=True),
    Fault("knows no locks", errno.ENOLCK, "lock", stays=True),
]


class Disk:
    """Starts a command on a disk that fails."""

    def __init__(self, runs: Runs, place: Path) -> None:
        self._runs, self._count, self._library = runs, place / "count", place / "disk.so"
        source = Path(__file__).with_name("disk.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)

    def run(self, fault: Fault, at: int) -> tuple[int, str, int]:
        """The exit code, what was said, and how many calls of the kind there were; 0 lets none fail."""
        self._count.unlink(missing_ok=True)
        places = {"LD_PRELOAD": str(self._library), "FAULT_FOLDER": str(self._runs.written)}
        process = self._runs.start(**places, **fault.environment(at), FAULT_COUNT=str(self._count))
        said = process.communicate(timeout=600)[1].decode("utf-8", "replace")
        calls = self._count.read_text().count("\n") if self._count.exists() else 0
        return process.returncode, said, calls


def broken(runs: Runs, disk: Disk, fault: Fault, places: int, whole: dict[str, object]) -> Counter[str]:
    """Let a command's disk fail at so many places; counts by what happened."""
    counts: Counter[str] = Counter()
    shutil.rmtree(runs.written)
    total = disk.run(fault, 0)[2]
    counts["calls"] = total
    for at in sorted({1 + step * total // places for step in range(places)} if total else ()):
        shutil.rmtree(runs.written)
        code, said, _ = disk.run(fault, at)
        wrong = "Traceback" in said or code not in (0, 1) or (code == 1 and not said.strip())
        counts["refused" if code == 1 else "went on"] += 1
        if code == 0 and (lost := differing(whole, runs)):
            counts["went on, and lost something"] += 1
            print(f"  {fault.name} at {at} of {total}: exit code 0 without {lost}\n{said[-600:]}")
        if wrong:
            counts["without a sentence"] += 1
            print(f"  {fault.name} at {at} of {total}: exit code {code}\n{said[-2500:]}")
        process = runs.start()
        said = process.communicate(timeout=600)[1].decode("utf-8", "replace")
        lost = differing(whole, runs)
        if process.returncode or lost:
            counts["not made good by the next run"] += 1
            print(f"  {fault.name} at {at} of {total}, next run: {process.returncode}, {lost}\n{said[-1500:]}")
    return counts


def differing(whole: dict[str, object], runs: Runs) -> list[str]:
    """The files that a run left otherwise than one whose disk never failed."""
    now = runs.content()
    return sorted(name for name in whole.keys() | now.keys() if whole.get(name) != now.get(name))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("places", nargs="?", type=int, default=12)
    parser.add_argument("scripts", nargs="*")
    parser.add_argument("--fault")
    asked = parser.parse_args()
    bad = 0
    with prepared() as (place, commands):
        for script, runs in commands.items():
            if asked.scripts and script not in asked.scripts:
                continue
            whole, _ = runs.untouched()
            disk = Disk(runs, place)
            for fault in FAULTS:
                if not asked.fault or asked.fault == fault.name:
                    counts = broken(runs, disk, fault, asked.places, whole)
                    bad += counts["without a sentence"] + counts["not made good by the next run"]
                    bad += counts["went on, and lost something"]
                    listed = ", ".join(f"{n} {name}" for name, n in counts.items())
                    print(f"{script}, {fault.name}: {listed}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
