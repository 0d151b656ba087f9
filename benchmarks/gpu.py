"""Tuning and acting with random weights of Llama-2-7B's shape on one CUDA card: rates, memory, and what they are worth.

    python benchmarks/gpu.py [--toy] [--steps N] [--folder DIR]

Needs no download: weights, tokens and trajectories (lengths and targets like HotpotQA's) are drawn. DIR (a temporary
folder by default) takes 14 GB of weights, and what each part found: the same command goes on where it was cut off.
--toy does all of it at a size that a CPU manages in a minute. Every part is a process of its own; a rate is the median
of the steps after the first four, in which the card's libraries still load kernels:

LoRA      bfloat16, steps of 64 trajectories in packs of 4,096 tokens, against the card's rate of bare bfloat16 products
          of the same shapes; with optim.compile=true and without
QLoRA     NF4 double-quantised, packs of 2,048 tokens, likewise
paper     the paper's released recipe on transformers' Trainer: 8-bit base, fp16, steps of 16 rows padded and cut at 512
          tokens, the whole text learnt, logits everywhere; 8 rows at a time, since 16 need more than 80 GB
acting    dialogues of three turns behind a shared prompt of 1,200 tokens: batched by so many, and one at a time with
          transformers' generate and the whole prompt at every round
parity    logits of the tuned adapter, merged and not merged, against those in float32
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import Facts, table  # noqa: E402

WARM_UP = 4  # steps
STEP, PAPERS_STEP = 64, 16  # trajectories: enough to fill packs, and as in the paper


@dataclass(frozen=True)
class Scale:
    """The model's and the load's size."""

    model: dict[str, int]
    lora_pack: int
    qlora_pack: int
    shared: int  # tokens of the few-shot prompt
    batches: tuple[int, ...]


LLAMA2_7B = Scale(
    dict(vocab_size=32_000, hidden_size=4096, intermediate_size=11_008, num_hidden_layers=32, num_attention_heads=32,
         num_key_value_heads=32), 4096, 2048, 1200, (1, 4, 16, 32),
)
TOY = Scale(
    dict(vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
         num_key_value_heads=4), 1024, 512, 100, (1, 4),
)


def weights(scale: Scale, folder: Path, steps: int) -> Facts:
    """A model folder with a tokenizer that is never asked for more than its special tokens."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", pad_token="<unk>")
    tokenizer.save_pretrained(folder / "model")
    with torch.device(_device()):
        model = LlamaForCausalLM._from_config(LlamaConfig(**scale.model, eos_token_id=1), dtype=_dtype())
    model.save_pretrained(folder / "model")
    return {}


def rows(scale: Scale, count: int) -> list[Any]:
    from fireact.training.rows import Row

    generator = torch.Generator().manual_seed(0)
    lengths = torch.randn(count, generator=generator).mul(0.38).add(5.4).exp().clamp(100, 500).int().tolist()
    drawn = []
    for number, length in enumerate(lengths):
        ids = torch.randint(2, scale.model["vocab_size"], (length,), generator=generator, dtype=torch.int32)
        targets = torch.arange(length) % 100 >= 45  # turns of 55 tokens after observations of 45
        drawn.append(Row(str(number), ids, targets))
    return drawn


def config(folder: Path, *overrides: str) -> Any:
    from fireact import cli

    place = [f"backbone.path={folder}/model", f"run_dir={folder}/run", f"trainer={_trainer()}", "packing=true",
             "optim.warmup_steps=0"]
    return cli.compose("train", ["backbone=llama2_7b", "data=hotpotqa", *place, *overrides])


def lora(scale: Scale, folder: Path, steps: int) -> Facts:
    return _tune(scale, steps, folder / "lora", scale.lora_pack, config(folder, "adapter=lora", "optim.compile=false"))


def lora_compiled(scale: Scale, folder: Path, steps: int) -> Facts:
    cfg = config(folder, "adapter=lora", "optim.compile=true")
    return _tune(scale, steps, folder / "lora_compiled", scale.lora_pack, cfg)


def qlora(scale: Scale, folder: Path, steps: int) -> Facts:
    cfg = config(folder, "adapter=qlora", "optim.compile=false")
    return _tune(scale, steps, folder / "qlora", scale.qlora_pack, cfg)


def qlora_compiled(scale: Scale, folder: Path, steps: int) -> Facts:
    cfg = config(folder, "adapter=qlora", "optim.compile=true")
    return _tune(scale, steps, folder / "qlora_compiled", scale.qlora_pack, cfg)


def _tune(scale: Scale, steps: int, out: Path, pack: int, cfg: Any) -> Facts:
    """Optimizer steps in packs of ``pack`` tokens."""
    import lightning
    from lightning.pytorch.callbacks import Callback

    from benchmarks.arithmetic import arithmetic, matrix_rate
    from fireact import cli
    from fireact.training.datamodule import TrajectoryModule
    from fireact.training.fit import fit

    rates: list[float] = []

    class Rates(Callback):
        def on_train_batch_end(self, trainer: Any, tuner: Any, *_: Any) -> None:
            rates.append(tuner.metrics["tokens_per_s"])

    def trainer(callbacks: list[Any], **options: Any) -> lightning.Trainer:
        made: lightning.Trainer = cli.build(cfg.trainer)(callbacks=[*callbacks, Rates()], **options)
        return made

    backbone, adapter = cli.build(cfg.backbone), cli.build(cfg.adapter)
    drawn = rows(scale, STEP * steps)
    data = TrajectoryModule(drawn, backbone.tokenizer(), STEP, pack, packing=True)
    optim = replace(cli.build(cfg.optim), max_steps=steps)
    shutil.rmtree(out, ignore_errors=True)  # of a run that was cut off: it would be resumed, and its steps not timed
    results = fit(backbone, adapter, data, optim, trainer, out)
    model = adapter.apply(backbone)
    share = arithmetic(drawn, model) / sum(map(len, drawn)) / matrix_rate(model, pack, _dtype())
    rate = statistics.median(rates[WARM_UP:])
    return {"tokens_per_s": rate, "share": rate * share, "memory": results["peak_memory_bytes"]}


def paper(scale: Scale, folder: Path, steps: int) -> Facts:
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from benchmarks.trainers import CUT_OFF, Bout, Count, TrainerTurns
    from fireact import cli

    class Times:
        """Only takes the time."""

        def __init__(self) -> None:
            self.rates: list[float] = []

        def ready(self) -> None:
            self._started = _now()

        def done(self, **facts: Any) -> None:
            self.rates.append(facts["tokens"] / (_now() - self._started))
            self._started = _now()

    cfg, times = config(folder, "adapter=qlora", "adapter.quantization=int8"), Times()
    drawn = rows(scale, PAPERS_STEP * steps)
    bout = Bout(cfg, folder / "paper", PAPERS_STEP, steps, drawn, times, Count())
    model, tokenizer = bout.model(), cli.build(cfg.backbone).tokenizer()
    examples = [{**e, "attention_mask": [1] * len(e["input_ids"])} for e in bout.examples(True, CUT_OFF)]
    arguments = TrainingArguments(
        output_dir=str(bout.out), per_device_train_batch_size=8, gradient_accumulation_steps=2, max_steps=steps,
        learning_rate=3e-4, save_strategy="no", report_to=[], disable_tqdm=True, fp16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model=None, pad_to_multiple_of=8)
    Trainer(model, arguments, collator, examples, callbacks=[TrainerTurns(bout)]).train()
    return {"tokens_per_s": statistics.median(times.rates[WARM_UP:]), "memory": _peak()}


def acting(scale: Scale, folder: Path, steps: int) -> Facts:
    from benchmarks.dialogues import one_at_a_time, questions_per_s
    from fireact import cli
    from fireact.models.adapters import load_for_acting

    model = load_for_acting(cli.build(config(folder).backbone), str(folder / "lora" / "adapter"))
    curve = {batch: questions_per_s(model, batch, max(4, 2 * batch), scale.shared) for batch in scale.batches}
    return {"alone": one_at_a_time(model, 2, scale.shared), "curve": curve, "memory": _peak()}


@torch.inference_mode()
def parity(scale: Scale, folder: Path, steps: int) -> Facts:
    from fireact import cli

    backbone, ids = cli.build(config(folder).backbone), rows(scale, 1)[0].ids.long()[None].to(_device())

    def logits(backbone: Any, kind: str, merge: bool) -> torch.Tensor:
        from fireact.models.adapters import load_for_acting

        model = load_for_acting(backbone, str(folder / kind / "adapter"), merge)
        return model(input_ids=ids).logits.float().cpu()

    facts = {}
    for kind in ("lora", "qlora"):
        exact = logits(replace(backbone, dtype="float32"), kind, merge=False)
        off = (logits(backbone, kind, merge) - exact for merge in (True, False))
        facts[kind] = [float(error.norm() / exact.norm()) for error in off]
    return facts


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _trainer() -> str:
    return "gpu" if torch.cuda.is_available() else "cpu"


def _dtype() -> torch.dtype:
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def _peak() -> int:
    from fireact.training.fit import _peak_memory

    return _peak_memory()


def _now() -> float:
    import time

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


PARTS: dict[str, Callable[[Scale, Path, int], Facts]] = {
    "weights": weights, "LoRA": lora, "LoRA, compiled": lora_compiled, "QLoRA": qlora,
    "QLoRA, compiled": qlora_compiled, "paper": paper, "acting": acting, "parity": parity,
}


def report(facts: dict[str, Facts]) -> str:
    """The tables of tuning and of acting."""
    theirs = facts["paper"]["tokens_per_s"]
    tuning = [
        [name, f"{part['tokens_per_s']:.0f}", f"{part['tokens_per_s'] / theirs:.1f}",
         f"{part['share']:.0%}" if "share" in part else "", f"{part['memory'] / 2**30:.1f}"]
        for name, part in facts.items() if "tokens_per_s" in part
    ]
    alone = facts["acting"]["alone"]
    curve = [[f"ours, batch {batch}", f"{rate:.3f}", f"{rate / alone:.1f}"]
             for batch, rate in facts["acting"]["curve"].items()]
    part = facts["parity"]
    return "\n\n".join([
        table(["", "real tokens/s", "times the paper's recipe", "of the matrix rate", "peak memory, GiB"], tuning),
        f"QLoRA does {_ratio(facts, '')} of LoRA's tokens/s, {_ratio(facts, ', compiled')} compiled.",
        table(["acting", "questions/s", "times one at a time"], [["one at a time", f"{alone:.3f}", "1.0"], *curve]),
        "Logits are off those in float32, by their norm: " + "; ".join(
            f"{kind} {merged:.1e} merged, {apart:.1e} not merged" for kind, (merged, apart) in part.items()),
    ])


def _ratio(facts: dict[str, Facts], how: str) -> str:
    return f"{facts[f'QLoRA{how}']['tokens_per_s'] / facts[f'LoRA{how}']['tokens_per_s']:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where the weights are drawn and each part's facts kept")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps <= WARM_UP:
        parser.error(f"the first {WARM_UP} steps only warm up; choose more")
    if arguments.part:
        facts = PARTS[arguments.part](TOY if arguments.toy else LLAMA2_7B, arguments.folder, arguments.steps)
        print(json.dumps(facts))
        return
    if not (torch.cuda.is_available() or arguments.toy):
        sys.exit("no CUDA card here; --toy tries everything at toy size on the CPU")
    with tempfile.TemporaryDirectory() as passing:
        place = arguments.folder or Path(passing)
        print(report(_collected(place / f"{'toy' if arguments.toy else 'llama2_7b'}-{arguments.steps}-steps")))
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU, at toy size"
    print(f"\n{card}, torch {torch.__version__}, {date.today()}")


def _collected(folder: Path) -> dict[str, Facts]:
    """The facts of every part; those that ``folder`` holds already are not sought again."""
    kept = folder / "facts.json"
    facts: dict[str, Facts] = json.loads(kept.read_text()) if kept.exists() else {}
    for part in PARTS:
        if part not in facts:
            facts[part] = _elsewhere(part, folder)
            kept.write_text(json.dumps(facts, indent=2))
    return facts


def _elsewhere(part: str, folder: Path) -> Facts:
    command = [sys.executable, __file__, *sys.argv[1:], "--part", part, "--folder", str(folder)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(part, said.splitlines()[-1], file=sys.stderr)
    facts: Facts = json.loads(said.splitlines()[-1])
    return facts


if __name__ == "__main__":
    main()
