"""Acting against the paper's way: questions per second, with the same greedy text question by question.

    python benchmarks/rollout.py [--questions N] [--theirs N] [--adapter DIR] [override of evaluate.py …]

The baseline acts out one question at a time, with transformers' ``generate`` and its stop strings, and encodes the
whole prompt again at every round. Ours acts on 100 miniwiki and 50 HotpotQA questions with BM25 (at most --questions of
each); the baseline, whose time a turn does not depend on their number, on the first --theirs of them, so that beside
the ratio of questions/s stands that of the model's turns/s: a few episodes may be longer or shorter than most. Both act
with the few-shot prompt and, where --adapter names the folder of a tuned adapter, tuned without one. They take turns of
ten seconds, each in a process of its own. Ends with code 1 where any text differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import Facts, alternate, table  # noqa: E402

TASKS = {"miniwiki": 100, "hotpotqa": 50}
QUESTIONS = {"hotpotqa": ["task.questions=distractor300"]}  # with their own small corpus, from a local mirror
SIDES = ("theirs", "ours")
HEADER = [
    "task, method", "questions: theirs", "ours", "the paper's way, questions/s", "ours, questions/s", "ratio",
    "ratio of turns/s",
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
            counts = min(most, arguments.questions, arguments.theirs), min(most, arguments.questions)
            asked = [f"task={task}", *QUESTIONS.get(task, [])]
            row, differ = compare(f"{task}, {method}", counts, [*asked, *chosen, *overrides])
            rows.append(row)
            print(" | ".join(row), file=sys.stderr)
            differing += differ
    print(table(HEADER, rows))
    sys.exit(bool(differing))


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=max(TASKS.values()), help="at most so many of each task")
    parser.add_argument("--theirs", type=int, default=max(TASKS.values()), help="the baseline acts on at most so many")
    parser.add_argument("--adapter", help="the adapter folder of a finished train.py")
    return parser.parse_known_args()


def compare(name: str, counts: tuple[int, int], overrides: list[str]) -> tuple[list[str], int]:
    """One row of the table, for their and our number of questions, and how many were answered in other words."""
    command = [sys.executable, f"{ROOT}/benchmarks/actors.py"]
    commands = {who: [*command, who, *overrides, f"task.limit={n}"] for who, n in zip(SIDES, counts, strict=True)}
    turns, ends = alternate(commands, seconds=10)
    theirs, ours = turns["theirs"], turns["ours"]
    differing = [id for id, words in theirs["texts"].items() if ours["texts"][id] != words]
    for id in differing:
        print(f"{name}: {id} differs: {theirs['texts'][id]} | {ours['texts'][id]}", file=sys.stderr)
    return _row(name, theirs, ours, ends, len(differing)), len(differing)


def _row(name: str, theirs: Facts, ours: Facts, ends: dict[str, Facts], differing: int) -> list[str]:
    (count, ours_count), gib = (len(side["texts"]) for side in (theirs, ours)), 2**30
    rate, our_rate = count / theirs["seconds"], ours_count / ours["seconds"]
    pace, our_pace = (sum(map(len, side["texts"].values())) / side["seconds"] for side in (theirs, ours))
    return [
        name, str(count), str(ours_count), f"{rate:.3f}", f"{our_rate:.3f}", f"{our_rate / rate:.1f}",
        f"{our_pace / pace:.1f}",
        f"{ends['theirs']['peak'] / gib:.2f}", f"{ends['ours']['peak'] / gib:.2f}",
        f"{ours['cache'] / gib:.2f} of {ours['bound'] / gib:.2f}", f"{count - differing} of {count}",
    ]


if __name__ == "__main__":
    main()
