"""``plan=true``: what a command would do, need and take, and that it does nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

from fireact import cli
from fireact.cli import composing
from fireact.errors import DataError
from fireact.models import device, hub, speed
from fireact.models.device import Device
from fireact.models.shape import LLAMA2_7B, Tuning
from fireact.runs import planning, preflight
from fireact.runs.preflight import jobs
from fireact.runs.result_keys import result_keys
from fireact.trajectories.storage import download
from tests.conftest import ROOT

H100 = Device("gpu", "NVIDIA H100 80GB HBM3", 80 * 2**30)


@pytest.fixture
def plan(tmp_path, tiny_folder, monkeypatch, capsys):
    """What ``plan=true`` prints of a command, its lines cut into cells, and how many refusals there are."""
    monkeypatch.setattr(preflight, "_passed", set())
    monkeypatch.setattr(jobs, "_checked", set())
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr(device, "found", lambda: Device("cpu", "CPU", 24 * 2**30))
    places = [f"runs_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache"]
    rows = [{"instruction": f"Who {n}?", "input": "", "output": "Thought: Y.\nAction: search[Y]\nObservation: Y.\n"
             "Thought: Y.\nAction: finish[Y]\nObservation: Episode finished, reward = True\n"} for n in range(5)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    tiny, data = ["backbone=tiny_random", f"backbone.path={tiny_folder}"], ["data=file", f"data.path={tmp_path}/t.json"]

    def files():
        return [path for path in sorted(tmp_path.rglob("*")) if path.suffix and "probes" not in path.parts]

    def show(script, *overrides):
        own = data if script == "train" and "data=hotpotqa" not in overrides else []
        arguments = [*places, *tiny, *own, *overrides]
        cells = composing.plan(script, arguments) or [cli.compose(script, arguments)]
        before = files()
        refused = planning.show(cli.Sweep(None, tmp_path / "grid", "", cells, sweeps="-m" in overrides))
        assert files() == before
        lines = capsys.readouterr().out.splitlines()
        return [[part.strip() for part in line.strip("│").split("│")] for line in lines if "│" in line], lines, refused

    return show


@pytest.mark.slow
def test_a_tuning_s_amounts_are_those_of_the_run(plan):
    (row,), lines, refused = plan("train", "optim.epochs=3", "optim.batch_size=2")
    folder, state, trajectories, tokens, steps, epochs, memory, time = row
    assert "/runs/train/tiny_random-qlora-react-file-all-seed0-" in folder
    assert (state, trajectories, steps, epochs) == ("new", "own/react 5", "9", "3")
    assert int(tokens.replace(",", "")) > 5 and memory.endswith("GiB") and "a probe of matrix products" in time
    assert refused == 0 and "everything that can be known beforehand is there" in lines[-1]


def test_what_cells_share_is_shown_once(plan):
    act = ["act.task=[miniwiki]", "act.prompted=[react]", "act.limit=3"]
    rows, _, refused = plan("train", "seed=0,1", "-m", *act)
    assert refused == 0
    acting = [row for row in rows if "-miniwiki-bm25-n3" in row[0]]
    assert [row[1] for row in acting] == ["new, shared by 2 cells", "new", "new"]
    assert {row[2] for row in acting} == {"3 of miniwiki"} and {row[3] for row in acting} == {"BM25"}


def test_a_sweep_of_one_cell_acts_too(plan):
    rows, _, refused = plan("train", "-m", "act.task=[miniwiki]", "act.prompted=[react]", "act.limit=3")
    assert (refused, len(rows), len([row for row in rows if "-miniwiki-bm25-n3" in row[0]])) == (0, 3, 2)


def test_rows_that_are_held_out_make_no_steps(plan):
    (row,), _, refused = plan("train", "optim.epochs=1", "optim.batch_size=1", "val_fraction=1")
    assert (refused, row[4]) == (0, "4")


def test_every_refusal_is_listed(plan, monkeypatch):
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    _, lines, refused = plan("evaluate", "search=serpapi", "method.prompt=no.txt", "tuned=nowhere")
    assert refused == 3
    said = [line for line in lines if line.startswith("refused: ")]
    assert [any(words in line for line in said) for words in ("SERPAPI_API_KEY", "no.txt", "nowhere")] == [True] * 3
    assert lines[-1].startswith("3 to be put right first;")


def test_what_would_be_fetched_is_named_and_not_fetched(plan, monkeypatch):
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    _, lines, refused = plan("train", "data=hotpotqa")
    assert refused == 0
    note = "note: fireact/alpaca_format/hotpotqa.json is to be fetched from https:"
    assert any(line.startswith(note) for line in lines)


@pytest.mark.parametrize(("script", "asked", "files"), [
    ("train", ["data=hotpotqa", "method=react_cot"], ["hotpotqa.json", "hotpotqa_multimethod.json"]),
    ("generate", ["task=hotpotqa", "task.questions=train", "lm=huggingface"],
     ["train-00000-of-00002", "train-00001-of-00002"]),
])
def test_every_file_that_would_be_fetched_is_named(plan, monkeypatch, tmp_path, script, asked, files):
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    _, lines, _ = plan(script, *asked)
    notes = " ".join(line for line in lines if line.startswith("note: "))
    assert [notes.count(f"{file} is") + notes.count(f"{file}.parquet is") for file in files] == [1, 1]


def test_what_a_paid_model_may_cost_at_most(plan, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    lm = ["lm=openai", "lm.model=m", "+lm.prices.m.input=0", "+lm.prices.m.output=100", "task.limit=10",
          "lm.max_new_tokens=50", "method.max_rounds=4", "search=bm25"]  # fmt: skip
    monkeypatch.setattr("fireact.runs.preflight.to_act._connect", lambda *_: None)
    [row], *_ = plan("evaluate", *lm)
    assert row[-1] == "at most $0.20"
    [row], *_ = plan("evaluate", *lm, "lm.budget_usd=0.05")
    assert row[-1] == "at most $0.05"
    judge = ["measure=judge", "measure.lm.model=j", "measure.lm.max_new_tokens=50"]
    [row], *_ = plan("evaluate", *lm, *judge, "+measure.lm.prices.j={input: 0, output: 100}")
    assert row[-1] == "at most $0.20; j as judge about $0.05"


def test_a_finished_and_a_begun_run_are_told_from_a_new_one(plan, tmp_path):
    for name, files in {"done": ["config.yaml", "metrics.json"], "begun": ["config.yaml"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    states = [plan("evaluate", f"run_dir={tmp_path}/{name}")[0][0][1] for name in ("done", "begun", "other")]
    assert states == ["finished", "resumes", "new"]


def test_a_rate_comes_from_earlier_runs_before_anything_else(tmp_path):
    like = {"backbone.name": "a", "trainer.accelerator": "cpu"}
    for name, backbone, tokens, steps in ("1", "a", 10, 10), ("2", "a", 30, 50), ("3", "b", 99, 50), ("4", "a", 1, 9):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        config = {"backbone": {"name": backbone}, "trainer": {"accelerator": "cpu"}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "metrics.json").write_text(json.dumps({"tokens_per_s": tokens, "steps": steps}))
    qlora = Tuning("lora", 2, "nf4")
    assert speed.rate(tmp_path, like, H100, LLAMA2_7B, qlora, True) == speed.Rate(20, "2 earlier runs like it")
    measured = speed.rate(tmp_path / "none", like, H100, LLAMA2_7B, qlora, True)
    assert measured == speed.Rate(15_842, "docs/performance.md, by the model's size")
    assert speed.rate(tmp_path / "none", like, Device("gpu", "Another", 2**30), LLAMA2_7B, qlora, True) is None
    assert speed.rate(tmp_path / "none", like, Device("cpu", "CPU", 2**30), None, qlora, True) is None


def test_a_dry_block_ends(tmp_path, monkeypatch):
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setattr(download, "_from_network", lambda *_: tmp_path)
    with pytest.raises(DataError, match="bamboogle/test.csv is to be fetched from https"), download.dry():
        download.fetch("bamboogle/test.csv", tmp_path)
    assert download.fetch("bamboogle/test.csv", tmp_path) == tmp_path


def test_planning_shapes_no_run():
    plain, planned = cli.compose("train"), cli.compose("train", ["plan=true"])
    assert plain.run_dir == planned.run_dir
    assert result_keys(cli.resolved(plain)) == result_keys(cli.resolved(planned))


def test_a_script_prints_its_plan_and_exits_by_it(tmp_path):
    command = [sys.executable, str(ROOT / "generate.py"), "plan=true", "task.limit=2", f"runs_dir={tmp_path}/runs"]
    env = dict(os.environ)
    ready = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert (ready.returncode, "2 of miniwiki" in ready.stdout, ready.stderr) == (0, True, "")
    grid = [*command, "search=bm25,serpapi", "-m"]
    env.pop("SERPAPI_API_KEY", None)
    refused = subprocess.run(grid, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert (refused.returncode, refused.stdout.count("refused: SERPAPI_API_KEY is not set")) == (1, 1)
    assert not list(tmp_path.iterdir())
