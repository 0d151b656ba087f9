"""The contenders of training.py, each run as ``python benchmarks/trainers.py NAME PLAN OUT``.

PLAN is a JSON file of ``overrides`` (of train.py), ``rows``, ``batch`` (trajectories in an optimizer step) and
``steps``. All learn the same trajectories in the same order with the same LoRA; each turn is one optimizer step.
"""

from __future__ import annotations

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from benchmarks.arithmetic import arithmetic, matrix_rate
from benchmarks.turns import Facts, Seat
from fireact import cli
from fireact.models.weights import trainable_parameters
from fireact.training.batches import IGNORED, MicroBatch, StepBatches
from fireact.training.datamodule import TrajectoryModule
from fireact.training.fit import fit
from fireact.training.rows import Row, RowMaker

CUT_OFF = 512  # tokens of a row in the paper's released recipe


class Count:
    """The real tokens and the loss of the turn under way, taken from what the model is called with and returns."""

    def __init__(self) -> None:
        self.tokens, self.loss = 0, 0.0

    def watch(self, model: nn.Module) -> None:
        """Count every call of ``model``; what it computes again for the backward pass does not come by here."""
        model.register_forward_pre_hook(self._called, with_kwargs=True)

    def turn(self) -> Facts:
        """What has been counted since the last turn."""
        facts = {"tokens": self.tokens, "loss": self.loss}
        self.tokens, self.loss = 0, 0.0
        return facts

    def _called(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        mask = kwargs.get("attention_mask")  # packs have none, or where their trajectories begin
        self.tokens += int(mask.sum()) if mask is not None and mask.dim() == 2 else kwargs["input_ids"].numel()


class Turns(Protocol):
    """Who is told that a contender is ready and that a turn of its is over: ``Seat``, or a stopwatch."""

    def ready(self) -> None: ...

    def done(self, **facts: Any) -> None: ...


@dataclass
class Bout:
    """What every contender is given."""

    cfg: cli.Config
    out: Path
    batch: int
    steps: int
    rows: list[Row]
    seat: Turns
    count: Count

    def model(self) -> nn.Module:
        """The backbone under the adapter, with the first weights that ``fit`` draws."""
        set_seed(self.cfg.seed)
        model = cli.build(self.cfg.adapter).apply(cli.build(self.cfg.backbone)).train()
        self.count.watch(model)
        return model

    def in_order(self) -> list[MicroBatch]:
        """The rows one by one as ``fit`` shuffles them."""
        return list(StepBatches(self.rows, 1, sys.maxsize, 0, self.cfg.seed).epoch(0))

    def examples(self, learn_all: bool = False, cut: int | None = None) -> list[dict[str, list[int]]]:
        """``in_order`` as lists of numbers."""
        rows = [(row.input_ids[0, :cut].tolist(), row.labels[0, :cut].tolist()) for row in self.in_order()]
        return [{"input_ids": ids, "labels": ids if learn_all else labels} for ids, labels in rows]

    def keep(self, model: nn.Module) -> None:
        """Leave the adapter where the other contenders leave theirs."""
        model.save_pretrained(self.out / "adapter", save_embedding_layers=False)


class LightningTurns(Callback):
    def __init__(self, bout: Bout) -> None:
        self._bout = bout

    def on_train_start(self, trainer: lightning.Trainer, tuner: Any) -> None:
        self._bout.count.watch(tuner.model)
        self._bout.seat.ready()
        tuner._last_step_end = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, tuner: Any, *_: Any) -> None:
        self._bout.seat.done(**{**self._bout.count.turn(), "loss": tuner.metrics["loss"]})


def ours(bout: Bout) -> None:
    """Just what train.py does after it has made its rows."""
    cfg = bout.cfg
    backbone = cli.build(cfg.backbone)
    data = TrajectoryModule(
        bout.rows, backbone.tokenizer(), bout.batch, cfg.micro_batch_tokens, 0, cfg.packing, cfg.seed
    )

    def trainer(callbacks: list[Callback], **options: Any) -> lightning.Trainer:
        made: lightning.Trainer = cli.build(cfg.trainer)(callbacks=[*callbacks, LightningTurns(bout)], **options)
        return made

    fit(backbone, cli.build(cfg.adapter), data, cli.build(cfg.optim), trainer, bout.out, [cli.build(cfg.logger)],
        cfg.seed, save_every=cfg.save_every)


def plain(bout: Bout) -> None:
    """The textbook loop: rows padded to the longest of eight, logits everywhere, the mean over the step's targets."""
    model, optim = bout.model(), cli.build(bout.cfg.optim)
    adamw = torch.optim.AdamW(trainable_parameters(model), weight_decay=optim.weight_decay)
    rows = bout.in_order()
    bout.seat.ready()
    for number in range(bout.steps):
        step = rows[number * bout.batch : (number + 1) * bout.batch]
        targets = sum(int((row.labels != IGNORED).sum()) for row in step)
        loss = sum(_plain_part(model, part) / targets for part in _of_eight(step))
        nn.utils.clip_grad_norm_(trainable_parameters(model), optim.clip_norm or float("inf"))
        adamw.param_groups[0]["lr"] = optim.rate(number, bout.steps)
        adamw.step()
        adamw.zero_grad()
        bout.seat.done(**{**bout.count.turn(), "loss": loss})
    bout.keep(model)


def _of_eight(step: list[MicroBatch]) -> Iterator[list[MicroBatch]]:
    yield from (step[at : at + 8] for at in range(0, len(step), 8))


def _plain_part(model: nn.Module, rows: list[MicroBatch]) -> float:
    ids, labels, mask = (
        nn.utils.rnn.pad_sequence([tensor[0] for tensor in tensors], batch_first=True, padding_value=padding)
        for tensors, padding in (
            ([row.input_ids for row in rows], 0),
            ([row.labels for row in rows], IGNORED),
            ([torch.ones_like(row.input_ids) for row in rows], 0),
        )
    )
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
    loss.backward()
    return float(loss)


class TrainerTurns(TrainerCallback):
    """Takes the first turn when training begins and hands on at every optimizer step's end."""

    def __init__(self, bout: Bout) -> None:
        self._bout = bout

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._bout.seat.ready()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._bout.seat.done(**self._bout.count.turn())


def paper(bout: Bout) -> None:
    """The paper's released recipe on transformers' Trainer: the whole text learnt, cut at 512 tokens, the rows of a
    step padded to its longest, logits everywhere."""
    from transformers import DataCollatorForSeq2Seq

    tokenizer, model = cli.build(bout.cfg.backbone).tokenizer(), bout.model()
    collator = DataCollatorForSeq2Seq(tokenizer, model=None, pad_to_multiple_of=8)
    arguments = TrainingArguments(per_device_train_batch_size=bout.batch, **_arguments(bout))
    examples = [{**e, "attention_mask": [1] * len(e["input_ids"])} for e in bout.examples(True, CUT_OFF)]
    Trainer(model, arguments, collator, examples, callbacks=[TrainerTurns(bout)]).train()
    bout.keep(model)


def trl(bout: Bout, packing: bool = False, checkpointing: bool = True) -> None:
    """TRL's SFTTrainer with its defaults, except that it computes in float32.

    Its defaults are batches of eight padded rows and gradient checkpointing. Packed, as many packs of 1,024 tokens go
    into a step as hold about its rows, one at a time: eight at once, its default, attend over 8,192 tokens.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    examples, model = bout.examples(), bout.model()
    tokens = sum(len(example["input_ids"]) for example in examples) / bout.steps
    at_once = 1 if packing else min(8, bout.batch)
    config = SFTConfig(
        per_device_train_batch_size=at_once, packing=packing, gradient_checkpointing=checkpointing, bf16=False,
        gradient_accumulation_steps=max(1, round(tokens / 1024) if packing else bout.batch // at_once),
        **_arguments(bout),
    )
    tokenizer = cli.build(bout.cfg.backbone).tokenizer()
    SFTTrainer(
        model, config, train_dataset=Dataset.from_list(examples), processing_class=tokenizer,
        callbacks=[TrainerTurns(bout)],
    ).train()
    bout.keep(model)


def _arguments(bout: Bout) -> dict[str, Any]:
    """What both Trainers are told: where to write, how far to go, and to keep the rows' order."""
    return dict(
        output_dir=str(bout.out), max_steps=bout.steps, learning_rate=bout.cfg.optim.lr, save_strategy="no",
        report_to=[], use_cpu=not torch.cuda.is_available(), train_sampling_strategy="sequential", disable_tqdm=True,
        warmup_steps=bout.cfg.optim.warmup_steps, seed=bout.cfg.seed,
    )


def matrix(bout: Bout) -> None:
    """The products of forward and backward passes through the frozen layers, and nothing else, for about as long as a
    step takes: a short burst may run at a clock rate that nothing keeps up."""
    model = bout.model()
    bout.seat.ready()
    for _ in range(bout.steps):
        rates = [matrix_rate(model, bout.cfg.micro_batch_tokens, torch.float32) for _ in range(16)]
        bout.seat.done(flops_per_s=statistics.harmonic_mean(rates), arithmetic=arithmetic(bout.rows, model))


CONTENDERS: dict[str, Callable[[Bout], None]] = {
    "ours": ours,
    "ours, QLoRA": ours,
    "ours, QLoRA de-quantised once": ours,
    "plain loop": plain,
    "paper's recipe": paper,
    "TRL as it comes": trl,
    "TRL packed": functools.partial(trl, packing=True),
    "TRL packed, no checkpointing": functools.partial(trl, packing=True, checkpointing=False),
    "matrix products": matrix,
}
ADAPTERS = {
    "ours, QLoRA": ["adapter=qlora", "adapter.dequantize_once=false"],
    "ours, QLoRA de-quantised once": ["adapter=qlora", "adapter.dequantize_once=true"],
}


def main(name: str, plan_path: str, out: str) -> None:
    seat, plan = Seat(), json.loads(Path(plan_path).read_text())
    overrides = [*plan["overrides"], f"run_dir={out}", f"optim.max_steps={plan['steps']}"]
    cfg = cli.compose("train", [*overrides, *ADAPTERS.get(name, ["adapter=lora"])])
    tokenizer = cli.build(cfg.backbone).tokenizer()
    maker = RowMaker(cli.build(cfg.backbone).text_format(tokenizer), "targets", cfg.max_length)
    rows, _ = maker.rows(cli.build(cfg.data).load())
    bout = Bout(cfg, Path(out), plan["batch"], plan["steps"], rows[: plan["rows"]], seat, Count())
    CONTENDERS[name](bout)
    seat.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
