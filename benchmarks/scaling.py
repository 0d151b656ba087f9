"""Cost against size, over three decades: seconds and memory, and the slope of log seconds against log size.

    python benchmarks/scaling.py [--part NAME …] [--most N] [--rounds N]

fit          seconds of a whole tuning, against target tokens (a Llama of 0.3M weights, rows of 200 tokens)
evaluation   seconds of acting out and scoring, against questions (an instant model and an instant tool)
reading      seconds of summing up a file of trajectories, against their number
report       seconds of the table, figures and page of a grid of two cells, against their trajectories
search       milliseconds of a BM25 search, against paragraphs, with the index mapped from disk
archive      seconds of reading a Wikipedia archive into a corpus, against its shards of 337 records

Every size is measured in a process of its own, sizes in turns; of the rounds the fastest counts. A slope of 1 is
linear, one below 1 a fixed cost that still shows at the smallest size; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import asyncio
import bz2
import io
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import table  # noqa: E402

Facts = dict[str, Any]
SIZES = {
    "fit": (1_000, 10_000, 100_000, 1_000_000),
    "evaluation": (100, 1_000, 10_000, 100_000),
    "reading": (100, 1_000, 10_000, 100_000),
    "report": (100, 1_000, 10_000, 100_000),
    "search": (1_000, 10_000, 100_000, 1_000_000, 5_000_000),
    "archive": (10, 30, 100),
}
UNITS = {
    "fit": "target tokens", "evaluation": "questions", "reading": "trajectories", "report": "trajectories",
    "search": "paragraphs", "archive": "shards",
}
ROW_TOKENS, QUERIES = 200, 200


def fit(size: int, folder: Path) -> Facts:
    import functools

    import lightning
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from fireact.models.backbone import Adapter, Backbone
    from fireact.models.embedded import prepare_embedded
    from fireact.training.datamodule import TrajectoryModule
    from fireact.training.fit import fit as tune
    from fireact.training.optim import Optim
    from fireact.training.rows import Row

    embedded = prepare_embedded(Path(".cache/backbones/smollm2_135m"))
    tokenizer = AutoTokenizer.from_pretrained(embedded)
    config = LlamaConfig(vocab_size=2048, hidden_size=64, intermediate_size=192, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2)
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    half = torch.arange(ROW_TOKENS) % 2 == 0
    half[0] = False
    rows = [Row(str(i), torch.randint(2048, (ROW_TOKENS,), dtype=torch.int32), half)
            for i in range(max(1, size // int(half.sum())))]
    backbone, adapter = Backbone("small", "small", path=str(folder / "model")), Adapter("lora", "lora")
    data = TrajectoryModule(rows, tokenizer, batch_size=16, micro_batch_tokens=1024, packing=True)
    trainer = functools.partial(lightning.Trainer, accelerator="cpu", devices=1)
    return _timed(lambda: tune(backbone, adapter, data, Optim(lr=1e-3), trainer, folder / "run"))


def evaluation(size: int, folder: Path) -> Facts:
    return _timed(lambda: _act_out(size, folder / "predictions.jsonl"))


def reading(size: int, folder: Path) -> Facts:
    from fireact.reporting.statistics import summarize
    from fireact.trajectories.files import read

    _act_out_elsewhere(size, folder / "predictions.jsonl")
    return _timed(lambda: summarize(read(folder / "predictions.jsonl", Counter())))


def report(size: int, folder: Path) -> Facts:
    from fireact.reporting.grid import METRICS, PREDICTIONS, Cell, Grid
    from fireact.reporting.report import write_report

    axes = {"backbone": "small", "adapter": "none", "acting": "react", "task": "loop", "search": "bm25"}
    cells = tuple(Cell({**axes, "seed": str(seed)}, folder / str(seed)) for seed in range(2))
    for cell in cells:
        metrics = _act_out_elsewhere(size // 2, cell.run / PREDICTIONS)
        (cell.run / METRICS).write_text(json.dumps({"task": "loop", "corpus": "none", "retriever": "none", **metrics}))
    return _timed(lambda: write_report(Grid("scaling", "python benchmarks/scaling.py", cells), folder))


def search(size: int, folder: Path) -> Facts:
    from fireact.tools.bm25 import BM25
    from fireact.tools.postings import Postings

    corpus, chance = folder / "corpus.jsonl", np.random.default_rng(0)
    with corpus.open("w") as file:
        for number in range(size):
            word, *words = _words(chance, 61)
            file.write(f'{{"title": "page {number} {word}", "text": "{" ".join(words)}"}}\n')
    started = time.perf_counter()
    command = [sys.executable, __file__, "--build", str(corpus), str(folder / "index")]
    held = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    built, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = sum(file.stat().st_size for file in (folder / "index").rglob("*") if file.is_file())
    place, *_ = (path for path in (folder / "index").iterdir() if path.is_dir())
    started = time.perf_counter()
    Postings(place)
    opened = time.perf_counter() - started
    tool, taken = BM25(corpus, cache_dir=folder / "index"), []
    for _ in range(QUERIES):
        query = " ".join(_words(chance, 4))
        started = time.perf_counter()
        asyncio.run(tool.search(query))
        taken.append(1000 * (time.perf_counter() - started))
    p50, p99 = np.percentile(taken, [50, 99])
    note = (f"{_anonymous_bytes() / 2**20:.0f} MiB without mapped files; index of {kept / 2**20:.0f} MiB made in "
            f"{built:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of one core) and {held / 2**20:.0f} MiB, opened in "
            f"{1000 * opened:.0f} ms")
    return {"seconds": p50 / 1000, "took": f"p50 {p50:.1f} ms, p99 {p99:.1f} ms", "note": note}


def archive(size: int, folder: Path) -> Facts:
    from fireact.tools.shards import Archive, write_corpus

    chance, path = np.random.default_rng(0), folder / "abstracts.tar.bz2"
    with tarfile.open(path, "w:bz2") as tar:
        for number in range(size):
            content = bz2.compress("\n".join(json.dumps(_record(chance)) for _ in range(337)).encode())
            (info := tarfile.TarInfo(f"enwiki/{number // 100:02}/wiki_{number % 100:02}.bz2")).size = len(content)
            tar.addfile(info, io.BytesIO(content))
    facts = _timed(lambda: write_corpus(Archive(path), folder / "corpus.jsonl"))
    return {**facts, "note": f"{path.stat().st_size / size / 1000:.0f} kB a shard"}


def _record(chance: np.random.Generator) -> Facts:
    """An article of three sentences, with what else the published archive says of it."""
    text = [" ".join(_words(chance, 20)) for _ in range(3)]
    places = [[[at, at + 4] for at in range(0, len(sentence), 5)] for sentence in text]
    links = [f'<a href="{sentence[:9]}">{sentence}</a>' for sentence in text]
    return {"id": "1", "url": "https://en.wikipedia.org/wiki?curid=1", "title": text[0][:20], "text": text,
            "charoffset": places, "text_with_links": links, "charoffset_with_links": places}


def build_index(corpus: Path, folder: Path) -> int:
    """Make an index; the most memory that this took which is no mapped file, in bytes."""
    from fireact.tools.bm25 import BM25

    held, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            held.append(max(held.pop(), _anonymous_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    BM25(corpus, cache_dir=folder)
    over.set()
    watcher.join()
    return held[0]


def _words(chance: np.random.Generator, count: int) -> list[str]:
    """Words of a vocabulary that grows like a language's: few are frequent, most are rare."""
    return [f"w{rank}" for rank in (chance.pareto(0.7, count) + 1).astype(np.int64) % 10**7]


def _anonymous_bytes() -> int:
    """Memory that is not a mapped file, where the system tells; else the peak."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def _act_out(size: int, path: Path) -> Facts:
    from benchmarks.loop import InstantModel, InstantSearch
    from fireact.agent.react import ReAct
    from fireact.agent.rollout import Rollout, act_out
    from fireact.reporting.statistics import summarize
    from fireact.trajectories.files import read
    from fireact.trajectories.records import Question, Score

    questions = [Question(f"q{i}", f"Who wrote book {i} of this library?", "Y", "loop", "dev") for i in range(size)]
    rollout = Rollout(ReAct("fireact", None), InstantModel(), InstantSearch(), lambda *_: Score(1.0, 1.0, True), {})
    act_out(rollout, questions, path, lambda _: None)
    return summarize(read(path, Counter()))


def _act_out_elsewhere(size: int, path: Path) -> Facts:
    """In a process of its own, so that its memory is not this one's."""
    path.parent.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--act-out", str(size), str(path)]
    metrics: Facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return metrics


def _timed(work: Callable[[], Any]) -> Facts:
    started = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - started}


def measure(part: str, size: int) -> Facts:
    """One size of one part, in a process of its own."""
    command = [sys.executable, __file__, "--one", part, str(size)]
    print(f"{part} {size:,}", file=sys.stderr)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    print(facts, file=sys.stderr)
    return facts


def lines(part: str, sizes: list[int], best: list[Facts]) -> list[list[str]]:
    """The table's rows of one part, the slope in the last of them."""
    rows = [
        [part, f"{size:,} {UNITS[part]}", facts.get("took", f"{facts['seconds']:.2f} s"),
         f"{facts['peak'] / 2**20:.0f} MiB", facts.get("note", ""), ""]
        for size, facts in zip(sizes, best, strict=True)
    ]
    if len(sizes) > 1:
        slope = np.polyfit(np.log(sizes), np.log([facts["seconds"] for facts in best]), 1)[0]
        rows[-1][-1] = f"{slope:.2f}"
    return rows


def main() -> None:
    arguments = _arguments()
    rows = []
    for part in arguments.part:
        sizes = [size for size in SIZES[part] if size <= arguments.most]
        rounds = [[measure(part, size) for size in sizes] for _ in range(arguments.rounds)]
        best = [min(facts, key=lambda one: one["seconds"]) for facts in zip(*rounds, strict=True)]
        rows += lines(part, sizes, best)
    print(table(["", "size", "took", "peak memory", "", "slope"], rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=SIZES, default=list(SIZES), metavar="NAME")
    parser.add_argument("--most", type=int, default=10**6, help="leave out larger sizes")
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def one(part: str, size: int) -> None:
    """Measure here, and print the facts as the last line."""
    with tempfile.TemporaryDirectory() as folder:
        facts = {"fit": fit, "evaluation": evaluation, "reading": reading, "report": report, "search": search,
                 "archive": archive}[part](size, Path(folder))
    print(json.dumps({**facts, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--one", part, size]:
            one(part, int(size))
        case ["--act-out", size, path]:
            print(json.dumps(_act_out(int(size), Path(path))))
        case ["--build", corpus, folder]:
            print(build_index(Path(corpus), Path(folder)))
        case _:
            main()
