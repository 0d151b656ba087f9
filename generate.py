"""Let a teacher act and keep its right trajectories: trajectories.jsonl in a run folder.

python generate.py                                     the oracle teacher of the embedded world
python generate.py method=react,cot,reflexion -m       one run folder per method
"""

from __future__ import annotations

from fireact import cli
from fireact.runs import planning, sweep


@cli.main("generate", sweep.checked_only, planning.show)
def generate(cfg: cli.Config) -> float:
    """Act, select and write; returns the number of trajectories kept."""
    from fireact.runs import acting

    sweep.check(cfg)
    return float(acting.collect(cfg))


if __name__ == "__main__":
    generate()
