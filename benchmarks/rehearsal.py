"""All twelve experiments at the paper's settings, on a Llama of random weights: does every command end in its table?

    FIREACT_DATA=FOLDER python benchmarks/rehearsal.py [--only multi_method …] [--questions 500] [--keep FOLDER]

Commands and settings are those of docs/paper.md, read off that page. Real are the released trajectories, questions,
prompts, schedules and scripts. In place of the weights stands a two-layer Llama with a tokenizer made of the released
text; a tuning ends after two updates, a turn after a few tokens, and searches are answered from the run that the
paper's authors released. What then lies on the disk is held against the page. W&B gets everything, offline.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fireact.reporting.grid import Cell, Grid, read_grid  # noqa: E402

PAGE = ROOT / "docs" / "paper.md"
# Two updates in place of as many as the epochs make, three in place of a fixed number: cells stay as many as they are.
SHORT_STEPS = {"null": "2", "300": "3"}
TURN_TOKENS = 8


@dataclass(frozen=True)
class Promise:
    """What docs/paper.md says that an experiment's command gives: of each tuning, and how many evaluations."""

    experiment: str
    command: Sequence[str]
    trajectories: list[int]
    epochs: list[int]
    updates: list[int]
    evaluations: int

    def __str__(self) -> str:
        return self.experiment


@dataclass
class Outcome:
    """What the command really left; ``faults`` are sentences."""

    promise: Promise
    seconds: float
    faults: list[str] = field(default_factory=list)

    def expect(self, what: str, found: Any, promised: Any) -> None:
        """Note a difference."""
        if found != promised:
            self.faults.append(f"{what}: {found!r} on the disk, {promised!r} in docs/paper.md")


def main() -> int:
    arguments = _arguments()
    promises = [p for p in promises_of(PAGE.read_text()) if not arguments.only or p.experiment in arguments.only]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.keep or scratch).resolve()
        model = tiny_llama(folder / "weights = tiny, é", folder / "cache")
        faults = 0
        for promise in promises:
            outcome = rehearse(promise, model, folder, arguments.questions, arguments.logger)
            said = "; ".join(outcome.faults) or f"{promise.evaluations} evaluations as promised"
            print(f"{promise.experiment:18} {outcome.seconds:6.0f} s  {said}", flush=True)
            faults += len(outcome.faults)
    return int(faults > 0)


def promises_of(page: str) -> Iterator[Promise]:
    """The rows of the table of experiments, each with the command of that experiment."""
    block = re.search(r"## The twelve commands\n\n```\n(.*?)```", page, re.DOTALL)
    assert block, f"{PAGE} has no block of twelve commands"
    commands = [shlex.split(line)[1:] for line in block[1].splitlines()]
    by_name = {command[1].removeprefix("experiment="): command for command in commands}
    for cells in _rows(page, first="experiment"):
        name, (trajectories, epochs, updates, evaluations) = cells[0].strip("`"), map(_numbers, cells[2:6])
        yield Promise(name, by_name[name], trajectories, epochs, updates, evaluations[0])


def settings_of(page: str) -> dict[str, Any]:
    """The paper's settings as ours: every key of the table of settings and what it is by default at paper scale."""
    return {cells[1].strip("`"): yaml.safe_load(cells[4].split(" (")[0]) for cells in _rows(page, first="setting")}


def rehearse(promise: Promise, model: Path, folder: Path, questions: int, logger: str) -> Outcome:
    """Run the command, shortened, and hold what it leaves against the page."""
    runs = folder / promise.experiment
    command = [sys.executable, *shortened(promise.command, model, folder, runs, questions), *_logging(logger)]
    print(shlex.join(command[1:]), file=sys.stderr)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    outcome = Outcome(promise, time.perf_counter() - started)
    grids = list((runs / "grids").glob("*/grid.json"))
    if done.returncode or len(grids) != 1:
        outcome.faults.append(f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-3:]}")
        return outcome
    grid = read_grid(grids[0].parent)
    _check_grid(outcome, grid, grids[0].parent)
    for cell in grid.done:
        _check_questions(outcome, cell, questions)
    if logger == "wandb":
        _check_dashboard(outcome, grid, grids[0].parent)
    return outcome


def shortened(command: Sequence[str], model: Path, folder: Path, runs: Path, questions: int) -> list[str]:
    """The command of the page with a tiny model, two updates a tuning, short turns and recorded searches."""
    run = recorded_run()
    search = next((part for part in command if part.startswith("act.search=")), "act.search=[bm25]")
    short = [part for part in command if part != search and not part.startswith("optim.max_steps=")]
    steps = next((part.partition("=")[2] for part in command if part.startswith("optim.max_steps=")), "null")
    noisy = [f"search={name}: search.pool={_quoted(run)}" for name in ("noise_random",) if name in search]
    others = [f"lm.max_new_tokens={TURN_TOKENS}", f"search=recorded: search.path={_quoted(run)}", *noisy]
    others += [f"search=noise_*: search.tool.path={_quoted(run)}"] if "noise" in search else []
    other = f"backbone.tokenizer_from=null,{_quoted(model)}"  # in place of Llama's, which the experiment names
    return [
        *short,
        *([other] if "experiment=tokenizer" in command else []),
        f"act.search={re.sub('bm25|wikipedia_bm25|serpapi', 'recorded', search.partition('=')[2])}",
        f"act.overrides=[{','.join(map(_quoted, others))}]",
        f"optim.max_steps={','.join(SHORT_STEPS[part] for part in steps.split(','))}",
        f"act.limit={questions}",
        f"backbone.path={_quoted(model)}",
        f"runs_dir={_quoted(runs)}",
        f"cache_dir={_quoted(folder / 'cache')}",
    ]


def recorded_run() -> Path:
    """The evaluation run that the paper's authors released."""
    return next((Path(os.environ["FIREACT_DATA"]) / "fireact" / "trajs").resolve().glob("*.json"))


def tiny_llama(folder: Path, cache: Path) -> Path:
    """Two layers of random weights and a byte-level BPE tokenizer of 4,096 tokens, learnt from the released text."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from fireact.trajectories.storage.download import fetch

    if (folder / "config.json").exists():
        return folder
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    rows = json.loads(fetch("fireact/alpaca_format/multitask_multimethod.json", cache / "data").read_bytes())
    bpe.train_from_iterator((f"{row['instruction']}\n{row['output']}" for row in rows), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=4096, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _check_grid(outcome: Outcome, grid: Grid, folder: Path) -> None:
    """Cells, counts, settings and the files that the sweep ends in."""
    promise, fits = outcome.promise, list(dict.fromkeys(cell.fit for cell in grid.cells if cell.fit))
    outcome.expect("evaluations", len(grid.done), promise.evaluations)
    configs = [yaml.safe_load((fit / "config.yaml").read_text()) for fit in fits]
    metrics = [json.loads((fit / "metrics.json").read_text()) for fit in fits]
    kept = [found["data"]["kept"] for found in metrics]
    outcome.expect("trajectories", sorted(kept), sorted(promise.trajectories))
    outcome.expect("epochs", sorted({config["optim"]["epochs"] for config in configs}), sorted(promise.epochs))
    updates = [_updates(config, count) for config, count in zip(configs, kept, strict=True)]
    outcome.expect("updates", sorted(updates), sorted(promise.updates))
    outcome.expect("too long", {found["data"]["too_long_dropped"] for found in metrics} - {0}, set())
    outcome.expect("updates that were made", {found["steps"] for found in metrics} - {2, 3}, set())
    axes = {key for cell in grid.cells for key in cell.axes}
    low_rank = [config for config in configs if config["adapter"]["kind"] == "lora"]
    for key, value in settings_of(PAGE.read_text()).items():
        if key.split(".")[0] not in ("method", "lm") and key not in axes:  # LoRA's base is not quantised, QLoRA's is
            those = [c for c in low_rank if key != "adapter.quantization" or c["adapter"]["name"] == "qlora"]
            outcome.expect(key, {str(_at(config, key)) for config in those} - {str(value)}, set())
    for suffix in (".md", ".csv", ".png", ".svg"):
        outcome.expect(suffix, (folder / f"{promise.experiment}{suffix}").is_file(), True)
    outcome.expect("report.html", (folder / "report.html").is_file(), True)


def _check_questions(outcome: Outcome, cell: Cell, questions: int) -> None:
    """Which questions were asked, by which prompt, and the settings of acting."""
    config = yaml.safe_load((cell.run / "config.yaml").read_text())
    asked = [trajectory.question for trajectory in cell.trajectories()]
    outcome.expect(f"{cell.run.name}: n", cell.metrics["n"], len(asked))
    if cell.axes["task"] == "hotpotqa":
        outcome.expect("questions", {q.text for q in asked}, set(paper_questions()[:questions]))
    outcome.expect("a few-shot prompt", config["method"]["prompt"] is None, cell.axes["acting"] == "fireact")
    for key, value in settings_of(PAGE.read_text()).items():
        if key in ("method.max_rounds", "lm.temperature") and cell.axes["acting"] in ("fireact", "react"):
            outcome.expect(key, _at(config, key), value)


def paper_questions() -> list[str]:
    """The 500 questions of HotpotQA dev in the paper's order, read without our own readers."""
    import random

    rows = json.loads((Path(os.environ["FIREACT_DATA"]) / "hotpotqa" / "dev.json").read_bytes())
    places = list(range(len(rows)))
    random.Random(233).shuffle(places)
    return [rows[place]["question"].strip() for place in places[:500]]


def _check_dashboard(outcome: Outcome, grid: Grid, folder: Path) -> None:
    """What W&B would show: a run a cell in the experiment's group, with its scores, and the grid's table."""
    from tests.wandb_file import written

    for fit in dict.fromkeys(cell.fit or cell.run for cell in grid.cells if cell.tuned):
        [run] = written(fit)
        outcome.expect(f"{fit.name}: W&B's group", run.run.run_group, outcome.promise.experiment)
        outcome.expect(f"{fit.name}: W&B's score", "em" in run.summary, True)
    [report] = written(folder)
    outcome.expect("W&B's table", any(key.endswith("/path") for row in report.history for key in row), True)


def _updates(config: dict[str, Any], kept: int) -> int:
    fixed = {short: full for full, short in SHORT_STEPS.items()}[str(config["optim"]["max_steps"])]
    by_epochs = math.ceil(kept / config["optim"]["batch_size"]) * int(config["optim"]["epochs"])
    return by_epochs if fixed == "null" else int(fixed)


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def _rows(page: str, first: str) -> Iterator[list[str]]:
    """The rows of the Markdown table whose first column is headed ``first``."""
    table = re.search(rf"^\| {first} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table, f"{PAGE} has no table with a first column {first!r}"
    yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines())


def _numbers(cell: str) -> list[int]:
    """``500, 687 ×2`` is 500, 687, 687."""
    found = re.findall(r"([\d,]*\d)(?: ×(\d+))?(?:, |$)", cell)
    return [int(number.replace(",", "")) for number, times in found for _ in range(int(times or 1))]


def _quoted(value: object) -> str:
    """As a string of Hydra's grammar."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _logging(logger: str) -> list[str]:
    return ["logger=wandb", "logger.offline=true"] if logger == "wandb" else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="experiments (all twelve)")
    parser.add_argument("--questions", type=int, default=500, help="of each evaluation, at most (500)")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, which are otherwise removed")
    parser.add_argument("--logger", choices=["wandb", "csv"], default="csv", help="wandb writes offline (csv)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
