"""Runs that are stopped at random moments, again and again, and what they come to in the end.

    python benchmarks/faults/stops.py [KILL|TERM|INT] [STOPS] [SCRIPT …]     TERM, 50 of each script by default

A run is started, stopped, started again …; where it comes to its end, its files are compared with those of one that
nobody stopped, and the next one begins. Says how many stops hit a run at work, with which exit codes it answered, how
many ends differed and how many half-written files were left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / ".cache" / "backbones" / "smollm2_135m"
TIMES = {"seconds", "finished_at", "tokens_per_s", "peak_memory_bytes", "cost_usd"}
RIGHT = {"KILL": -9, "TERM": 143, "INT": 130}


def tiny_model(folder: Path) -> None:
    """A Llama of two narrow layers with the embedded model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), eos_token_id=2, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def commands(place: Path) -> dict[str, list[str]]:
    """Each script on tiny data; ``RUNS`` stands for where its runs go."""
    backbone = ["backbone=tiny_random", f"backbone.path={place}/model"]
    tuning = [*backbone, "data=file", f"data.path={place}/rows.jsonl", "optim.batch_size=2", "save_every=3"]
    acting = ["act.task=[miniwiki]", "act.prompted=[]", "act.limit=3", "act.overrides=['lm.max_new_tokens=8']"]
    return {
        "generate": ["generate.py", "task.split=train", "task.limit=400", "run_dir=RUNS/run"],
        "train": ["train.py", *tuning, "optim.epochs=3", "val_fraction=0.2", "run_dir=RUNS/run"],
        "evaluate": ["evaluate.py", *backbone, "task.limit=40", "method=fireact", "run_dir=RUNS/run"],
        "sweep": ["train.py", *tuning, "optim.epochs=1", "seed=0,1", "-m", *acting],
    }


class Runs:
    """Starts one command over and over in a folder of its own."""

    def __init__(self, command: list[str], place: Path) -> None:
        self.folder, self._place = place / "runs", place
        command = [argument.replace("RUNS", str(self.folder)) for argument in command]
        places = [f"runs_dir={self.folder}", f"cache_dir={place}/cache"]
        self._command = [sys.executable, str(ROOT / command[0]), *command[1:], *places]

    def start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "HOME": str(self._place), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(self._command, cwd=self._place, env=environment, preexec_fn=_hears_ctrl_c, **pipes)

    def content(self) -> dict[str, Any]:
        """What lies there, without times: files by name, those of ours as what they say."""
        found: dict[str, Any] = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if path.name in ("adapter_model.safetensors", "trajectories.jsonl", "predictions.jsonl", "metrics.json"):
                text = path.read_bytes()
                found[name] = text if path.suffix == ".safetensors" else [
                    _timeless(json.loads(line)) for line in ([text] if path.suffix == ".json" else text.splitlines())
                ]
            elif path.suffix in (".tmp", ".partial"):
                found[name] = "left over"
        return found


def _hears_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background processes ignore it


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(below) for key, below in value.items() if key not in TIMES and "seconds" not in key}
    return [_timeless(below) for below in value] if isinstance(value, list) else value


def stopped(runs: Runs, number: str, stops: int, rng: random.Random) -> Counter[str]:
    """Stop a command so many times at work; counts by what happened."""
    counts: Counter[str] = Counter()
    for _ in range(2):  # the first one also fills the cache
        shutil.rmtree(runs.folder, ignore_errors=True)
        started = time.monotonic()
        process = runs.start()
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(said.decode())
        whole, seconds = runs.content(), time.monotonic() - started
    shutil.rmtree(runs.folder)
    while counts["stops"] < stops:
        process = runs.start()
        try:
            _, said = process.communicate(timeout=rng.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, f"SIG{number}"))
            _, said = process.communicate()
            counts["stops"] += 1
            right = process.returncode in (RIGHT[number], 0, -signal.SIGTERM if number == "TERM" else 0)
            counts[f"exit code {process.returncode}"] += 1
            counts["wrong exit codes"] += not right
        counts["traces"] += b"Traceback" in said
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
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tiny_model(place / "model")
        teacher = Runs(["generate.py", "task.split=train", "task.limit=30", "run_dir=RUNS/run"], place)
        teacher.start().communicate()
        shutil.move(teacher.folder / "run" / "trajectories.jsonl", place / "rows.jsonl")
        broken = 0
        for script, command in commands(place).items():
            if not scripts or script in scripts:
                counts = stopped(Runs(command, place), number, int(stops), random.Random(0))
                broken += counts["wrong exit codes"] + counts["ends that differ"] + counts["traces"]
                said = ", ".join(f"{count} {name}" for name, count in counts.items())
                print(f"{script}, SIG{number}: {said}", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
