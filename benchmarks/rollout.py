"""Acting against the paper's way: questions per second, with the same greedy text question by question.

    python benchmarks/rollout.py [--questions N] [--adapter DIR] [override of evaluate.py …]

The baseline acts out one question at a time, with transformers' ``generate`` and its stop strings, and encodes the
whole prompt again at every round. Both do so on 100 miniwiki and 50 HotpotQA questions with BM25 (at most N of each),
with the few-shot prompt and, where --adapter names the folder of a tuned adapter, tuned without one. They work in turns
of ten seconds, each in a process of its own. Ends with code 1 where any text differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import Facts, alternate, table  # noqa: E402

TASKS = {"miniwiki": 100, "hotpotqa": 50}
HEADER = [
    "task, method", "questions", "the paper's way, questions/s", "ours, questions/s", "ratio",
    "peak memory, GiB: theirs", "ours", "keys and values of the bound, GiB", "same text",
]


def main() -> None:
    arguments, overrides = _arguments()
    methods = {"react": ["method=react"]}
    if arguments.adapter:
        methods["fireact"] = ["method=fireact", f"tuned={arguments.adapter}"]
    rows, differing = [], 0
    for method, chosen in methods.items():
        for task, most in TASKS.items():
            count = min(most, arguments.questions)
            row, differ = compare(f"{task}, {method}", [f"task={task}", f"task.limit={count}", *chosen, *overrides])
            rows.append(row)
            differing += differ
    print(table(HEADER, rows))
    sys.exit(bool(differing))


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=max(TASKS.values()), help="at most so many of each task")
    parser.add_argument("--adapter", help="the adapter folder of a finished train.py")
    return parser.parse_known_args()


def compare(name: str, overrides: list[str]) -> tuple[list[str], int]:
    """One row of the table, and how many questions were answered in other words."""
    script = f"{ROOT}/benchmarks/actors.py"
    turns, ends = alternate({who: [sys.executable, script, who, *overrides] for who in ("theirs", "ours")}, seconds=10)
    theirs, ours = turns["theirs"], turns["ours"]
    differing = [id for id, words in theirs["texts"].items() if ours["texts"][id] != words]
    for id in differing:
        print(f"{name}: {id} differs: {theirs['texts'][id]} | {ours['texts'][id]}", file=sys.stderr)
    return _row(name, theirs, ours, ends, len(differing)), len(differing)


def _row(name: str, theirs: Facts, ours: Facts, ends: dict[str, Facts], differing: int) -> list[str]:
    count, gib = len(theirs["texts"]), 2**30
    return [
        name, str(count), f"{count / theirs['seconds']:.3f}", f"{count / ours['seconds']:.3f}",
        f"{theirs['seconds'] / ours['seconds']:.1f}", f"{ends['theirs']['peak'] / gib:.2f}",
        f"{ends['ours']['peak'] / gib:.2f}", f"{ours['cache'] / gib:.2f} of {ours['bound'] / gib:.2f}",
        f"{count - differing} of {count}",
    ]


if __name__ == "__main__":
    main()
