"""Grids whose cells run in other processes, as a user starts them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
from hydra.utils import instantiate

from fireact.cli import composing
from fireact.cli.launchers import explain_launcher
from tests.conftest import ROOT

PLUGINS = {"joblib": "hydra_joblib_launcher", "submitit_local": "hydra_submitit_launcher"}


@pytest.fixture
def grid(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``generate.py`` over a grid of instant cells below ``tmp_path``."""

    def run(*overrides: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "generate.py"), *overrides, f"runs_dir={tmp_path}/runs", "-m"],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return run


def installed(plugin: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.{plugin}") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("launcher", PLUGINS)
def test_cells_in_other_processes_leave_the_folders_of_cells_in_this_one(grid, tmp_path, launcher):
    if not installed(PLUGINS[launcher]):
        pytest.skip(f"{PLUGINS[launcher]} is not installed: pip install fireact[{launcher.split('_')[0]}]")
    done = grid("task.limit=1,2", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    cells = [path.parent for path in sorted((tmp_path / "runs").glob("generate/*/trajectories.jsonl"))]
    assert [cell.name.rpartition("-")[2] for cell in cells] == ["task.limit@1", "task.limit@2"]
    assert [len((cell / "trajectories.jsonl").read_text().splitlines()) for cell in cells] == [1, 2]
    assert {path.name for path in (tmp_path / "runs").iterdir()} <= {"generate", "multirun.yaml", ".submitit"}


@pytest.mark.filterwarnings("ignore:.*validated against ConfigStore schema")
def test_a_slurm_job_asks_for_what_the_option_says(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit", reason="submitit is not installed: pip install fireact[submitit]")
    (tmp_path / "srun").touch(mode=0o755)  # by which submitit tells a cluster
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    executors = []
    monkeypatch.setattr(submitit.AutoExecutor, "map_array", lambda self, *args: executors.append(self) or [])
    asked = [f"hydra.launcher.{key}" for key in ("gpus_per_node=1", "partition=gpu", "setup=[module load cuda]")]
    composing.register_resolvers()
    with composing.hydra_ready():
        overrides = [f"runs_dir={tmp_path}/runs", "hydra/launcher=submitit_slurm", *asked]
        cfg = hydra.compose("train", overrides, return_hydra_config=True)
        cfg.hydra.job.name = "train"  # which a running script has
        launcher = instantiate(cfg.hydra.launcher)
        launcher.setup(hydra_context=None, task_function=None, config=cfg)
        launcher.launch([["seed=0"]], initial_job_idx=0)
    script = executors[0]._executor._make_submission_file_text("command", "uid")
    lines = set(re.findall(r"^#SBATCH --(\S+)", script, re.MULTILINE))
    assert {"partition=gpu", "nodes=1", "gpus-per-node=1", "cpus-per-task=8", "mem=32GB", "time=1440"} <= lines
    assert "\nmodule load cuda\n" in script
    assert executors[0]._executor.max_num_timeout == 10


@pytest.mark.skipif(installed("hydra_ray_launcher"), reason="the launcher is installed")
def test_a_launcher_that_is_not_installed_is_one_sentence(grid):
    failed = grid("task.limit=1", "hydra/launcher=ray")
    assert failed.returncode == 1
    assert failed.stderr == "hydra/launcher=ray needs the extra: pip install fireact[ray]\n"


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("Unknown plugin class : 'hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher'",
         "hydra/launcher=joblib needs the extra: pip install fireact[joblib]"),
        ("Could not instantiate plugin hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher : why",
         "hydra/launcher=submitit_slurm needs the extra: pip install fireact[submitit]"),
        ("Unknown plugin class : 'hydra_plugins.theirs.OtherLauncher'", None),
        ("out of memory", None),
    ],
)  # fmt: skip
def test_which_extra_brings_a_launcher(message, sentence):
    assert explain_launcher(RuntimeError(message)) == sentence
