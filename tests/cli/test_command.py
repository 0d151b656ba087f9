"""Commands as a user types them, on a small configuration of their own: what is said, and with which exit code."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fireact import cli
from fireact.cli import composing, keys
from fireact.cli.cells import Script
from fireact.cli.command import Hooks, Sweep
from fireact.errors import ConfigError, DataError, FireActError

FILES = {
    "job.yaml": """
        defaults: [common, model: small, experiment: null, _self_]
        optim: {lr: 0.1, steps: 5}
        wanted: ???
        axes: [model, seed]
        hydra: {sweep: {subdir: "${cell:job}"}, help: {header: A small job.}}
        """,
    "other.yaml": """
        defaults: [common, model: small, _self_]
        axes: [model, seed]
        hydra: {sweep: {subdir: "${cell:other}"}}
        """,
    "model/small.yaml": "size: 1",
    "model/large.yaml": "size: 2",
    "model/broken.yaml": "size: [1\nname: x",
    "experiment/grid.yaml": "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {model: 'small,large'}}}",
    "experiment/misspelt.yaml": "# @package _global_\ndefaults: [override /model: large]\noptim: {step: 3}",
    "experiment/fits.yaml": "# @package _global_\ndefaults: [override /model: large]\noptim: {steps: 3}",
}


@dataclass
class Outcome:
    code: int | str | None
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs ``script`` as ``job.py`` with the given arguments in an empty folder."""
    conf = tmp_path / "conf"
    for name, text in FILES.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text("\n".join(line.removeprefix(" " * 8) for line in text.strip("\n").splitlines()))
    shutil.copy(keys.CONF / "common.yaml", conf)
    monkeypatch.setattr(keys, "CONF", conf)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*arguments: str, script: Script = lambda cfg: print(cfg.run_dir), hooks: Hooks | None = None) -> Outcome:
        quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none"]  # pytest keeps its own log handlers
        monkeypatch.setattr(sys, "argv", ["job.py", *arguments, *quiet])
        with pytest.raises(SystemExit) as stop:
            cli.main("job", hooks)(script)()
        captured = capsys.readouterr()
        return Outcome(stop.value.code, captured.out, captured.err)

    yield run
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("optim.lrr=1", "optim.lrr is no option; did you mean optim.lr?"),
        ("modle=small", "modle is no option; did you mean model?"),
        ("steps=1", "steps is no option; did you mean optim.steps?"),
        ("zzz=1", "zzz is no option; --help shows them all"),
        ("zzz/y=1", "zzz/y is no option; --help shows them all"),
        ("experimnt=grid", "experimnt is no option; did you mean experiment?"),
        ("model=medium", "model=medium does not exist; choose one of broken, large, small"),
        ("experiment=none", "experiment=none does not exist; choose one of fits, grid, misspelt"),
        ("seed", "cannot read 'seed'; write key=value, with quotes round a value that holds special characters"),
        ("seed=[1", "cannot read 'seed=[1'; write key=value, with quotes round a value that holds special characters"),
        ("seed=1,2", "seed=1,2 names several values; add -m to run each, or write key=[a,b] for one list"),
        ("optim.lr=${nowhere}", "optim.lr: Interpolation key 'nowhere' not found"),
        ("experiment=misspelt", "conf/experiment/misspelt.yaml sets optim.step, which is no option; "
                                "did you mean optim.steps?"),
        ("-m experiment=fits,grid", "experiment=fits,grid would lose a grid; run one experiment at a time"),
        ("experiment=fits experiment=grid", "experiment=fits experiment=grid would lose a grid; run one experiment at "
                                            "a time"),
        ("-m optim.lrr=1,2", "optim.lrr is no option; did you mean optim.lr?"),
        ("-m experiment=misspelt seed=1,2", "conf/experiment/misspelt.yaml sets optim.step, which is no option; "
                                            "did you mean optim.steps?"),
        ("runs_dir=conf/job.yaml", "cannot use conf/job.yaml/job/small-seed0 (Not a directory); "
                                   "free or fix that place, or choose another with runs_dir=DIR"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_command_is_one_sentence(command: Command, arguments: str, sentence: str) -> None:
    outcome = command(*arguments.split(), script=lambda cfg: print(cfg.optim.lr))
    assert (outcome.code, outcome.err) == (1, sentence + "\n")


def test_a_broken_configuration_file_is_named_with_its_line(command: Command, tmp_path: Path) -> None:
    outcome = command("model=broken")
    sentence = f"{tmp_path}/conf/model/broken.yaml, line 2: expected ',' or ']', but got ':'; expected YAML\n"
    assert (outcome.code, outcome.err) == (1, sentence)


def test_a_value_that_must_be_given_is_asked_for(command: Command) -> None:
    outcome = command(script=lambda cfg: cfg.wanted)
    assert (outcome.code, outcome.err) == (1, "wanted has no value; add wanted=VALUE to the command\n")


def _fails(cfg: DictConfig) -> None:
    if cfg.seed != 2:
        raise DataError(f"seed {cfg.seed} has no data")
    print("ran 2")


def test_a_named_failure_is_its_own_sentence(command: Command) -> None:
    outcome = command(script=_fails)
    assert (outcome.code, outcome.err) == (1, "seed 0 has no data\n")


def test_in_a_sweep_the_other_cells_still_run(command: Command) -> None:
    outcome = command("-m", "seed=1,2,3", script=_fails)
    assert (outcome.code, outcome.out) == (1, "ran 2\n")
    last = "2 of 3 cells failed; run the same command to try them again"
    assert outcome.err.splitlines() == ["seed 1 has no data", "seed 3 has no data", last]


def test_in_a_sweep_a_folder_of_somebody_else_s_is_left_as_it_is(command: Command, tmp_path: Path) -> None:
    theirs = tmp_path / "runs" / "job" / "small-seed1" / "failed.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    refused = "runs/job/small-seed1 holds files and is no run folder of ours, so nothing in it was touched; "
    refused += "name a new or an empty folder as run_dir\n"
    outcome = command("-m", "seed=1,2")
    last = "1 of 2 cells failed; run the same command to try them again\n"
    assert (outcome.code, outcome.out, outcome.err) == (1, "runs/job/small-seed2\n", refused + last)
    outcome = command("-m", "seed=1,2", hooks=Silent())  # all cells are known before the first one runs
    assert (outcome.code, outcome.out, outcome.err) == (1, "", refused)
    assert [path.name for path in theirs.parent.iterdir()] == ["failed.txt"] and theirs.read_text() == "theirs"


class Silent:
    """Nothing around the cells but that all of them are known before the first one runs."""

    def check(self, sweep: Sweep) -> None: ...
    def conclude(self, sweep: Sweep) -> None: ...
    def plan(self, sweep: Sweep) -> int:
        return 0


def test_what_hydra_writes_of_a_sweep_replaces_no_file_of_somebody_else_s(command: Command, tmp_path: Path) -> None:
    sweep = ("-m", "seed=1,2")
    for _ in range(2):
        assert command(*sweep, hooks=Silent()).code == 0
    theirs = tmp_path / "runs" / "multirun.yaml"
    assert theirs.is_file()  # Hydra writes it
    theirs.write_text("hydra: {}\n")
    outcome = command(*sweep, hooks=Silent())
    assert (outcome.code, outcome.out, theirs.read_text()) == (1, "", "hydra: {}\n")
    assert outcome.err.startswith("runs/multirun.yaml, which Hydra would write over, is not of a sweep of ours;")


def test_only_a_link_of_ours_goes_with_the_run_that_it_led_to(command: Command, tmp_path: Path) -> None:
    jobs = tmp_path / "runs" / "job"
    jobs.mkdir(parents=True)
    (jobs / "small-seed1").symlink_to("gone")
    (jobs / "small-seed2").symlink_to(tmp_path / "unplugged")
    outcome = command("-m", "seed=1,2", hooks=Silent())
    assert (outcome.code, (jobs / "small-seed2").is_symlink(), (jobs / "small-seed1").exists()) == (1, True, False)
    assert outcome.err.startswith(f"runs/job/small-seed2 is a link to {tmp_path}/unplugged, which is no run folder of")


def _interrupted(cfg: DictConfig) -> None:
    raise KeyboardInterrupt


def _interrupted_as_lightning_does(cfg: DictConfig) -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


def _terminated(cfg: DictConfig) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _terminated_in_the_background(cfg: DictConfig) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


def _terminated_among_dialogues(cfg: DictConfig) -> None:
    async def act() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    asyncio.run(act())


@pytest.mark.parametrize("script", [_terminated, _terminated_in_the_background, _terminated_among_dialogues])
def test_sigterm_stops_as_ctrl_c_does(command: Command, script: Script) -> None:
    before = signal.getsignal(signal.SIGTERM)
    outcome = command("seed=7", script=script)
    kept = "what was finished is kept in runs/job/small-seed7"
    assert (outcome.code, outcome.err) == (143, f"Terminated; {kept}; run the same command to resume\n")
    assert signal.getsignal(signal.SIGTERM) == before


def _interrupted_in_a_class_body(cfg: DictConfig) -> None:
    class Slot:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    class _Body:
        slot = Slot()


def _interrupted_in_a_clean_up(cfg: DictConfig) -> None:
    try:
        raise KeyboardInterrupt
    finally:
        {}["nothing is here yet"]


@pytest.mark.parametrize(
    "script",
    [_interrupted, _interrupted_as_lightning_does, _interrupted_in_a_class_body, _interrupted_in_a_clean_up],
)
def test_ctrl_c_says_where_the_work_is(command: Command, script: Script) -> None:
    outcome = command("seed=7", script=script)
    kept = "what was finished is kept in runs/job/small-seed7"
    assert (outcome.code, outcome.err) == (130, f"Interrupted; {kept}; run the same command to resume\n")


def test_a_full_disk_is_named_but_a_bug_keeps_its_trace(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(cfg: DictConfig) -> None:
        raise OSError(28, "No space left on device")

    sentence = "cannot use the run folder (No space left on device); free or fix that place, or choose another with"
    assert command(script=full).err == f"{sentence} runs_dir=DIR\n"

    def refused(cfg: DictConfig) -> None:
        raise OSError(cfg.seed, os.strerror(cfg.seed), "/mnt/run/config.yaml")

    for number in (errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.EISDIR, errno.ESTALE, errno.EFBIG):
        said = f"cannot use /mnt/run/config.yaml ({os.strerror(number)}); free or fix that place, or choose another "
        outcome = command(f"seed={number}", script=refused)
        assert (outcome.code, outcome.err) == (1, f"{said}with runs_dir=DIR\n")
    assert command(f"seed={errno.EMFILE}", script=refused).err.startswith("too many files are open to use /mnt/run/")

    def bug(cfg: DictConfig) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(sys, "argv", ["job.py", "hydra/job_logging=none", "hydra/hydra_logging=none"])
    with pytest.raises(KeyError, match="ours"):
        cli.main("job")(bug)()


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({"_target_": "fireact.trajectories.records.Score", "em": 1, "size": 2},
         "part.size is no option of fireact.trajectories.records.Score"),
        ({"_target_": "fireact.trajectories.records.Score", "em": 1, "f1": 1},
         "part does not suit fireact.trajectories.records.Score "
         "(Score.__init__() missing 1 required positional argument: 'correct')"),
        ({"_target_": "fireact.nowhere.Thing"},
         "part needs fireact.nowhere.Thing, which cannot be imported (No module named 'fireact.nowhere')"),
        ({"_target_": "fireact.trajectories.records.Trajectory.from_json", "row": 3},
         "trajectory is int; expected an object"),
        ({"_target_": "pathlib.Path", "_args_": [3]}, None),
        ({"_target_": "fireact.trajectories.metrics.exact_match", "prediction": 3, "answer": 4}, None),
    ],
)  # fmt: skip
def test_what_a_class_refuses_is_told_by_its_key(node: dict[str, object], sentence: str | None) -> None:
    with pytest.raises(Exception) as error:  # noqa: B017 - Hydra's wrapper, of which only the sentence matters
        instantiate(OmegaConf.create({"part": node}))
    told = cli.explain(error.value)
    assert told == sentence or sentence is None and (told is None or told.startswith("part does not suit pathlib"))


def test_lightning_s_refusal_of_a_trainer_is_a_sentence() -> None:
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    said = cli.explain(MisconfigurationException("No supported gpu backend found!"))
    assert said == "trainer can't be used here (No supported gpu backend found!); choose another, such as trainer=cpu"


def test_help_lists_groups_and_keys(command: Command) -> None:
    outcome = command("--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("A small job.\n")
    assert "model: broken, large, small\n" in outcome.out
    assert "optim:\n  lr: 0.1\n  steps: 5\n" in outcome.out


def test_help_says_of_every_key_what_its_file_says(command: Command, tmp_path: Path) -> None:
    (tmp_path / "conf/model/large.yaml").write_text("# A large one.\nsize: 2 # layers\nname: '#1'\n")
    shown = command("--help", "model=large").out
    assert "model:  # A large one.\n  size: 2  # layers\n  name: '#1'\n" in shown
    assert "runs_dir: runs  # where run folders are made\n" in shown


def test_help_names_the_options_of_what_a_tuned_model_does() -> None:
    shown = composing.shown("train", [])
    tools = "bm25, noise, noise_none, noise_random, recorded, serpapi, wikipedia, wikipedia_bm25"
    assert f"act.search (a list): {tools}\n" in shown
    assert "  limit: ${recipe.grid.questions}  # questions of each task\n" in shown


@pytest.mark.parametrize("flags", ["--cfg job --resolve", "--resolve --cfg job", "-c job --resolve"])
def test_a_configuration_is_shown_resolved(command: Command, flags: str) -> None:
    outcome = command("seed=3", *flags.split())
    assert (outcome.code, outcome.err) == (0, "")
    assert "seed: 3\n" in outcome.out and "run_dir: runs/job/small-seed3\n" in outcome.out


@pytest.mark.parametrize("arguments", [["seed=0,1", "seed=2"], ["seed=0", "seed=range(3)"], ["++seed=1", "seed=1,2"]])
def test_a_key_given_twice_in_a_sweep_is_refused(command: Command, arguments: list[str]) -> None:
    said = f"{arguments[0]} and {arguments[1]} would lose values of one of them; give seed once\n"
    outcome = command(*arguments, "-m")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", said)


@pytest.mark.parametrize(("values", "names"), [
    ("model=glob(*e)", ["large-seed0"]),
    ("model=glob([s*,l*])", ["large-seed0", "small-seed0"]),
    ("seed=range(1,4)", ["small-seed1", "small-seed2", "small-seed3"]),
    ("seed=choice(4,2)", ["small-seed2", "small-seed4"]),
    ("seed=sort(4,2,reverse=true)", ["small-seed2", "small-seed4"]),
    ("seed=shuffle(4,2)", ["small-seed2", "small-seed4"]),
])  # fmt: skip
def test_a_sweep_is_planned_as_hydra_runs_it(command: Command, values: str, names: list[str]) -> None:
    assert sorted(command("-m", values).out.split()) == [f"runs/job/{name}" for name in names]
    assert sorted(cfg.run_dir for cfg in composing.plan("job", ["-m", values])) == [f"runs/job/{n}" for n in names]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("flags", ["--help", "--cfg job"])
def test_nobody_who_stops_reading_sees_a_trace(flags: str, unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "generate.py", *flags.split()]
    done = subprocess.run(command, cwd=keys.CONF.parent, env=environment, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_work_that_is_cut_off_since_nobody_reads_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # of pytest's own output

    def script(cfg: DictConfig) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    outcome = command(script=script)
    said = "stopped, since nobody reads any more what is printed; run the same command to resume\n"
    assert (outcome.code, outcome.err) == (1, said)


@pytest.mark.parametrize(
    ("arguments", "folders"),
    [
        ("", ["small-seed0"]),
        ("seed=3 optim.lr=1e-4", ["small-seed3-optim.lr@1e-4"]),
        ("optim.steps=2 optim.lr=3", ["small-seed0-optim.lr@3-optim.steps@2"]),
        ("optim.lr=3 optim.steps=2", ["small-seed0-optim.lr@3-optim.steps@2"]),
        ("-m seed=0,1 model=large", ["large-seed0", "large-seed1"]),
        ("model=large -m", ["large-seed0"]),
        ("model=large -m seed=1", ["large-seed1"]),
        ("experiment=fits", ["large-seed0"]),
        ("experiment=grid seed=2,3", [f"{m}-seed{s}" for m in ("small", "large") for s in (2, 3)]),
        ("cache_dir=elsewhere runs_dir=runs", ["small-seed0"]),
    ],
)
def test_folders_are_named_by_axes_then_other_overrides(command: Command, arguments: str, folders: list[str]) -> None:
    outcome = command(*arguments.split())
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.split() == [f"runs/job/{folder}" for folder in folders]
    assert all(Path("runs/job", folder).is_dir() for folder in folders)


def test_no_two_commands_share_a_folder(command: Command) -> None:
    overrides = ["model.size='a/b'", "model.size='a_b'", "model.size=[a,b]", "+x=a", "model=[small,large]", "seed=null"]
    overrides += [f"+x={'y' * n}" for n in (50, 250, 251)]
    folders = [command(override).out.strip() for override in overrides]
    assert len(set(folders)) == len(overrides)
    assert max(len(Path(folder).name) for folder in folders) < 255


def test_one_script_can_compose_another_s_configuration(command: Command) -> None:
    def script(cfg: DictConfig) -> None:
        other = cli.compose("other", [f"runs_dir={cfg.runs_dir}", "seed=4"])
        print(cfg.run_dir, other.run_dir, other.model.size, "hydra" in other)
        with pytest.raises(ConfigError, match="sed is no option; did you mean seed?"):
            cli.compose("other", ["sed=4"])

    outcome = command("model=large", script=script)
    assert (outcome.err, outcome.out) == ("", "runs/job/large-seed0 runs/other/small-seed4 1 False\n")


def test_composing_needs_no_running_script(command: Command) -> None:
    assert cli.compose("other").run_dir == "runs/other/small-seed0"


def test_the_prompt_of_a_method_follows_the_task() -> None:
    composing.register_resolvers()
    cfg = OmegaConf.create({"prompt": "${prompt:react}", "task": {"name": "miniwiki"}})
    assert cfg.prompt == "miniwiki/react.txt"
    assert OmegaConf.create({"prompt": "${prompt:react}"}).prompt is None


def test_every_named_failure_explains_itself() -> None:
    assert cli.explain(FireActError("said so")) == "said so"
    assert cli.explain(ValueError("a bug")) is None
