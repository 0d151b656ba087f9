"""What a grid costs beyond its cells' own work: twelve tunings, each acted out, in one command.

    python benchmarks/grid.py [--cells N] [--size n50] [override of train.py …]

Overhead is the whole command's time less the seconds that its cells spent in optimizer steps and in acting, as their
metrics.json files say: starting up, composing, loading backbones, tokenising, exporting adapters, tables, figures and
the page. Run again at once, the command finds everything finished; that time is the second figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments, overrides = _arguments()
    seeds = ",".join(map(str, range(arguments.cells)))
    with tempfile.TemporaryDirectory() as folder:
        axes = [f"size={arguments.size}", f"seed={seeds}", f"runs_dir={folder}/runs"]
        command = [sys.executable, "train.py", "-m", *axes, *overrides]
        wall, again = seconds(command), seconds(command)
        metrics = [json.loads(path.read_text()) for path in Path(folder).rglob("metrics.json")]
    fits = [found["seconds"] for found in metrics if "steps" in found]
    acting = [found["seconds"] for found in metrics if "steps" not in found]
    work = sum(fits) + sum(acting)
    print(f"{len(fits)} fits of {sum(fits):.0f} s and {len(acting)} rollouts of {sum(acting):.0f} s took {wall:.0f} s: "
          f"overhead {wall / work - 1:.1%}, {(wall - work) / len(fits):.2f} s a cell. Again: {again:.1f} s.")


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=12, help="tunings, one a seed (12)")
    parser.add_argument("--size", default="n50", help="trajectories of each (n50)")
    return parser.parse_known_args()


def seconds(command: list[str]) -> float:
    """Of one run of the command, which must succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
