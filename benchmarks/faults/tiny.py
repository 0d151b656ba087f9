"""Each script on tiny data, to be broken over and over, and what its runs come to but for times."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / ".cache" / "backbones" / "smollm2_135m"
TIMES = {"files_sha256", "seconds", "finished_at", "tokens_per_s", "peak_memory_bytes", "cost_usd"}


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
        "evaluate": ["evaluate.py", *backbone, "task.limit=40", "lm.max_new_tokens=32", "method=fireact",
                     "run_dir=RUNS/run"],
        "sweep": ["train.py", *tuning, "optim.epochs=1", "seed=0,1", "-m", *acting],
    }


class Runs:
    """Starts one command over and over in a folder of its own."""

    def __init__(self, command: list[str], place: Path) -> None:
        self.written, self._place = place / "written", place
        self.folder = self.written / "runs"
        command = [argument.replace("RUNS", str(self.folder)) for argument in command]
        places = [f"runs_dir={self.folder}", f"cache_dir={self.written}/cache"]
        self._command = [sys.executable, str(ROOT / command[0]), *command[1:], *places]

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        own = {"HOME": str(self._place), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        environment = {**os.environ, **own, **environment}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(self._command, cwd=self._place, env=environment, preexec_fn=_hears_ctrl_c, **pipes)

    def untouched(self) -> tuple[dict[str, Any], float]:
        """What a run comes to that nothing happens to, and its seconds; the cache stays filled."""
        for _ in range(2):  # the first one also fills the cache
            shutil.rmtree(self.folder, ignore_errors=True)
            started = time.monotonic()
            process = self.start()
            _, said = process.communicate()
            if process.returncode:
                raise SystemExit(said.decode())
            seconds = time.monotonic() - started
        return self.content(), seconds

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


@contextmanager
def prepared() -> Iterator[tuple[Path, dict[str, Runs]]]:
    """A folder with what the commands need, and each command by its script's name."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        tiny_model(place / "model")
        teacher = Runs(["generate.py", "task.split=train", "task.limit=30", "run_dir=RUNS/run"], place)
        teacher.start().communicate()
        shutil.move(teacher.folder / "run" / "trajectories.jsonl", place / "rows.jsonl")
        yield place, {script: Runs(command, place) for script, command in commands(place).items()}
