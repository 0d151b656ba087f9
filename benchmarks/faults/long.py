"""Whether a long run stays as small as it begins: memory, open files and time per item, over its tenths.

    python benchmarks/faults/long.py [episodes N] [steps N]     100,000 and 10,000 by default

Episodes: ``evaluate.py`` with a model's server on loopback that searches once and then answers, journaled as always.
Steps: ``train.py`` with a model of two narrow layers, a checkpoint every 1,000 steps and a validation each epoch.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.faults.tiny import prepared  # noqa: E402

TENTHS = 10
ITEMS = {"episodes": 100_000, "steps": 10_000}
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


class Sample(NamedTuple):
    """A process at one moment: items done, seconds since the first, resident memory in MiB, open files."""

    done: int
    seconds: float
    memory: float
    files: int


def episodes(place: Path, count: int) -> tuple[list[str], Callable[[], int]]:
    """The command that acts on ``count`` questions, and what tells how many are done."""
    questions, corpus = place / "questions.jsonl", place / "corpus.jsonl"
    with questions.open("w") as file:
        file.writelines(json.dumps({"question": f"Where is town {n}?", "answer": f"{n}"}) + "\n" for n in range(count))
    corpus.write_text("".join(json.dumps({"title": f"Town {n}", "text": f"It is at {n}."}) + "\n" for n in range(100)))
    here, there = multiprocessing.Pipe()
    multiprocessing.Process(target=_serve, args=(there,), daemon=True).start()
    model = ["lm=openai", "lm.model=m", f"lm.base_url=http://127.0.0.1:{here.recv()}/v1", "lm.stream=false",
             "lm.concurrency=64"]
    task = ["task=file", f"task.path={questions}", f"task.corpus={corpus}", "method=fireact"]
    return ["evaluate.py", *task, *model, f"run_dir={place}/run"], _Lines(place / "run/predictions.jsonl").count


def steps(place: Path, count: int) -> tuple[list[str], Callable[[], int]]:
    """The command that tunes for ``count`` steps, and what tells how many are done."""
    metrics = place / "run/logs/metrics.csv"
    tuning = ["backbone=tiny_random", f"backbone.path={place}/model", "data=file", f"data.path={place}/rows.jsonl"]
    command = ["train.py", *tuning, f"optim.max_steps={count}", "val_fraction=0.2", "save_every=1000",
               "optim.batch_size=2", f"run_dir={place}/run"]
    return command, _Lines(metrics).count


class _Lines:
    """Counts the lines of a growing file, reading each byte once."""

    def __init__(self, path: Path) -> None:
        self._path, self._place, self._lines = path, 0, 0

    def count(self) -> int:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._place)
                self._lines += file.read().count(b"\n")
                self._place = file.tell()
        return self._lines


def watched(command: Sequence[str], done: Callable[[], int], count: int, place: Path) -> list[Sample]:
    """Run a command; a sample at its first item and at each tenth."""
    environment = {**os.environ, "OPENAI_API_KEY": "sk-loopback", "OMP_NUM_THREADS": "1", "HOME": str(place)}
    full = [sys.executable, str(ROOT / command[0]), *command[1:], f"cache_dir={place}/cache", f"runs_dir={place}/runs"]
    with open(place / "said.txt", "wb") as said:
        process = subprocess.Popen(full, cwd=place, env=environment, stdout=said, stderr=said)
        samples, started = [], 0.0
        while process.poll() is None:
            now = done()
            if now and now >= len(samples) * count // TENTHS:
                started = started or time.monotonic()
                memory = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                files = len(os.listdir(f"/proc/{process.pid}/fd"))
                samples.append(Sample(now, time.monotonic() - started, memory / 2**20, files))
            time.sleep(0.02)
    assert process.returncode == 0, (place / "said.txt").read_text()[-3000:]
    return samples


def report(what: str, samples: Sequence[Sample]) -> None:
    """Print the samples as a table."""
    print(f"| {what} | items/s since the last | memory, MiB | open files |\n|---|---|---|---|")
    for before, sample in zip([samples[0], *samples], samples, strict=False):
        speed = (sample.done - before.done) / ((sample.seconds - before.seconds) or 1)
        print(f"| {sample.done:,} | {speed:,.0f} | {sample.memory:.0f} | {sample.files} |")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            asked = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            said = "Action: finish[7]" if b"Observation: " in asked else "Thought: where?\nAction: search[Town 7]"
            reply = json.dumps({"choices": [{"message": {"content": said}}], "usage": USAGE}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                         % (len(reply), reply))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _serve(port: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def main(arguments: Sequence[str]) -> int:
    asked = dict(zip(arguments[::2], map(int, arguments[1::2]), strict=True)) or ITEMS
    for what, count in asked.items():
        with prepared() as (tiny, _), tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if what == "steps":
                (tiny / "model").rename(place / "model")
                (tiny / "rows.jsonl").rename(place / "rows.jsonl")
            command, done = (episodes if what == "episodes" else steps)(place, count)
            report(what, watched(command, done, count, place))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
