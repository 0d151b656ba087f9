"""The shipped configuration: every option composes, fits its class and has a run folder of its own."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf

from fireact import cli
from fireact.cli import composing, keys
from fireact.errors import ConfigError
from fireact.runs.evaluations import evaluations

SCRIPTS = ("train", "evaluate", "generate")
# How a run is watched is no axis, nor is what came later; the folder still names them where they are overridden.
NO_AXIS = {"experiment", "trainer", "logger", "measure", "tools"}
NAMELESS = {"logger"}
ALONGSIDE = {"gpt35": ["adapter=none"]}  # what an option does not go without
HYDRAS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def _file(group: str, option: str) -> Any:
    return yaml.safe_load((keys.CONF / group / f"{option}.yaml").read_text(encoding="utf-8"))


def _defaults(script: str) -> dict[str, str | None]:
    """The groups a script is composed from, each with its default option."""
    text = yaml.safe_load((keys.CONF / f"{script}.yaml").read_text(encoding="utf-8"))
    return dict(next(iter(entry.items())) for entry in text["defaults"] if isinstance(entry, dict))


# Each option once, in the first script that uses its group.
CASES = [
    (script, group, option)
    for group, script in {group: script for script in reversed(SCRIPTS) for group in _defaults(script)}.items()
    if group != "experiment"
    for option in keys.options(group)
]


@pytest.fixture(scope="module", autouse=True)
def hydra_ready() -> Iterator[None]:
    """Set Hydra up once, not for every composition."""
    with composing.hydra_ready():
        yield


def _targets(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node that names a class, by its key, innermost last."""
    if isinstance(node, dict) and "_target_" in node:
        yield key, node
    for name, below in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _targets(below, f"{key}.{name}")


@pytest.mark.parametrize(("script", "group", "option"), CASES)
def test_every_option_composes_fits_its_class_and_names_its_folder(script: str, group: str, option: str) -> None:
    cfg = cli.compose(script, [f"{group}={option}", *ALONGSIDE.get(option, [])])
    assert option in Path(cfg.run_dir).name or option == _defaults(script)[group] or group in NAMELESS
    for key, node in _targets(cli.resolved(cfg)[group], group):
        arguments = {name: value for name, value in node.items() if name not in HYDRAS}
        signature = inspect.signature(get_object(node["_target_"]))
        bind = signature.bind_partial if node.get("_partial_") else signature.bind
        try:
            bind(**arguments)
        except TypeError as error:
            pytest.fail(f"{key}: {error}")


def _key_tree(node: Any) -> Any:
    return {key: _key_tree(below) for key, below in node.items()} if isinstance(node, dict) else None


@pytest.mark.parametrize("backbone", keys.options("backbone"))
def test_every_backbone_has_the_keys_of_the_base(backbone: str) -> None:
    base = _file("backbone", keys.BASE)
    composed = OmegaConf.to_container(hydra.compose("train", [f"backbone={backbone}"]), resolve=False)
    assert {key: _key_tree(composed[key]) for key in base} == _key_tree(base)


@pytest.mark.parametrize("backbone", keys.options("backbone"))
def test_a_backbone_s_file_says_only_what_differs(backbone: str) -> None:
    base, own = _file("backbone", keys.BASE), _file("backbone", backbone)
    same = {key for part in base for key, value in own.get(part, {}).items() if value == base[part][key]}
    assert same == set() or "defaults" not in own  # which says why not


def test_the_base_of_backbones_is_no_option() -> None:
    assert keys.BASE not in keys.options("backbone")
    assert re.search(r"^backbone: codellama_13b, codellama_34b, ", composing.shown("train", []), re.MULTILINE)
    for wrong in ("nope", "3"):
        with pytest.raises(ConfigError, match=f"^backbone={wrong} does not exist; choose one of codellama_13b, codell"):
            cli.compose("train", [f"backbone={wrong}"])
    with pytest.raises(ConfigError, match=r"^backbone\.name has no value; add backbone\.name=VALUE to the command"):
        cli.compose("train", ["backbone=base"])


def test_help_says_of_a_backbone_what_its_base_says() -> None:
    shown = composing.shown("train", ["backbone=llama2_7b"])
    assert "  dtype: auto  # auto | float32 | bfloat16 | float16\n" in shown
    assert "backbone:  # The paper's Llama-2-7B-chat, with its settings.\n" in shown


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_axis_stands_in_the_folder_s_name(script: str) -> None:
    axes = {group: option for group, option in _defaults(script).items() if group not in NO_AXIS}
    name = Path(cli.compose(script).run_dir).name
    assert name.split("-") == [*map(str, axes.values()), "seed0"]


def test_the_call_users_start_from_composes_as_the_paper_s_recipe() -> None:
    cfg = cli.resolved(cli.compose("train", ["backbone=llama2_7b", "data=mixed"]))
    assert cfg["backbone"]["hub"] == "meta-llama/Llama-2-7b-chat-hf"
    assert cfg["backbone"]["format"] == "alpaca"
    adapter = {key: cfg["adapter"][key] for key in ("r", "alpha", "dropout", "targets", "quantization")}
    assert adapter == {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ["q_proj", "v_proj"], "quantization": "nf4"}
    optim = {key: cfg["optim"][key] for key in ("lr", "epochs", "batch_size", "warmup_steps")}
    assert optim == {"lr": 3e-4, "epochs": 30, "batch_size": 16, "warmup_steps": 100}
    assert cfg["run_dir"] == "runs/train/llama2_7b-qlora-react-mixed-all-seed0"


# What an experiment may say: the axes of its tuning, and of its acting.
AXES = {"hydra": {"mode", "sweeper"}, "act": {"task", "search", "method", "prompted"}}


@pytest.mark.parametrize("experiment", keys.options("experiment"))
def test_every_experiment_holds_axes_only(experiment: str) -> None:
    composing.check_experiment("train", [f"experiment={experiment}"])
    text = _file("experiment", experiment)
    assert {key: set(below) - AXES.get(key, set()) for key, below in text.items()} == dict.fromkeys(text, set())
    assert text["hydra"]["mode"] == "MULTIRUN" and set(text["hydra"]["sweeper"]) == {"params"}


def _seeds(experiment: str) -> str:
    """Two where an experiment has seeds as an axis; one will do for the others."""
    return "3,4" if "seed" in _file("experiment", experiment)["hydra"]["sweeper"]["params"] else "3"


@functools.cache
def _planned(experiment: str) -> list[Any]:
    return composing.plan("train", [f"experiment={experiment}", f"seed={_seeds(experiment)}"])


@pytest.mark.parametrize("experiment", keys.options("experiment"))
def test_every_axis_of_an_experiment_tells_its_cells_apart(experiment: str) -> None:
    axes = {**_file("experiment", experiment)["hydra"]["sweeper"]["params"], "seed": _seeds(experiment)}
    wanted = {key: str(values).split(",") for key, values in axes.items()}
    cells = _planned(experiment)
    assert [tuple(cfg.cell[axis] for axis in wanted) for cfg in cells] == list(itertools.product(*wanted.values()))
    assert len({cfg.run_dir for cfg in cells}) == len(cells)
    evaluated = [evaluation.cell for cfg in cells for evaluation in evaluations(cfg)]
    by_folder = {cell.run: cell.axes for cell in evaluated}
    assert all(by_folder[cell.run] == cell.axes for cell in evaluated), "two points share a folder"
    assert len({tuple(sorted(axes.items())) for axes in by_folder.values()}) == len(by_folder)


@functools.cache
def _method(overrides: tuple[str, ...]) -> Any:
    return cli.compose("evaluate", overrides).method


@pytest.mark.parametrize("experiment", keys.options("experiment"))
def test_the_evaluations_of_an_experiment_compose(experiment: str) -> None:
    for cfg in _planned(experiment):
        for evaluation in evaluations(cfg):
            chosen = (line for line in evaluation.overrides if re.match("method=|task=|search=", line))
            assert "_target_" in _method(tuple(chosen))


def test_paper_scale_is_the_same_file_with_another_backbone_and_data() -> None:
    cells = composing.plan("train", ["experiment=multi_task", "backbone=llama2_7b", "data=hotpotqa,mixed"])
    points = itertools.product(["hotpotqa", "mixed"], ["react", "react_cot"])
    assert [cfg.run_dir for cfg in cells] == [f"runs/train/llama2_7b-qlora-{m}-{d}-grid-seed0" for d, m in points]
    first = evaluations(cells[0])
    assert {evaluation.cell.axes["task"] for evaluation in first} == {"hotpotqa", "strategyqa", "bamboogle", "mmlu"}
    assert all("task.limit=500" in evaluation.overrides for evaluation in first)


def test_noise_wraps_the_plain_tool_before_it():
    search = "act.search=[serpapi,noise_none,bm25,noise_random]"
    (cell,) = composing.plan("train", ["-m", "data=hotpotqa", "act.prompted=[]", search])
    acted = evaluations(cell)
    tools = [cli.compose("evaluate", evaluation.overrides).search for evaluation in acted]
    assert [tool._target_.rpartition(".")[2] for tool in tools] == ["SerpApi", "Noise", "BM25", "Noise"]
    assert [tools[at].tool._target_.rpartition(".")[2] for at in (1, 3)] == ["SerpApi", "BM25"]
    assert [evaluation.cell.run.name[:40] for evaluation in acted][3] == "fireact-hotpotqa-noise_random-n50"


def test_an_override_of_acting_may_name_the_evaluations_it_is_for():
    others = "act.overrides=['lm.seed=1','search=noise_*,task=mmlu: search.pool=FILE','task=mmlu: task.split=val']"
    axes = ["act.prompted=[]", "act.search=[bm25,noise_none]", "act.task=[hotpotqa,mmlu]"]
    (cell,) = composing.plan("train", ["-m", "data=hotpotqa", *axes, others])
    added = [evaluation.overrides[-3:] for evaluation in evaluations(cell)]
    assert [[part for part in own if part.startswith(("lm", "search.", "task.split"))] for own in added] == [
        ["lm.seed=1"],
        ["lm.seed=1"],
        ["lm.seed=1", "task.split=val"],
        ["lm.seed=1", "search.pool=FILE", "task.split=val"],
    ]
