"""Tuning against what people use today, as ratios within one run: real tokens per second and peak memory.

    python benchmarks/training.py [--rows N] [--batch N] [--only NAME …] [--python-trl PATH] [override of train.py …]

Every contender tunes the same backbone (the embedded one) with the same LoRA in float32 on the same trajectories (the
500 released HotpotQA ones) in the same order, in a process of its own. They take turns of one optimizer step, in bouts
of a few so that they fit into memory together; ours is in each bout, and every ratio is to ours of the same one. The
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

OURS, PLAIN, MATRIX = "ours", "plain loop", "matrix products"
BOUTS = [
    [PLAIN, MATRIX],
    ["ours, QLoRA", "ours, QLoRA de-quantised once"],
    ["paper's recipe"],
    ["TRL as it comes"],
    ["TRL packed", "TRL packed, no checkpointing"],
]
HEADER = ["", "real tokens/s", "ours is so many times as fast", "peak memory, GiB", "times ours"]


def main() -> None:
    arguments, overrides = _arguments()
    bouts = [[name for name in bout if name in (arguments.only or bout)] for bout in BOUTS]
    if not _has_trl(arguments.python_trl):
        print(f"{arguments.python_trl} has no TRL, so its rows are left out; see --help", file=sys.stderr)
        bouts = [[name for name in bout if "TRL" not in name] for bout in bouts]
    steps = -(-arguments.rows // arguments.batch)
    facts = {"overrides": ["data=hotpotqa", "packing=true", *overrides], "steps": steps}
    plan = json.dumps({**facts, "rows": arguments.rows, "batch": arguments.batch})
    rows: list[list[str]] = []
    for bout in filter(None, bouts):
        lines = compete([OURS, *bout], plan, steps, arguments.python_trl)
        rows += lines[1:] if rows else lines
    print(f"\n{table(HEADER, rows)}")


def compete(names: list[str], plan: str, steps: int, python_trl: str) -> list[list[str]]:
    """One bout: its rows of the table; what it shows besides is printed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        path.write_text(plan)
        outs = {name: f"{folder}/{number}" for number, name in enumerate(names)}
        python = {name: python_trl if "TRL" in name else sys.executable for name in names}
        script = f"{ROOT}/benchmarks/trainers.py"
        turns, ends = take_turns({name: [python[name], script, name, str(path), outs[name]] for name in names}, steps)
        if MATRIX in names:
            print(share(turns, rate(turns[OURS][1:])))
        if PLAIN in names:
            print(parity(turns, outs))
    rows = [row(name, turns, ends) for name in names if name != MATRIX]
    print(table(HEADER, rows), file=sys.stderr)
    return rows


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="trajectories (500)")
    parser.add_argument("--batch", type=int, default=16, help="trajectories in an optimizer step (16)")
    names = [name for bout in BOUTS for name in bout]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="beside ours: " + ", ".join(names))
    parser.add_argument("--python-trl", default=sys.executable, help="a Python that has TRL")
    return parser.parse_known_args()


def _has_trl(python: str) -> bool:
    found = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('trl'))"
    return subprocess.run([python, "-c", found]).returncode == 0


def row(name: str, turns: dict[str, list[Facts]], ends: dict[str, Facts]) -> list[str]:
    """One line of the table."""
    ours, its = (rate(turns[who][1:]) for who in (OURS, name))
    memory, base = ends[name]["peak"], ends[OURS]["peak"]
    return [name, f"{its:.0f}", f"{ours / its:.2f}", f"{memory / 2**30:.2f}", f"{memory / base:.2f}"]


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
    losses = np.array([[turn["loss"] for turn in turns[name]] for name in (OURS, PLAIN)])
    mine, plain = (load_file(f"{outs[name]}/adapter/adapter_model.safetensors") for name in (OURS, PLAIN))
    apart = np.sqrt(sum(float(((mine[key] - plain[key]) ** 2).sum()) for key in plain))
    norm = np.sqrt(sum(float((weight**2).sum()) for weight in plain.values()))
    return (f"Against the plain loop after {losses.shape[1]} steps: losses differ by at most "
            f"{np.abs(losses[0] - losses[1]).max():.1e} (of {losses[1][-1]:.3f}), the adapters by "
            f"{apart / norm:.1e} of their norm.")


if __name__ == "__main__":
    main()
