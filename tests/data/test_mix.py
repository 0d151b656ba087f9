"""Mixes: what is kept, nested sizes, proportions, and every way to ask for too much."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fireact.data.files import write
from fireact.data.mix import Mix, Source, of_file
from fireact.errors import ConfigError, DataError
from fireact.records import Ending, Question, Score, Step, Trajectory


def trajectory(number: int, task: str, method: str, right: bool = True) -> Trajectory:
    question = Question(f"{task}-{number}", f"{task} {number}?", "a", task, "train")
    steps = (Step("t", "finish", "a"),)
    return Trajectory(question, method, steps, Ending.FINISH, "a", Score(float(right), float(right), right))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """60 right and 5 wrong ReAct trajectories of one task, 30 ReAct of another, 10 CoT."""
    rows = [trajectory(n, "hop", "react") for n in range(60)]
    rows += [trajectory(n, "hop", "react", right=False) for n in range(60, 65)]
    rows += [trajectory(n, "yesno", "react") for n in range(30)]
    rows += [trajectory(n, "hop", "cot") for n in range(10)]
    write(tmp_path / "t.jsonl", rows)
    return str(tmp_path / "t.jsonl")


def strata(chosen: list[Trajectory]) -> Counter[str]:
    return Counter(f"{t.question.task}/{t.method}" for t in chosen)


def test_right_trajectories_of_the_wanted_methods_are_kept_and_counted(file: str) -> None:
    mix = of_file(file, methods=["react"])
    assert strata(mix.load()) == {"hop/react": 60, "yesno/react": 30}
    assert mix.report == {
        "rows": 105, "failed": 5, "other_methods": 10, "kept": 90, "hop/react": 60, "yesno/react": 30
    }  # fmt: skip
    assert len(of_file(file, methods=["react"], right_only=False).load()) == 95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sizes_are_nested_and_keep_proportions(file: str, seed: int) -> None:
    sizes = [5, 10, 20, 50, 99, None]
    mixes = [of_file(file, methods=["react", "cot"], size=size, seed=seed).load() for size in sizes]
    for smaller, larger in zip(mixes, mixes[1:], strict=False):
        assert larger[: len(smaller)] == smaller
    assert strata(mixes[1]) == {"hop/react": 6, "yesno/react": 3, "hop/cot": 1}
    assert strata(mixes[3]) == {"hop/react": 30, "yesno/react": 15, "hop/cot": 5}


def test_the_sample_depends_on_the_seed_alone(file: str) -> None:
    first, again, other = (of_file(file, methods=["react"], size=20, seed=seed).load() for seed in (7, 7, 8))
    assert first == again
    assert {t.question.id for t in first} != {t.question.id for t in other}


def test_counts_weights_and_sources(file: str, tmp_path: Path) -> None:
    assert strata(of_file(file, methods=["react", "cot"], counts={"cot": 3, "react": None}).load())["hop/cot"] == 3
    write(tmp_path / "more.jsonl", [trajectory(n, "other", "react") for n in range(90)])
    more = str(tmp_path / "more.jsonl")
    half = Mix([Source(file), Source(more, count=40)], ["react"]).load()
    assert strata(half) == {"hop/react": 60, "yesno/react": 30, "other/react": 40}
    weighted = Mix([Source(file), Source(more, weight=2.0)], ["react"], size=60).load()
    assert strata(weighted) == {"other/react": 40, "hop/react": 13, "yesno/react": 7}


def test_a_source_of_unwanted_methods_stays_shut(file: str, tmp_path: Path) -> None:
    absent = Source(tmp_path / "absent.jsonl", methods=["cot"], generate=["method=cot"])
    mix = Mix([Source(file, methods=["react"]), absent], ["react"])
    assert mix.missing() == [] and len(mix.load()) == 90
    assert Mix([absent], ["react", "cot"]).missing() == [absent]


def test_a_missing_file_names_the_command_that_collects_it(tmp_path: Path) -> None:
    source = Source(tmp_path / "t.jsonl", generate=["task=miniwiki", "method=react"])
    with pytest.raises(DataError, match="t.jsonl is missing; .* python generate.py task=miniwiki method=react$"):
        Mix([source], ["react"]).load()


def test_asking_for_too_much(file: str) -> None:
    with pytest.raises(DataError, match="size asks for 91 trajectories, but only 90 fit"):
        of_file(file, methods=["react"], size=91).load()
    with pytest.raises(DataError, match="data.counts.cot asks for 11 trajectories, but only 10 fit"):
        of_file(file, methods=["cot"], counts={"cot": 11}).load()
    with pytest.raises(DataError, match="no usable trajectory of reflexion"):
        of_file(file, methods=["reflexion"]).load()
    with pytest.raises(ConfigError, match="choose 1 or more"):
        of_file(file, methods=["react"], size=0)


@pytest.mark.parametrize(
    ("methods", "kept"),
    [
        (["react"], {"hotpotqa/react": 500, "mmlu/react": 456, "strategyqa/react": 388}),
        (["cot"], {"hotpotqa/cot": 186, "mmlu/cot": 247, "strategyqa/cot": 215}),
    ],
)
def test_the_react_rows_of_both_multitask_files_are_the_same(
    real_data: Path, methods: list[str], kept: dict[str, int]
) -> None:
    folder = real_data / "fireact/alpaca_format"
    several = of_file(str(folder / "multitask_multimethod.json"), methods=methods).load()
    assert strata(several) == kept
    if methods == ["react"]:
        single = of_file(str(folder / "multitask.json"), methods=methods).load()
        assert {(t.question.id, t.steps) for t in several} == {(t.question.id, t.steps) for t in single}
