"""Overrides that are written by us: Hydra reads back the very value, and a shell the very line."""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fireact import cli
from fireact.cli import composing
from fireact.errors import ConfigError
from fireact.overrides import command, override
from fireact.runs.evaluations import evaluations, next_step

AWKWARD = "\\'\"${}[](),=: aé\n\t#%*~@+-.0x/"
PATHS = ["a b", "é", "a=b", "a,b", "[a]", "it's", 'a"b', "$HOME", "~x", "a:b", "1", "null", "a\\", "x#y", "{a}", "(a)"]
FOLDERS = ["é a=b,c", "it's [a]", '"$x" {y}~', "null"]  # the same in a few, for a composition takes a while


@pytest.fixture(scope="module", autouse=True)
def hydra_ready() -> Iterator[None]:
    """Set Hydra up once, not for every composition."""
    with composing.hydra_ready():
        yield


def _read_back(line: str) -> object:
    parsed = OverridesParser.create().parse_override(line)
    assert not parsed.is_sweep_override()
    return OmegaConf.create({"key": parsed.value()}).key


def test_hydra_reads_back_any_text() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choice(AWKWARD) for _ in range(rng.randrange(9))) for _ in range(500)]
    for text in [*texts, *PATHS, "", "true", "NaN", "-inf", "1e5", "0x1f", "${seed}", "\\${seed}", "\\\\${a}"]:
        assert _read_back(override("key", text)) == text


@pytest.mark.parametrize("value", [None, True, False, 0, -3, 2.5, 1e-05, ["a b", 1, None, "it's"], []])
def test_hydra_reads_back_what_is_no_text(value: object) -> None:
    back = _read_back(override("key", value))
    assert back == value and (isinstance(value, list) or type(back) is type(value))


def test_plain_text_stays_plain() -> None:
    assert override("runs_dir", "runs/a-b.1") == "runs_dir=runs/a-b.1"
    assert override("run_dir", Path("/tmp/x")) == "run_dir=/tmp/x"


@pytest.mark.parametrize("path", PATHS)
def test_a_shell_reads_back_a_command(path: str) -> None:
    line = command("evaluate.py", [override("tuned", path)])
    python, script, argument = shlex.split(line)
    assert (python, script, _read_back(argument)) == ("python", "evaluate.py", path)


@pytest.mark.parametrize("path", FOLDERS)
def test_what_a_cell_acts_out_has_the_very_paths_of_the_cell(path: str) -> None:
    places = {"runs_dir": f"{path}/runs", "cache_dir": f"{path}/cache", "backbone.path": f"{path}/model"}
    cfg = cli.compose("train", [override(key, value) for key, value in places.items()])
    for evaluation in evaluations(cfg):
        acted = cli.compose("evaluate", evaluation.overrides)
        assert (acted.runs_dir, acted.cache_dir, acted.backbone.path) == tuple(places.values())
        assert acted.run_dir == str(evaluation.cell.run)
        assert acted.lm.adapter in (None, f"{cfg.run_dir}/adapter")


@pytest.mark.parametrize("path", FOLDERS)
def test_what_a_mix_collects_is_collected_where_it_looks(path: str) -> None:
    mix = cli.build(cli.compose("train", [override("cache_dir", path)]).data)
    assert [cli.compose("generate", source.generate).run_dir for source in mix.sources] == [
        f"{path}/trajectories/miniwiki/react"
    ]


def test_a_folder_that_reads_as_an_interpolation_is_refused() -> None:
    with pytest.raises(ConfigError, match="means an interpolation"):
        cli.compose("train", [override("runs_dir", "a${b}")])


def test_the_next_step_that_is_printed_composes_with_every_path_and_the_task_of_the_data() -> None:
    places = {"runs_dir": "é x", "cache_dir": "a=b,c", "backbone.path": "it's [a] $HOME"}
    chosen = ["backbone=llama2_7b", "data=hotpotqa", "seed=3", "act.overrides=['lm.concurrency=7']"]
    cfg = cli.compose("train", [*chosen, *(override(key, value) for key, value in places.items())])
    python, script, *line = shlex.split(next_step(cfg))
    acted = cli.compose("evaluate", line)
    assert (python, script) == ("python", "evaluate.py")
    assert (acted.runs_dir, acted.cache_dir, acted.backbone.path) == tuple(places.values())
    assert (acted.task.name, acted.method.name, acted.backbone.name) == ("hotpotqa", "fireact", "llama2_7b")
    assert acted.task.limit == cfg.act.limit == 500
    assert (acted.seed, acted.lm.concurrency, acted.lm.adapter) == (3, 7, f"{cfg.run_dir}/adapter")
