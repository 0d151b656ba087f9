"""Let a teacher act and keep its right trajectories: trajectories.jsonl in a run folder.

python generate.py                                     the oracle teacher of the embedded world
python generate.py method=react,cot,reflexion -m       one run folder per method
"""

from __future__ import annotations

import fireact.starting  # noqa: F401 - before all that takes time to import
from fireact import cli
from fireact.runs import sweep
from fireact.runs.collect import collect


@cli.main("generate", sweep.Collecting())
def main(cfg: cli.Config) -> float:
    """Act, select and write; returns the number of trajectories kept."""
    return float(collect(cfg))


if __name__ == "__main__":
    main()
