"""The three scripts as a user calls them, from a question to a scored, tuned model, on a tiny Llama."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from fireact.reporting.grid import read_grid
from tests.conftest import ROOT
from tests.trajectories.storage.test_folders import everything
from tests.wandb_file import written

# What a user's shell has: other tests of this process may have left W&B's service or a rank behind.
OUTSIDE = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_") and "RANK" not in key}
ACTING = ["act.task=[miniwiki]", "act.prompted=[]", "act.limit=2", "act.overrides=['lm.max_new_tokens=8']"]


def hear_ctrl_c() -> None:
    """A shell's background processes, these tests perhaps among them, ignore it, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def run(tmp_path):
    """``run("train.py", "key=value", …)`` calls a script with its runs and cache under ``tmp_path``."""

    def call(script: str, *overrides: str, until: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """``until`` is what it says before Ctrl-C is pressed."""
        places = [f"runs_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache"]
        command = [sys.executable, str(ROOT / script), *overrides, *places]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        env = {**OUTSIDE, "OMP_NUM_THREADS": "1", **environment}
        with subprocess.Popen(command, cwd=tmp_path, env=env, preexec_fn=hear_ctrl_c, **pipes) as process:
            try:
                said = ""
                while until not in said:
                    said += process.stdout.readline()
                if until:
                    process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=300)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, said + out, err)

    return call


def test_from_a_question_to_a_scored_tuned_model(run, tiny_folder, tmp_path):
    """The paper's backbone and recipe by QLoRA, in the sweep that users start from, on weights of its architecture."""
    collected = run("generate.py", "task.split=train", "task.limit=8", f"run_dir={tmp_path}/teacher")
    assert collected.returncode == 0, collected.stderr
    assert "miniwiki by react: kept 8 of 8 asked" in collected.stdout
    backbone = ["backbone=llama2_7b", f"backbone.path={tiny_folder}"]
    data = ["data=file", f"data.path={tmp_path}/teacher/trajectories.jsonl", "size.n=6"]
    sweep = ["train.py", *backbone, *data, "optim.epochs=1", "optim.batch_size=3", "seed=0,1", "-m", *ACTING]
    tuned = run(*sweep)
    assert tuned.returncode == 0, tuned.stderr
    cells = sorted((tmp_path / "runs" / "train").iterdir())
    assert [cell.name[-5:] for cell in cells if (cell / "adapter" / "adapter_model.safetensors").is_file()] == [
        cell.name[-5:] for cell in cells
    ]
    assert [json.loads((cell / "metrics.json").read_text())["steps"] for cell in cells] == [2, 2]
    again = run(*sweep).stdout
    assert again.count("is finished already; nothing to do") == 2  # the tunings
    assert again.count("is finished already (EM 0.000); nothing to do") == 2  # what they acted out
    acting = ["method=fireact", f"tuned={cells[0]}/adapter", "task.limit=2", "lm.max_new_tokens=8"]
    acted = run("evaluate.py", *backbone, *acting, f"run_dir={tmp_path}/acted")
    assert acted.returncode == 0, acted.stderr
    metrics = json.loads((tmp_path / "acted" / "metrics.json").read_text())
    assert (metrics["n"], metrics["corpus"], metrics["retriever"]) == (2, "miniwiki", "bm25[miniwiki] k=1")
    assert len((tmp_path / "acted" / "predictions.jsonl").read_text().splitlines()) == 2
    saved = cells[1] / "adapter" / "adapter_model.safetensors"
    tuned_weights = saved.read_bytes()
    saved.write_bytes(tuned_weights[:-1] + bytes([tuned_weights[-1] ^ 1]))  # one bit
    again = run(*sweep)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("it is written again from the last checkpoint") == 1
    assert saved.read_bytes() == tuned_weights
    other = run("evaluate.py", "backbone=codellama_7b", f"backbone.path={tiny_folder}", *acting)
    assert (other.returncode, other.stderr.count("\n")) == (1, 1)
    assert "was trained on meta-llama/Llama-2-7b-chat-hf in alpaca format, not on codellama" in other.stderr


@pytest.mark.parametrize("command", [
    ["train.py", "backbone=tiny_random"],
    ["generate.py", "hydra.verbose=true"],
    ["evaluate.py", "lm=oracle"],
], ids=lambda command: command[0])
def test_a_folder_of_somebody_else_s_is_refused_and_left_as_it_is(run, tmp_path, command):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "trajectories.jsonl").write_text('{"a": 1}')
    (folder / "train.log").symlink_to(tmp_path / "outside")
    before = everything(folder)
    failed = run(*command, f"run_dir={folder}")
    sentence = "theirs holds files and is no run folder of ours, so nothing in it was touched; name a new or an empty "
    assert (failed.returncode, failed.stderr) == (1, f"{sentence}folder as run_dir\n")
    assert everything(folder) == before and not (tmp_path / "outside").exists()


@pytest.fixture
def sweep(run, tiny_folder, tmp_path):
    """A sweep of ``train.py`` over tiny tunings; ``-m`` and the axes are the caller's."""
    assert run("generate.py", "task.split=train", "task.limit=8", f"run_dir={tmp_path}/teacher").returncode == 0
    data = ["data=file", f"data.path={tmp_path}/teacher/trajectories.jsonl"]
    tiny = ["backbone=tiny_random", f"backbone.path={tiny_folder}", *data, *ACTING]
    return lambda *axes, **options: run("train.py", *tiny, *axes, **options)


@pytest.mark.slow
@pytest.mark.parametrize("apart", ["false", "true"])
def test_a_failed_cell_leaves_the_others_and_a_table(sweep, tmp_path, apart):
    axes = ["size.n=4", "optim.lr=0.001,1e30", f"process_per_cell={apart}", "-m"]
    done = sweep(*axes)
    assert done.returncode == 1
    *_, sentence, last = done.stderr.splitlines()
    assert "lower optim.lr" in sentence and last == "1 of 2 cells failed; run the same command to try them again"
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "runs" / "grids").iterdir()
    cells = json.loads((folder / "grid.json").read_text())["cells"]
    assert [cell["failed"] for cell in cells] == ["", sentence]
    assert [cell["axes"]["optim.lr"] for cell in cells] == ["0.001", "1e+30"]
    assert (folder / "report.html").is_file() and (folder / "sweep.csv").is_file()
    again = sweep(*axes)
    assert "train loss" in done.stdout and "train loss" not in again.stdout


def test_trajectories_that_there_are_not_are_refused_by_name_before_the_first_cell(sweep, tmp_path):
    for asked, sentence in {
        "size.n=4,99": "size asks for 99 trajectories of react, but only 8 fit the mix; ask for fewer",
        "method=react,react_io": "the mix holds no usable trajectory of io, only 8 of react; choose another",
    }.items():
        done = sweep(asked, "-m")
        assert (done.returncode, done.stderr.count("\n"), sentence in done.stderr) == (1, 1, True), done.stderr
        assert "cell 1" not in done.stdout and not (tmp_path / "runs" / "train").exists()


@pytest.mark.slow
def test_default_axes_leave_out_what_there_is_not_and_the_table_says_so(sweep, tmp_path):
    done = sweep("experiment=multi_method", "act.prompted=[]")
    assert done.returncode == 0, done.stderr
    assert "cell 1 of 1: " in done.stdout and done.stdout.count("left out: ") == 3
    (folder,) = (tmp_path / "runs" / "grids").iterdir()
    assert len(read_grid(folder).cells) == 1
    table = (folder / "multi_method.md").read_text()
    assert "Left out: method=reflexion,react_reflexion on data=file: the mix holds no usable trajectory" in table
    assert "miniwiki: 4 ReAct" in table
    assert [path.name for path in (tmp_path / "runs" / "train").iterdir()] == [read_grid(folder).cells[0].fit.name]


@pytest.mark.slow
def test_a_method_whose_every_trajectory_is_too_long_is_not_trained_without(run, tiny_folder, tmp_path):
    long = " ".join(["word"] * 400)
    rows = [{"instruction": "Q?", "output": f"Thought: {thought}\nAction: finish[a]\nObservation: Episode finished, "
             f"reward = {reward}"} for thought, reward in [("Short.", "True\n"), (long, "1")]]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    data = ["data=file", f"data.path={tmp_path}/rows.json", "method=react_cot"]
    done = run("train.py", "backbone=tiny_random", f"backbone.path={tiny_folder}", *data, "max_length=400")
    assert (done.returncode, done.stderr) == (1, "every trajectory of cot exceeds max_length=400; raise it\n")


def test_an_interrupted_sweep_shows_what_it_has(sweep, tmp_path):
    cut = sweep("size.n=4", "optim.epochs=1,2000", "-m", until="cell 2 of 2")
    assert cut.returncode == 130 and "run the same command to resume" in cut.stderr, cut.stderr
    assert "Traceback" not in cut.stderr
    (folder,) = (tmp_path / "runs" / "grids").iterdir()
    cells = json.loads((folder / "grid.json").read_text())["cells"]
    assert [cell["failed"] for cell in cells] == ["", "it is not finished; run the same command again"]
    assert (folder / "report.html").is_file() and "it is not finished" in (folder / "sweep.md").read_text()


@pytest.mark.slow
def test_one_tuning_under_two_names_is_paid_for_once(sweep, tmp_path):
    first = sweep("size.n=4", "-m")
    second = sweep("size.n=4", "loss_on=targets,all", "process_per_cell=true", "-m")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "is the same run as" in second.stdout and second.stdout.count("train loss") == 1
    grids = [read_grid(path.parent) for path in (tmp_path / "runs" / "grids").glob("*/grid.json")]
    rows = {cell.axes["loss_on"]: cell for grid in grids if len(grid.cells) == 2 for cell in grid.cells}
    fits = {loss_on: cell.fit for loss_on, cell in rows.items()}
    assert {loss_on: fit.is_symlink() for loss_on, fit in fits.items()} == {"targets": True, "all": False}
    assert [cell.failed for cell in rows.values()] == ["", ""]
    shutil.rmtree(fits["targets"].resolve())
    third = sweep("size.n=4", "loss_on=targets,all", "-m")  # the link is dead: this cell is tuned, the other is there
    assert (third.returncode, third.stdout.count("train loss")) == (0, 1), third.stderr
    assert not fits["targets"].is_symlink()


@pytest.mark.slow
def test_other_trajectories_under_the_same_name_are_not_taken_for_what_was_learnt(sweep, tmp_path):
    assert sweep("size.n=4", "-m").returncode == 0
    path = tmp_path / "teacher" / "trajectories.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    again = sweep("size.n=4", "-m")
    assert (again.returncode, "was made with data_sha256.path=" in again.stderr) == (1, True)
    (folder,) = (tmp_path / "runs" / "grids").iterdir()
    [cell] = read_grid(folder).cells
    assert "was made with data_sha256.path=" in cell.failed  # though there are results, of the other trajectories
    assert "was made with" in (folder / "sweep.md").read_text()


def test_what_cells_would_act_out_is_composed_before_the_first_of_them(sweep, tmp_path):
    done = sweep("size.n=4", "act.prompted=[react,nonsense]", "-m")
    assert (done.returncode, "nonsense does not exist; choose one of" in done.stderr) == (1, True)
    assert "train loss" not in done.stdout and not (tmp_path / "runs" / "train").exists()


@pytest.mark.slow
def test_prompting_alone_is_shown_on_a_dashboard_too(sweep, tmp_path):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    done = sweep("adapter=none", "act.prompted=[io,react]", "logger=wandb", "logger.offline=true", "-m")
    assert done.returncode == 0, done.stderr
    [cell] = (tmp_path / "runs" / "train").iterdir()
    [run] = written(cell)
    [second] = (key for key in run.summary if key.startswith("react-miniwiki-bm25-n2") and key.endswith("/em"))
    assert (run.summary["em"], run.summary[second], run.config["seed"]) == (0.0, 0.0, 0)


@pytest.mark.slow
def test_a_sweep_on_a_dashboard(sweep, tmp_path):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    done = sweep("size.n=4", "logger=wandb", "logger.offline=true", "-m")
    assert done.returncode == 0, done.stderr
    [cell] = (tmp_path / "runs" / "train").iterdir()
    [run] = written(cell)
    assert (run.run.run_group, run.run.job_type, run.exit_code) == ("train", "train", 0)
    assert (run.summary["em"], run.summary["tuning/steps"], run.config["seed"]) == (0.0, 2, 0)
    assert [artifact.type for artifact in run.artifacts if artifact.type == "model"] == ["model"]
    [grid] = (tmp_path / "runs" / "grids").iterdir()
    [report] = written(grid)
    assert (report.run.run_group, report.run.job_type) == ("train", "report")
    assert any(key.endswith("/path") for key in report.history[0])
    sweep("size.n=4", "logger=wandb", "logger.offline=true", "-m")
    assert len(written(cell)) == 1  # what is finished is not shown again


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["backbone=llama2_7b", "data=mixed", "-m"], "pass backbone.path=DIR"),
        (["size.n=9", "data=file", "data.path=FILE"], "size asks for 9 trajectories of react, but only 1 fit the mix"),
        (["data=file", "data.path=BAD"], "line 1 is not JSON"),
        (["max_length=10", "data=file", "data.path=FILE"], "each of 1 trajectories exceeds max_length=10"),
        (["method=cot", "data=file", "data.path=FILE"], "the mix holds no usable trajectory of cot"),
        (["run_dir=/dev/null/run"], "cannot use /dev/null/run (Not a directory)"),
    ],
)
def test_a_mistake_is_one_sentence(run, tiny_folder, tmp_path, overrides, sentence):
    row = {"instruction": "Who wrote X?", "input": "", "output": "Thought: Y did.\nAction: search[X]\nObservation: Y.\n"
           "Thought: Y.\nAction: finish[Y]\nObservation: Episode finished, reward = True\n"}
    (tmp_path / "file.json").write_text(json.dumps([row]))
    (tmp_path / "bad.jsonl").write_text("{")
    files = {"data.path=FILE": f"data.path={tmp_path}/file.json", "data.path=BAD": f"data.path={tmp_path}/bad.jsonl"}
    local = [] if "-m" in overrides else ["backbone=tiny_random", f"backbone.path={tiny_folder}"]
    failed = run("train.py", *local, *(files.get(override, override) for override in overrides), HF_HUB_OFFLINE="1")
    assert failed.returncode == 1
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr and failed.stderr.strip().count("\n") == 0


@pytest.mark.slow
def test_native_calls_from_a_file_of_rows_to_a_model_that_acts(run, tiny_folder, tmp_path):
    """Two tools, two calls in a turn, a turn that is not learnt, a system text; evaluate.py asks in the same form."""
    question = {"id": "q", "text": "Who wrote it?", "answer": "Y", "task": "t", "split": "train", "system": "Look."}
    steps = [
        {"thought": "Both.", "action": "search", "argument": "it", "observation": "A book\nby Y."},
        {"thought": "", "action": "cell", "argument": '{"row": 3}', "observation": "7", "continues": True},
        {"thought": "", "action": "search", "argument": "Y", "observation": "?", "learnt": False},
        {"thought": "", "action": "finish", "argument": "Y", "observation": None},
    ]
    text, number = ({"type": "object", "properties": {name: {"type": kind}}} for name, kind in
                    (("query", "string"), ("row", "integer")))  # fmt: skip
    tools = [{"name": "search", "description": "", "parameters": text},
             {"name": "cell", "description": "", "parameters": number}]  # fmt: skip
    row = {"question": question, "method": "react", "steps": steps, "ending": "finish", "answer": "Y",
           "score": {"em": 1.0, "f1": 1.0, "correct": True}, "tools": tools}  # fmt: skip
    (tmp_path / "mine.jsonl").write_text("".join(
        json.dumps({**row, "question": {**question, "id": f"q{n}"}}) + "\n" for n in range(4)
    ))  # fmt: skip
    backbone = ["backbone=tiny_random", f"backbone.path={tiny_folder}", "backbone.format=tools"]
    refused = run("train.py", *backbone, "data=file", f"data.path={tmp_path}/mine.jsonl")
    sentence = "chat template shows the model no tools; use +backbone.chat_template=hermes, which says them in a"
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1) and sentence in refused.stderr
    backbone.append("+backbone.chat_template=hermes")
    tuned = run("train.py", *backbone, "data=file", f"data.path={tmp_path}/mine.jsonl", f"run_dir={tmp_path}/tuned")
    assert tuned.returncode == 0, tuned.stderr
    assert "kept 4" in tuned.stdout
    acting = ["method=fireact", f"tuned={tmp_path}/tuned/adapter", "task.limit=2", "lm.max_new_tokens=8"]
    acted = run("evaluate.py", *backbone, *acting, "tools=calculator", f"run_dir={tmp_path}/acted")
    assert acted.returncode == 0, acted.stderr
    first = json.loads((tmp_path / "acted" / "predictions.jsonl").read_text().splitlines()[0])
    assert first["ending"] == "parse_failure" and len(first["steps"]) == 3  # nothing of random weights is an answer
    assert first["steps"][0]["observation"] == "That turn held no action. Call search or calculator, or answer."
