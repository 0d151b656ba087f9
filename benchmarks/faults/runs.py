"""A real run of ``evaluate.py`` against a server that misbehaves in another way for each question, and what it left."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fireact.journal.store import Journal  # noqa: E402

ANSWER = "right"
_ENDED = ("finish", "step_limit", "parse_failure", "tool_failure", "model_failure")


@dataclass(frozen=True)
class Left:
    """What a command left: its exit code, seconds, peak memory (MiB), trajectories and the journal's ledger (USD)."""

    code: int
    seconds: float
    memory: int
    said: str
    rows: list[dict[str, Any]]
    ledger: float


def write_questions(file: Path, faults: Iterable[str]) -> None:
    """For each fault a question that meets it, and one that meets none."""
    names = [name for fault in faults for name in (f"fault {fault}", f"good {fault}")]
    rows = [{"question": f"<{name}>?", "answer": ANSWER} for name in names]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def evaluate(folder: Path, *overrides: str, rounds: int = 3) -> Left:
    """Run ``evaluate.py`` on the questions of ``folder`` with its run folder, ``run``, there."""
    task = ["task=file", f"task.path={folder}/questions.jsonl", "method=fireact", "lm=openai"]
    places = [f"run_dir={folder}/run", f"cache_dir={folder}/cache", f"runs_dir={folder}/runs", "lm.model=m",
              f"method.max_rounds={rounds}"]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-loopback", "SERPAPI_API_KEY": "serp-loopback"}
    started = time.monotonic()
    command = [sys.executable, str(ROOT / "evaluate.py"), *task, *places, *overrides]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=1800)
    seconds = time.monotonic() - started
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert (folder / "run" / "predictions.jsonl").exists(), said[-3000:]
    text = (folder / "run" / "predictions.jsonl").read_text(encoding="utf-8", errors="strict")
    with closing(Journal(folder / "run" / "journal.sqlite")) as journal:
        ledger = journal.total()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return Left(done.returncode, seconds, memory, said, [json.loads(line) for line in text.split("\n")[:-1]], ledger)


def name_of(row: dict[str, Any]) -> str:
    """``fault NAME`` or ``good NAME``, of a trajectory."""
    return str(row["question"]["text"]).strip("<>?")


def check(left: Left, faults: Sequence[str]) -> Counter[str]:
    """How the questions with faults ended; refuses a run that anything was lost in."""
    assert left.code == 0, left.said[-3000:]
    assert "Traceback" not in left.said, left.said[-3000:]
    ends = {name_of(row): row for row in left.rows}
    assert len(left.rows) == len(ends) == 2 * len(faults)
    lost = [name for name in faults if ends[f"good {name}"]["answer"] != ANSWER]
    assert not lost, f"good questions lost: {lost}"
    bad = [ends[f"fault {name}"] for name in faults]
    for row in bad:
        failed = row["ending"].endswith("failure") and row["ending"] != "parse_failure"
        assert row["ending"] in _ENDED and bool(row["provenance"].get("error")) == failed, row
    return Counter(row["ending"] for row in bad)


def reasons(left: Left) -> None:
    """Print how each question with a fault ended."""
    for row in left.rows:
        if name_of(row).startswith("fault"):
            reason = row["provenance"].get("error", ascii(row["answer"])[:60])
            print(f"  {name_of(row)[6:]:28} {row['ending']:14} {ascii(reason)[:200]}")
