"""Mistakes that people make, each run as a command, and the sentence that it gives: docs/mistakes.md.

    python benchmarks/faults/mistakes.py

Checks that each ends with exit code 1 (2 where argparse knows it), in one line, without a trace, and leaves nothing
behind that stops the right command.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "<!-- table: python benchmarks/faults/mistakes.py -->"
TURNS = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Thought: I know.\nAction: finish[a]"}]
ROWS = {
    "empty.jsonl": "",
    "torn.jsonl": '{"messages": [',
    "latin.jsonl": b'{"a": "\xe9"}\n',
    "wide.jsonl": '{"a": 1}'.encode("utf-16"),
    "nan.jsonl": '{"question": NaN}\n',
    "twice.jsonl": '{"a": 1, "a": 2}\n',
    "other.jsonl": '{"prompt": "a", "chosen": "b", "rejected": "c"}\n',
    "tools.jsonl": json.dumps({"messages": [TURNS[0], {"role": "assistant", "tool_calls": [{}]}]}) + "\n",
    "weight.jsonl": json.dumps({"messages": [TURNS[0], {**TURNS[1], "weight": 0}]}) + "\n",
    "torn.jsonl.gz": gzip.compress(b"\n" * 99, mtime=0)[:-9],
    "run.eval": "PK",
    "questions.jsonl": '{"question": "Who?"}\n',
    "questions.csv": "frage,answer\nWho?,a\n",
    "broken.yaml": "a: [1\n",
    "full/mine.txt": "mine\n",
    "notes.txt": "not JSON\n",
    "model/config.json": "{",
    "weightless/config.json": '{"model_type": "llama"}',
    "torn_model/config.json": '{"model_type": "llama"}',
    "torn_model/model.safetensors": b"\xff" * 40,
    "adapter/adapter_config.json": "[]",
    "grid/grid.json": '{"cells": 5}',
}
TUNE, ACT = "train.py data=file", "evaluate.py"
COMMANDS = [
    "train.py seed=-1", "train.py seed=4294967296", "train.py optim.lr=nan", "train.py optim.lr=0",
    "train.py save_every=0", "train.py val_fraction=1.5", "train.py adapter.r=0", "train.py adapter.dropout=2",
    "train.py adapter.targets=[query_key_value]", "train.py backbone.dtype=float7", "train.py size=150",
    "train.py size.n=2.5", "train.py max_length=0", "train.py loss_on=everything", "train.py backbone=llama9_7b",
    "train.py optm.lr=1", "train.py optim.lr", "train.py optim.lr=1,2", "train.py seed=0,1 seed=2 -m",
    "train.py experiment=multi_method experiment=epochs", "train.py experiment=nothing",
    "train.py method=reflexion_io", "train.py trainer=gpu", "train.py logger=nothing", "train.py run_dir=full",
    "train.py early_stop=2 val_fraction=0", "train.py backbone=llama2_7b backbone.path=nowhere",
    "train.py backbone=llama2_7b backbone.path=model", "train.py backbone=llama2_7b backbone.path=weightless",
    "train.py backbone=llama2_7b backbone.path=torn_model", "train.py micro_batch_tokens=0",
    "train.py optim.epochs=-1", "train.py 'optim.lr=${nothing}'", "train.py plan=perhaps",
    f"{TUNE} data.path=nowhere.jsonl", f"{TUNE} data.path=empty.jsonl", f"{TUNE} data.path=torn.jsonl",
    f"{TUNE} data.path=latin.jsonl", f"{TUNE} data.path=wide.jsonl", f"{TUNE} data.path=nan.jsonl",
    f"{TUNE} data.path=twice.jsonl", f"{TUNE} data.path=other.jsonl", f"{TUNE} data.path=tools.jsonl",
    f"{TUNE} data.path=weight.jsonl", f"{TUNE} data.path=full",
    f"{TUNE} data.path=torn.jsonl.gz", f"{TUNE} data.path=*.jsnl", f"{TUNE} data.path=run.eval",
    f"{TUNE} data.path=hf://datasets/owner/name", f"{TUNE}", f"{ACT} task=nothing",
    f"{ACT} task=file task.path=questions.jsonl", f"{ACT} task=file task.path=questions.csv",
    f"{ACT} task=file task.path=nowhere.csv", f"{ACT} task.limit=0", f"{ACT} lm=openai",
    f"{ACT} lm=openai lm.model=gpt-4o", f"{ACT} lm=openai lm.model=m lm.base_url=localhost:8000",
    f"{ACT} lm=openai lm.model=m lm.base_url=http://127.0.0.1:9/v1",
    f"{ACT} lm=openai lm.model=m lm.base_url=http://me:pw@127.0.0.1/v1", f"{ACT} lm.max_new_tokens=-5",
    f"{ACT} lm.temperature=-1", f"{ACT} lm.concurrency=0", f"{ACT} method=fireact tuned=nowhere",
    f"{ACT} method=fireact tuned=adapter", f"{ACT} method=react_cot", f"{ACT} search=serpapi",
    f"{ACT} search=wikipedia", f"{ACT} search.corpus=nowhere.jsonl", f"{ACT} search.k=-1",
    f"{ACT} journal.replay=sometimes", f"{ACT} journal.path=notes.txt", f"{ACT} journal.replay=only",
    f"{ACT} method.prompt=nowhere.txt", "generate.py task=hotpotqa lm=oracle", "generate.py export=[excel]",
    "generate.py select.min_f1=2", "generate.py task.split=nothing", f"{ACT} --config-dir nowhere",
    f"{ACT} hydra/launcher=slurm", "-m fireact.trajectories.show nowhere.jsonl",
    "-m fireact.trajectories.show notes.txt", "-m fireact.trajectories.show empty.jsonl",
    "-m fireact.trajectories.export nowhere.jsonl to=openai out=new.jsonl",
    "-m fireact.trajectories.export empty.jsonl to=openai out=new.jsonl",
    "-m fireact.trajectories.export empty.jsonl to=openai out=torn.jsonl",
    "-m fireact.trajectories.export empty.jsonl to=csv out=new.jsonl",
    "-m fireact.trajectories.export empty.jsonl to=openai out=new.csv",
    "-m fireact.reporting.report nowhere", "-m fireact.reporting.report grid",
    "-m fireact.reporting.compare a=nowhere b=full", "-m fireact.models.check backbone=nothing",
    "-m fireact.models.check backbone=model",
]  # fmt: skip


def run(command: str, place: Path) -> tuple[int, str, str]:
    """Exit code, what was said on standard error, and what else was said."""
    script, *arguments = shlex.split(command)
    start = [sys.executable, script] if script == "-m" else [sys.executable, str(ROOT / script)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    cache = [] if script == "-m" else [f"cache_dir={ROOT}/.cache"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run([*start, *arguments, *cache], cwd=place, env=environment, text=True, timeout=120, **pipes)
    return done.returncode, done.stderr, done.stdout


def main() -> int:
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, content in ROWS.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        for command in COMMANDS:
            code, said, out = run(command, place)
            print(f"{code} {command}", flush=True)
            lines = [line for line in said.replace(folder, "…").splitlines() if line.strip()]
            if code not in (1, 2) or "Traceback" in said + out or len(lines) != 1 and code == 1:
                faults.append(f"{command}: exit code {code}: {said[-1500:]}")
            sentence = re.sub(r"([|<*_`])", r"\\\1", lines[-1] if lines else "")
            sentence = sentence.replace(str(ROOT) + "/", "").replace(str(ROOT), ".")
            rows.append(f"| `{command.replace('|', '¦')}` | {sentence} |")
    file = ROOT / "docs" / "mistakes.md"
    head, _, _ = file.read_text(encoding="utf-8").partition(BEGIN)
    table = ["| command | what it says |", "| --- | --- |", *rows]
    file.write_text("\n".join([head + BEGIN, "", *table, ""]), encoding="utf-8")
    print(f"{len(rows)} mistakes, {len(faults)} without one sentence and exit code 1", *faults, sep="\n\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
