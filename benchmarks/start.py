"""How soon a command answers: help, mistakes in a command, and the first optimizer step.

    python benchmarks/start.py [--rounds N]

Each is a fresh process, in turns; seconds of the fastest and of the median round. The first optimizer step is that of
train.py on 25 released HotpotQA trajectories, until its row stands in the metrics file; a run before the rounds warms
the caches.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import table  # noqa: E402

ANSWERS = {
    "train.py --help": 0, "evaluate.py --help": 0, "generate.py --help": 0,
    "train.py adaptor=lora": 1, "train.py backbone=llama3": 1, "train.py seed=0,1": 1,
    "evaluate.py task=hotpot": 1, "evaluate.py method=react_cot": 1,
}
STEPS = ["adapter=qlora", "adapter=qlora adapter.dequantize_once=true", "adapter=lora"]


def answer(command: str, code: int) -> float:
    """Seconds until a command has ended with the code that it should."""
    with tempfile.TemporaryDirectory() as folder:
        place = [] if code == 0 else [f"runs_dir={folder}"]
        started = time.perf_counter()
        done = subprocess.run([sys.executable, *command.split(), *place], cwd=ROOT, capture_output=True, text=True)
        took = time.perf_counter() - started
    if done.returncode != code:
        sys.exit(f"{command} ended with code {done.returncode}, not {code}: {done.stderr}")
    return took


def first_step(overrides: str) -> float:
    """Seconds from the start of train.py to the end of its first optimizer step."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train.py", "data=hotpotqa", "size=n25", "optim.max_steps=1", f"run_dir={folder}/run"]
        started = time.perf_counter()
        run = subprocess.Popen([sys.executable, *command, *overrides.split()], cwd=ROOT, stdout=2)
        metrics = Path(folder) / "run" / "logs" / "metrics.csv"
        while run.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") > 1):
            time.sleep(0.01)
        took = time.perf_counter() - started
        if run.wait():
            sys.exit(f"train.py {overrides} ended with code {run.returncode}; its reason is above")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for overrides in STEPS:
        first_step(overrides)
    seconds: dict[str, list[float]] = {name: [] for name in [*ANSWERS, *STEPS]}
    for _ in range(rounds):
        for command, code in ANSWERS.items():
            seconds[command].append(answer(command, code))
        for overrides in STEPS:
            seconds[overrides].append(first_step(overrides))
    shown = {name: f"first optimizer step, `{name}`" if name in STEPS else f"`{name}`" for name in seconds}
    print(table(["", "fastest, s", "median, s"], [
        [shown[name], f"{min(taken):.2f}", f"{statistics.median(taken):.2f}"] for name, taken in seconds.items()
    ]))


if __name__ == "__main__":
    main()
