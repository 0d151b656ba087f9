"""What reaches W&B, read back from the file of a run that was kept offline."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import ConfigError
from fireact.runs.dashboard import COLUMNS, Silent, WandbRun, opened, row
from fireact.runs.redaction import without_secrets
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from tests.conftest import ROOT
from tests.faulty.server import Server, silence
from tests.wandb_file import written

CONFIG = {"seed": 1, "optim": {"lr": 0.1}, "sizes": [1, 2]}
QUESTION = Question("q", "Who wrote <b>X</b>?", "Y", "hotpotqa", "dev")
TRAJECTORY = Trajectory(
    QUESTION, "fireact", (Step("I look.", "search", "X", "X is by Y."), Step("Y did.", "finish", "Y")), Ending.FINISH,
    "Y", Score(1.0, 1.0, True), provenance={"search": "bm25[wiki] k=1"},
)  # fmt: skip
ROW = [
    "Who wrote <b>X</b>?", "Y", "Y", True, "finish", 2, "fireact", "hotpotqa", "bm25[wiki] k=1",
    "Thought: I look.\nAction: search[X]\nObservation: X is by Y.\nThought: Y did.\nAction: finish[Y]",
]  # fmt: skip
METRICS = {"em": 0.5, "em_ci95": [0.1, 0.9], "endings": {"finish": 2}, "rounds_mean": 2.5}


@dataclass
class Table:
    title: str = "Table 4"
    header: tuple[str, ...] = ("mix", "EM")
    rows: tuple[tuple[str, ...], ...] = (("react", "39.2"), ("react_cot", "41.0"))
    notes: tuple[str, ...] = ("n = 500.",)


@pytest.fixture
def dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WandbRun]:
    """Makes a dashboard for ``tmp_path/cell`` that stays on this disk."""
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    for name in "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR":
        monkeypatch.setenv(name, str(tmp_path / "wandb_places"))
    for name in "WANDB_RUN_ID", "WANDB_MODE", "WANDB_API_KEY":
        monkeypatch.delenv(name, raising=False)
    return lambda **options: WandbRun(tmp_path / "cell", **{"offline": True, **options})


def table(folder: Path, history_row: dict[str, Any], key: str) -> dict[str, Any]:
    """The table that was logged as ``key``, which lies in a file of its own."""
    [path] = (folder / "wandb").glob(f"offline-run-*/files/{history_row[f'{key}/path']}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_a_cell_is_a_run_with_its_configuration_losses_scores_trajectories_and_adapter(dashboard, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights").write_text("W")
    with opened(dashboard(group="multi_method"), CONFIG, "train") as shown:
        shown.log({"loss": 2.0, "lr": 0.1}, step=1)
        shown.log({"val_loss": 1.5}, step=1)
        shown.tuned({"train_loss": 2.0, "val_loss": None}, tmp_path / "adapter")
        shown.evaluated(METRICS, [TRAJECTORY])
        shown.evaluated({"em": 0.25}, [TRAJECTORY, TRAJECTORY], name="bamboogle")
    [run] = written(tmp_path / "cell")
    assert (run.run.project, run.run.run_group, run.run.display_name) == ("fireact", "multi_method", "cell")
    assert (run.run.job_type, run.exit_code) == ("train", 0)
    assert {key: run.config[key] for key in CONFIG} == CONFIG
    logged = [{key: value for key, value in row.items() if key[0] != "_"} for row in run.history]
    assert logged[:2] == [{"loss": 2.0, "lr": 0.1, "step": 1}, {"val_loss": 1.5, "step": 1}]
    expected = {
        "em": 0.5, "em_ci95": [0.1, 0.9], "endings": {"finish": 2}, "rounds_mean": 2.5, "bamboogle/em": 0.25,
        "tuning/train_loss": 2.0, "tuning/val_loss": None, "loss": 2.0, "val_loss": 1.5,
    }  # fmt: skip
    assert {key: run.summary[key] for key in expected} == expected
    trajectories = table(tmp_path / "cell", logged[2], "trajectories")
    assert (trajectories["columns"], trajectories["data"]) == ([*COLUMNS], [ROW])
    assert table(tmp_path / "cell", logged[3], "bamboogle/trajectories")["data"] == [ROW, ROW]
    [artifact] = [artifact for artifact in run.artifacts if artifact.type == "model"]  # tables are artifacts too
    assert artifact.name == "cell-adapter"
    assert [entry.path for entry in artifact.manifest.contents] == ["weights"]
    digest = "fcb5f40df9be6bae66c1d77a6c15968866a9e6cbd7314ca432b019d17392f6f4"
    assert json.loads(artifact.metadata) == {"train_loss": 2.0, "val_loss": None, "sha256": {"weights": digest}}


def test_several_cells_in_one_process_are_runs_of_their_own_and_a_folder_goes_on_with_its_own(dashboard, tmp_path):
    other = WandbRun(tmp_path / "other", offline=True)
    for run in dashboard(), other, dashboard():
        with opened(run, {}, "train") as shown:
            shown.log({"loss": 1.0}, step=1)
    first, again = written(tmp_path / "cell")
    assert first.run.run_id == again.run.run_id != written(tmp_path / "other")[0].run.run_id
    assert first.run.run_group == "train"


def test_long_names_are_cut_to_what_w_and_b_takes_and_stay_apart(dashboard, tmp_path):
    names = ["é" + "x" * 199 + end for end in "ab"]
    for name in names:
        with opened(WandbRun(tmp_path / name, offline=True), {}, "train") as shown:
            (tmp_path / name / "adapter").mkdir()
            shown.tuned({}, tmp_path / name / "adapter")
    runs = [written(tmp_path / name)[0] for name in names]
    assert len({run.run.display_name for run in runs}) == len({run.artifacts[0].name for run in runs}) == 2
    assert all(len(name) == 128 for run in runs for name in (run.run.display_name, run.artifacts[0].name))


def test_a_run_that_breaks_off_is_marked_as_failed(dashboard, tmp_path):
    with pytest.raises(KeyboardInterrupt), opened(dashboard(), {}, "train"):
        raise KeyboardInterrupt
    assert written(tmp_path / "cell")[0].exit_code == 1


def test_the_table_of_a_grid_is_a_report(dashboard, tmp_path):
    with opened(dashboard(group="multi_method"), {}, "report") as shown:
        shown.table(Table())
    [run] = written(tmp_path / "cell")
    assert run.run.job_type == "report"
    content = table(tmp_path / "cell", run.history[0], "Table 4")
    assert (content["columns"], content["data"]) == (["mix", "EM"], [["react", "39.2"], ["react_cot", "41.0"]])
    assert run.run.notes == "Table 4\nn = 500."


def test_an_agent_of_a_sweep_names_the_run_itself(dashboard, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents")
    with opened(dashboard(), {}, "train"):
        pass
    assert written(tmp_path / "cell")[0].run.run_id == "agents"


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_only_the_first_rank_talks_to_it(dashboard, tmp_path, monkeypatch, rank):
    monkeypatch.setenv(rank, "1")
    with opened(dashboard(), {}, "train") as shown:
        shown.log({"loss": 1.0}, step=1)
    assert not (tmp_path / "cell").exists()


def test_a_failing_dashboard_is_said_once_and_costs_the_run_nothing(dashboard, caplog):
    caplog.set_level(logging.WARNING)
    shown = dashboard()
    shown.open({}, "train")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the service is gone.\nlong story")

    run, shown._run.log = shown._run, fail
    for step in 1, 2:
        shown.log({"loss": 1.0}, step)
    shown.close()
    run.finish()
    [said] = caplog.messages
    assert said.startswith("W&B failed (the service is gone); the run goes on without it, and ")


def test_without_a_key_it_is_one_sentence(dashboard, tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="^W&B has no key; run wandb login, set WANDB_API_KEY, or add logger.offline"):
        dashboard(offline=False).open({}, "train")


@pytest.mark.slow
def test_a_server_that_never_answers_is_left_at_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr("fireact.runs.dashboard._PATIENCE_S", 0.5)
    started = time.monotonic()
    with Server(lambda *_: silence) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        with pytest.raises(ConfigError, match="^W&B refuses the run "):
            WandbRun(tmp_path).open({}, "train")
    assert time.monotonic() - started < 10


def test_without_wandb_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"^logger=wandb needs the extra: pip install fireact\[wandb\]$"):
        WandbRun(tmp_path).open({}, "train")


def test_whatever_is_no_dashboard_is_a_silent_one(tmp_path):
    for logger in None, object():
        with opened(logger, CONFIG, "train") as shown:
            assert isinstance(shown, Silent)
            shown.log({"loss": 1.0}, 1)
            shown.tuned({}, tmp_path)
            shown.evaluated({}, [TRAJECTORY])
            shown.table(Table())


def test_secrets_of_the_environment_never_leave(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-12345678")
    monkeypatch.setenv("SHORT_TOKEN", "no")
    config = {"a": ["x sk-12345678"], "url": "https://me:pass@host/v1", "n": 3, "none": None, "no": "no"}
    cleaned = {"a": ["x $SOME_API_KEY"], "url": "https://host/v1", "n": 3, "none": None, "no": "no"}
    assert without_secrets(config) == cleaned


def test_a_turn_without_an_action_keeps_its_text():
    lost = (Step("Hm.", "", ""),), Ending.PARSE_FAILURE, "", Score(0.0, 0.0, False)
    trajectory = Trajectory(QUESTION, "react", *lost)
    assert row(trajectory)[3:6] == [False, "parse_failure", 0]
    assert row(trajectory)[-1] == "Hm."


def test_an_evaluation_shows_itself(dashboard, tmp_path):
    overrides = ["lm=oracle", "task.limit=2", "logger=wandb", "logger.offline=true", f"run_dir={tmp_path}/r"]
    command = ["evaluate.py", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [run] = written(tmp_path / "r")
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text(encoding="utf-8"))
    assert (run.run.job_type, run.run.run_group, run.config["task"]["limit"]) == ("evaluate", "evaluate", 2)
    assert (run.summary["em"], run.summary["task"]) == (metrics["em"], "miniwiki")
    rows = table(tmp_path / "r", run.history[0], "trajectories")["data"]
    predictions = (tmp_path / "r" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [row[0] for row in rows] == [json.loads(line)["question"]["text"] for line in predictions]
