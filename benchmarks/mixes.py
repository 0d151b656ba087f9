"""What every mix holds, as a Markdown table: its trajectories by task and method, read as train.py reads them.

    FIREACT_DATA=DIR python benchmarks/mixes.py [data=hotpotqa,mixed] [size=all,n100]

A mix that can't be had is named with its reason. Trajectories of the embedded world are collected where missing.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fireact.cli import build, compose  # noqa: E402
from fireact.errors import FireActError  # noqa: E402
from fireact.runs.collect import collect  # noqa: E402

METHODS = "react,reflexion,react_cot,react_reflexion,react_cot_reflexion"
AXES = {"data": "hotpotqa,mixed", "method": METHODS, "size": "all"}


def main() -> None:
    axes = {**AXES, **dict(argument.split("=", 1) for argument in sys.argv[1:])}
    print("| " + " | ".join([*axes, "all", "by task and method"]) + " |\n" + "|---" * (len(axes) + 2) + "|")
    for values in itertools.product(*(value.split(",") for value in axes.values())):
        try:
            counts = held([f"{axis}={value}" for axis, value in zip(axes, values, strict=True)])
            cells = [str(counts.total()), ", ".join(f"{name} {number:,}" for name, number in counts.items())]
        except FireActError as error:
            cells = ["–", str(error)]
        print("| " + " | ".join([*values, *cells]) + " |")


def held(overrides: list[str]) -> Counter[str]:
    """How many trajectories of each task and method the composed mix takes."""
    mix = build(compose("train", overrides).data)
    for source in mix.missing():
        collect(compose("generate", source.generate))
    return Counter(f"{t.question.task} {t.method}" for t in mix.load())


if __name__ == "__main__":
    main()
