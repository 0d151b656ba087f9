"""Tuning against what people use today, as ratios within one run: real tokens per second and peak memory.

    python benchmarks/training.py [--rows N] [--batch N] [--only NAME …] [--python-trl PATH] [override of train.py …]

Every contender tunes the same backbone (the embedded one) with the same LoRA in float32 on the same trajectories (the
500 released HotpotQA ones) in the same order, in a process of its own; they take turns of one optimizer step. The
first turn of each only warms it up. Tokens are real ones: padding counts for nobody.

TRL need not be installed; its rows are then left out. It wants packages that FireAct does not, so give it an
environment of its own beside the project's, here .venv:

    python -m venv .cache/trl
    ls -d $PWD/.venv/lib/python*/site-packages > $(ls -d .cache/trl/lib/python*/site-packages)/fireact.pth
    .cache/trl/bin/pip install --no-deps 'trl==1.16.*' datasets pyarrow pandas python-dateutil six dill multiprocess
    python benchmarks/training.py --python-trl .cache/trl/bin/python

Effective arithmetic is what tuning on the real tokens takes, over the seconds it took, as a share of the rate of bare
matrix products of the model's shapes (x Wᵀ and g W) measured in turns of the same run. Counted, two operations to a
multiply and add: for every frozen layer the forward product and the gradient of its input (none of its weight, and
none of its input where nothing before it learns: q, k, v of the first layer); for the low-rank factors the forward
products, both weight gradients and the gradient of the input; the output embedding and its input's gradient at target
positions only; in attention the causal half, with the scores that the backward pass computes again. Norms, activation
functions, softmax and the optimizer count as nothing, so 100 % can't be reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.turns import Facts, table, take_turns  # noqa: E402

OURS, MATRIX = "ours", "matrix products"
NAMES = [
    OURS, "ours, QLoRA", "ours, QLoRA de-quantised once", "plain loop", "paper's recipe", "TRL as it comes",
    "TRL packed", "TRL packed, no checkpointing", MATRIX,
]


def main() -> None:
    arguments, overrides = _arguments()
    names = [name for name in NAMES if name in (OURS, MATRIX) or name in (arguments.only or NAMES)]
    if not _has_trl(arguments.python_trl):
        print(f"{arguments.python_trl} has no TRL, so its rows are left out; see --help", file=sys.stderr)
        names = [name for name in names if "TRL" not in name]
    steps = -(-arguments.rows // arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        facts = {"overrides": ["data=hotpotqa", "packing=true", *overrides], "steps": steps}
        plan.write_text(json.dumps({**facts, "rows": arguments.rows, "batch": arguments.batch}))
        outs = {name: f"{folder}/{number}" for number, name in enumerate(names)}
        python = {name: arguments.python_trl if "TRL" in name else sys.executable for name in names}
        script = f"{ROOT}/benchmarks/trainers.py"
        commands = {name: [python[name], script, name, str(plan), outs[name]] for name in names}
        turns, ends = take_turns(commands, steps)
        print(report(turns, ends))
        if "plain loop" in outs:
            print(parity(turns, outs))


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="trajectories (500)")
    parser.add_argument("--batch", type=int, default=16, help="trajectories in an optimizer step (16)")
    others = "beside ours: " + ", ".join(NAMES[1:-1])
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=others)
    parser.add_argument("--python-trl", default=sys.executable, help="a Python that has TRL")
    return parser.parse_known_args()


def _has_trl(python: str) -> bool:
    found = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('trl'))"
    return subprocess.run([python, "-c", found]).returncode == 0


def report(turns: dict[str, list[Facts]], ends: dict[str, Facts]) -> str:
    """The table, and our share of the matrix rate below it."""
    rates = {name: rate(reports[1:]) for name, reports in turns.items() if name != MATRIX}
    rows = [
        [name, f"{rates[name]:.0f}", f"{rates[OURS] / rates[name]:.2f}", f"{ends[name]['peak'] / 2**30:.2f}",
         f"{ends[name]['peak'] / ends[OURS]['peak']:.2f}"]
        for name in rates
    ]
    header = ["", "real tokens/s", "ours is so many times as fast", "peak memory, GiB", "times ours"]
    return f"{table(header, rows)}\n\n{share(turns, rates[OURS])}"


def rate(reports: list[Facts]) -> float:
    """Real tokens a second over several turns."""
    return sum(turn["tokens"] for turn in reports) / sum(turn["seconds"] for turn in reports)


def share(turns: dict[str, list[Facts]], tokens_per_s: float) -> str:
    """One line on effective arithmetic."""
    peak = statistics.median(turn["flops_per_s"] for turn in turns[MATRIX][1:])
    tokens = sum(turn["tokens"] for turn in turns[OURS])
    reached = tokens_per_s * turns[MATRIX][0]["arithmetic"] / tokens
    return (f"Effective arithmetic of ours: {reached / 1e9:.1f} GFLOP/s, {reached / peak:.0%} of the {peak / 1e9:.1f} "
            "GFLOP/s of matrix products.")


def parity(turns: dict[str, list[Facts]], outs: dict[str, str]) -> str:
    """One line on how far our losses and adapter are from the plain loop's."""
    losses = np.array([[turn["loss"] for turn in turns[name]] for name in (OURS, "plain loop")])
    mine, plain = (load_file(f"{outs[name]}/adapter/adapter_model.safetensors") for name in (OURS, "plain loop"))
    apart = np.sqrt(sum(float(((mine[key] - plain[key]) ** 2).sum()) for key in plain))
    norm = np.sqrt(sum(float((weight**2).sum()) for weight in plain.values()))
    return (f"Against the plain loop after {losses.shape[1]} steps: losses differ by at most "
            f"{np.abs(losses[0] - losses[1]).max():.1e} (of {losses[1][-1]:.3f}), the adapters by "
            f"{apart / norm:.1e} of their norm.")


if __name__ == "__main__":
    main()
