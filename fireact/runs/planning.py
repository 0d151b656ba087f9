"""``plan=true``: what a command would do, need and take, with every refusal, before anything is done.

Nothing is written, fetched or asked of a model. Figures of memory, time and money are estimates, and say where they
come from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fireact.cli import Config, Sweep, build, compose, resolved
from fireact.errors import ConfigError, FireActError
from fireact.models import device
from fireact.models.device import CPU
from fireact.models.hub import local_folder
from fireact.models.shape import GIB, Shape, Tuning, acting_bytes, training_bytes
from fireact.models.speed import Rate, rate
from fireact.runs import preflight
from fireact.runs.evaluations import evaluations
from fireact.runs.preflight.jobs import jobs
from fireact.runs.run_folders import CONFIG, METRICS
from fireact.runs.scoring import judge_of
from fireact.tasks.measures.judge import PROMPT
from fireact.trajectories.storage.download import WouldFetch, dry
from fireact.trajectories.storage.reading import printable

_TUNING = ("tuning", "state", "trajectories", "tokens an epoch", "steps", "epochs", "memory", "time")
_ACTING = ("acting", "state", "questions", "search", "model", "memory or money")
_UNKNOWN = "unknown"
_FILE_WIDTH = 1000  # characters: a table in a file or pipe is as wide as it needs to be
_CACHE_GIB = 6.0  # on a CPU, where nothing else is said
_JUDGED = 600  # characters of a question, its gold answer and an answer, as they are judged
_CHARACTERS = 3  # of a token, at least, in English: what a prompt costs at most


@dataclass(frozen=True)
class Amount:
    """What a cell is tuned on: trajectories by task and method, tokens of an epoch if a tokenizer is at hand, steps."""

    trajectories: Counter[str]
    tokens: int | None
    steps: int
    epochs: float


def show(command: Sweep) -> int:
    """Print the plan of a command; returns how many refusals it would meet."""
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    first = command.cells[0]
    acts = command.sweeps or "then_act" not in first or first.then_act or first.adapter.name == "none"
    with dry():
        todo = jobs(command.cells, command.here, acts)
        found = list(preflight.problems(todo))
        if tuned := [cfg for cfg in command.cells if "then_act" in cfg and cfg.adapter.name != "none"]:
            console.print(_table(_TUNING, map(_tuning_row, tuned)))
        if acts:
            console.print(_table(_ACTING, _acting_rows(command.cells)))
    for problem in found:
        mark = "refused" if problem.fatal else "note"
        line = printable(f"{mark}: {problem.sentence} ({problem.folder})")
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    refused = sum(problem.fatal for problem in found)
    here = device.found()
    words = f"{refused} to be put right first" if refused else "everything that can be known beforehand is there"
    console.print(f"{words}; computing on {here.name} ({here.memory_bytes / GIB:.0f} GiB); memory, time and money are "
                  "estimates; nothing was run or fetched, nor written but what probes of the models found",
                  highlight=False, soft_wrap=True)  # fmt: skip
    return refused


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _tuning_row(cfg: Config) -> Sequence[str]:
    state = _state(Path(cfg.run_dir))
    try:
        amount = _amount(cfg)
    except FireActError:  # which the checks say
        return (cfg.run_dir, state, *[_UNKNOWN] * 6)
    shape = Shape.of(local_folder(resolved(cfg.backbone)))
    tuning = Tuning.of(resolved(cfg.adapter), 4 if cfg.trainer.accelerator == CPU else 2)
    memory = training_bytes(shape, tuning, cfg.micro_batch_tokens, cfg.optim.compile) if shape else None
    counts = ", ".join(f"{name} {number}" for name, number in sorted(amount.trajectories.items()))
    tokens = f"{amount.tokens:,}" if amount.tokens is not None else _UNKNOWN
    steps, epochs = (f"{amount.steps:,}", f"{amount.epochs:g}") if amount.steps else (_UNKNOWN, _UNKNOWN)
    known = (counts or "collected first", tokens, steps, epochs, _gib(memory), _time(cfg, amount, shape))
    return (cfg.run_dir, state, *known)


def _amount(cfg: Config) -> Amount:
    """Counted as ``train.py`` will; what a teacher has yet to collect can't be."""
    mix, optim = build(cfg.data), cfg.optim
    if optim.batch_size is None:
        raise ConfigError(f"optim.batch_size is not set for backbone={cfg.backbone.name}; give one")
    if mix.missing():
        return Amount(Counter(), None, optim.max_steps or 0, optim.epochs if not optim.max_steps else 0)
    try:
        trajectories = mix.load()
    except WouldFetch:  # what was released is known all the same
        counts = Counter({f"{task}/{method}": number for (task, method), number in (mix.wanted() or {}).items()})
        if not counts:
            raise
        return _passes(cfg, counts, counts.total(), None)
    counts = Counter(f"{each.question.task}/{each.method}" for each in trajectories)
    rows, tokens = len(trajectories), None
    if local_folder(resolved(cfg.backbone)) and cfg.backbone.tokenizer_from is None:
        rows, tokens = _tokenized(cfg, trajectories)
    return _passes(cfg, counts, rows, tokens)


def _passes(cfg: Config, counts: Counter[str], rows: int, tokens: int | None) -> Amount:
    optim = cfg.optim
    held_out = cfg.val_fraction if cfg.val_fraction >= 1 else rows * cfg.val_fraction
    a_pass = max(1, math.ceil((rows - held_out) / optim.batch_size))
    steps = optim.max_steps or optim.epochs * a_pass
    return Amount(counts, tokens, steps, round(steps / a_pass, 2))


def _tokenized(cfg: Config, trajectories: Sequence[Any]) -> tuple[int, int]:
    """(rows, tokens) of one pass over what fits."""
    from fireact.training.rows import RowMaker

    backbone = build(cfg.backbone)
    tokenizer = backbone.tokenizer()
    maker = RowMaker(backbone.text_format(tokenizer), cfg.loss_on, cfg.max_length, cfg.too_long)
    rows, _ = maker.rows(trajectories)
    return len(rows), sum(map(len, rows))


def _time(cfg: Config, amount: Amount, shape: Shape | None) -> str:
    if amount.tokens is None:
        return _UNKNOWN
    like = {
        "backbone.name": cfg.backbone.name, "adapter.name": cfg.adapter.name,
        "trainer.accelerator": cfg.trainer.accelerator, "optim.compile": cfg.optim.compile,
    }  # fmt: skip
    tuning = Tuning.of(resolved(cfg.adapter), 4)
    found: Rate | None = rate(Path(cfg.runs_dir), like, device.found(), shape, tuning, cfg.optim.compile)
    if found is None:
        return f"{_UNKNOWN}: nothing like it was measured"
    return f"{_duration(amount.tokens * amount.epochs / found.tokens_per_s)} (by {found.source})"


def _acting_rows(cells: Sequence[Config]) -> Iterator[Sequence[str]]:
    """Each run folder once, however many cells share it."""
    asked: dict[str, tuple[Config | tuple[str, ...], int]] = {}
    for cfg in cells:
        if "then_act" not in cfg:
            asked[cfg.run_dir] = (cfg, 1)
            continue
        for evaluation in evaluations(cfg):
            folder = str(evaluation.cell.run)
            asked[folder] = (evaluation.overrides, asked.get(folder, ((), 0))[1] + 1)
    for folder, (what, sharing) in asked.items():
        cfg = compose("evaluate", what) if isinstance(what, tuple) else what
        state = _state(Path(folder)) + (f", shared by {sharing} cells" if sharing > 1 else "")
        yield (folder, state, _questions(cfg), _name(cfg.search), _name(cfg.lm), _cost(cfg) + _judge(cfg))


def _questions(cfg: Config) -> str:
    try:
        return f"{len(build(cfg.task).questions())} of {cfg.task.name}"
    except FireActError:
        return _UNKNOWN


def _cost(cfg: Config) -> str:
    """Of a local model its memory, of one that is paid for the most that it may cost."""
    if "backbone" in cfg.lm:
        if (shape := Shape.of(local_folder(resolved(cfg.lm.backbone)))) is None:
            return _UNKNOWN
        width = 4 if device.found().kind == CPU else 2
        room = cfg.lm.cache_gib or _CACHE_GIB
        return _gib(acting_bytes(shape, width, cfg.lm.concurrency, cfg.lm.max_context, room))
    return _money(cfg) if "prices" in cfg.lm else "free"


def _money(cfg: Config) -> str:
    price, budget = cfg.lm.prices.get(cfg.lm.model), cfg.lm.budget_usd
    try:
        questions, prompt = len(build(cfg.task).questions()), build(cfg.method).few_shot
    except FireActError:
        return _UNKNOWN
    if price is None:
        return f"no price of {cfg.lm.model} is known" + (f"; at most ${budget:g}" if budget is not None else "")
    rounds, said = cfg.method.get("max_rounds", 1), cfg.lm.max_new_tokens
    # Every call reads the prompt and all turns before it, each with an observation as long as itself.
    read = rounds * len(prompt) / _CHARACTERS + 2 * said * rounds * (rounds + 1) / 2
    usd = questions * (read * price.input + rounds * said * price.output) / 1e6
    return f"at most ${min(usd, math.inf if budget is None else budget):,.2f}"


def _judge(cfg: Config) -> str:
    """What the model that a measure asks may cost besides, one call a question."""
    node = judge_of(cfg)
    if node is None or "prices" not in node:
        return "" if node is None else f"; and {_name(node)} as judge"
    price = node.prices.get(node.model)
    try:
        questions = len(build(cfg.task).questions())
    except FireActError:
        return f"; {node.model} as judge: {_UNKNOWN}"
    if price is None:
        return f"; no price of {node.model} as judge is known"
    read = (len(PROMPT.read_text(encoding="utf-8")) + _JUDGED) / _CHARACTERS
    usd = questions * (read * price.input + node.max_new_tokens * price.output) / 1e6
    return f"; {node.model} as judge about ${usd:,.2f}"


def _state(folder: Path) -> str:
    return "finished" if (folder / METRICS).exists() else "resumes" if (folder / CONFIG).exists() else "new"


def _name(node: Any) -> str:
    """What a part is called: the model, or its class."""
    return str(node.get("model") or node.get("name") or node._target_.rpartition(".")[2])


def _gib(size: int | None) -> str:
    return _UNKNOWN if size is None else f"{size / GIB:.1f} GiB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
