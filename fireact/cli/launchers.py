"""What runs the cells of a grid elsewhere than in this process: Hydra's launchers, which come as extras."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

# Option of hydra/launcher and extra that brings it, by the class that conf/hydra/launcher names.
_EXTRAS = {
    "JoblibLauncher": ("joblib", "joblib"),
    "LocalLauncher": ("submitit_local", "submitit"),
    "SlurmLauncher": ("submitit_slurm", "submitit"),
    "RayLauncher": ("ray", "ray"),
}
# Our options fill in the launchers' own of the same name, which Hydra does, but calls old-fashioned in every process.
warnings.filterwarnings("ignore", "\n'hydra/launcher/.*validated against ConfigStore schema", UserWarning)


def lend_path() -> None:
    """Let every process that is started from here find this package, installed or not, whatever its folder."""
    here = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


def runs_here(arguments: Sequence[str]) -> bool:
    """Whether the cells of a command find the devices of this machine; a cluster's nodes have their own."""
    chosen = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra/launcher=")]
    return not chosen or chosen[-1] in ("basic", "joblib")


def explain_launcher(error: BaseException) -> str | None:
    """The sentence for a launcher that is not installed; None for any other error."""
    named = re.search(r"'?hydra_plugins\.[\w.]+\.(\w+Launcher)\b", str(error))
    if named is None or named[1] not in _EXTRAS:
        return None
    option, extra = _EXTRAS[named[1]]
    return f"hydra/launcher={option} needs the extra: pip install fireact[{extra}]"
