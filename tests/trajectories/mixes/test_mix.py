"""Mixes: what is kept, nested sizes, proportions, and every way to ask for too much."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from fireact.errors import ConfigError, DataError
from fireact.trajectories.mixes.holdings import Lack
from fireact.trajectories.mixes.mix import Mix, Source, of_file
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.storage.writing import write_lines


def write(path: str | Path, trajectories: Iterable[Trajectory]) -> None:
    write_lines(Path(path), map(Trajectory.to_json, trajectories))


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


# What the first edition chose, in its order: runs that it finished must be found to be these.
FIRST_EDITION = {100: "06449181d828c6d5", 300: "582b76505eb95ed0", None: "cca4d54d47143d49"}
FIRST_EDITION_SHARED = {20: "2a2a45014e20a017", 50: "91e7222f39a76416", None: "b0ed2dfcb0cb4ac1"}


def digest(names: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


@pytest.mark.parametrize("size", FIRST_EDITION)
@pytest.mark.parametrize("proportions", [None, {"hop": {"react": 500, "cot": 187}}])
def test_one_method_on_one_task_gives_the_rows_it_always_gave(
    tmp_path: Path, size: int | None, proportions: dict[str, dict[str, int]] | None
) -> None:
    write(tmp_path / "t.jsonl", [trajectory(n, "hop", "react", right=n % 7 != 0) for n in range(400)])
    for share_out in (True, False):
        options = {"methods": ["react"], "share_out": share_out, "proportions": proportions}
        mix = of_file(str(tmp_path / "t.jsonl"), size=size, **options)
        assert digest(t.question.id for t in mix.load()) == FIRST_EDITION[size]


@pytest.mark.parametrize("size", FIRST_EDITION_SHARED)
def test_shared_out_a_mix_gives_the_rows_it_always_gave(file: str, size: int | None) -> None:
    mix = of_file(file, methods=["react", "cot"], size=size, share_out=True)
    assert digest(t.question.id + t.method for t in mix.load()) == FIRST_EDITION_SHARED[size]


ADDED = {"hop": {"react": 50, "cot": 9}, "yesno": {"react": 25}}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_methods_and_tasks_are_added_in_proportion_to_the_first(file: str, seed: int) -> None:
    sizes = [1, 2, 5, 10, 11, 50, None]
    mixes = [
        of_file(file, methods=["react", "cot"], size=size, seed=seed, share_out=False, proportions=ADDED).load()
        for size in sizes
    ]
    assert [dict(strata(mix)) for mix in mixes] == [
        {"hop/react": 1, "yesno/react": 1, "hop/cot": 1},  # half of a trajectory, and 0.18 of one, are one
        {"hop/react": 2, "yesno/react": 1, "hop/cot": 1},
        {"hop/react": 5, "yesno/react": 3, "hop/cot": 1},  # 2.5 and 0.9
        {"hop/react": 10, "yesno/react": 5, "hop/cot": 2},
        {"hop/react": 11, "yesno/react": 6, "hop/cot": 2},
        {"hop/react": 50, "yesno/react": 25, "hop/cot": 9},
        {"hop/react": 60, "yesno/react": 30, "hop/cot": 10},
    ]
    keys = [{(t.question.id, t.method) for t in mix} for mix in mixes]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(keys))


def test_a_file_s_own_proportions_are_those_of_its_methods(file: str) -> None:
    own = of_file(file, methods=["react", "cot"], size=45, share_out=False)
    assert strata(own.load()) == {"hop/react": 30, "yesno/react": 15, "hop/cot": 5}
    first = of_file(file, methods=["cot", "react"], size=5, share_out=False)
    assert strata(first.load()) == {"hop/cot": 5, "hop/react": 30, "yesno/react": 15}


def test_counts_lessen_what_is_added_but_not_the_size(file: str) -> None:
    options = {"methods": ["react", "cot"], "share_out": False, "proportions": ADDED}
    mix = of_file(file, size=50, counts={"cot": 4}, **options)
    assert strata(mix.load()) == {"hop/react": 50, "yesno/react": 25, "hop/cot": 4}
    assert mix.report["left_out_by_counts"] == 5
    with pytest.raises(DataError, match="size asks for 75 trajectories of react, more than data.counts.react=70"):
        of_file(file, size=50, counts={"react": 70}, **options).load()
    with pytest.raises(ConfigError, match="data.counts.cot=0 leaves nothing of cot; choose 1 or more"):
        of_file(file, size=50, counts={"cot": 0}, **options)


def test_at_most_takes_what_there_is_and_counts_what_is_short(file: str) -> None:
    options = {"methods": ["react", "cot"], "size": 70, "share_out": False, "proportions": ADDED}
    with pytest.raises(DataError, match="size asks for 70 trajectories of react on hop, but only 60 fit the mix"):
        of_file(file, **options).load()
    mix = of_file(file, at_most=True, **{**options, "proportions": {**ADDED, "hop": {"react": 60, "cot": 9}}})
    assert strata(mix.load()) == {"hop/react": 60, "yesno/react": 25, "hop/cot": 9}
    assert mix.report["fewer_than_size"] == 10
    assert len(of_file(file, methods=["react"], size=900, at_most=True).load()) == 90


def test_what_proportions_leave_out_is_refused_where_it_stands_beside_others(file: str) -> None:
    options = {"size": 10, "share_out": False, "proportions": {"hop": {"react": 50, "cot": 9}}}
    said = r"data.proportions has no number for react on yesno; add \+data.proportions.yesno.react=N, or choose"
    with pytest.raises(ConfigError, match=said):
        of_file(file, methods=["react"], **options).load()
    assert len(of_file(file, methods=["cot"], **{**options, "proportions": {"other": {"react": 5}}}).load()) == 10


def test_a_method_that_nothing_is_left_of_is_refused_never_trained_without(file: str, tmp_path: Path) -> None:
    io = of_file(file, methods=["react", "io"])
    said = "the mix holds no usable trajectory of io, only 95 of react, 10 of cot; choose another method or data"
    assert io.lack() == Lack("method", said)
    with pytest.raises(DataError, match=said):
        io.load()
    failed = str(tmp_path / "failed.jsonl")
    write(failed, [trajectory(1, "hop", "react"), *(trajectory(n, "hop", "reflexion", right=False) for n in range(7))])
    reflexion = of_file(failed, methods=["react", "reflexion"])
    said = r"all trajectories of reflexion \(7\) are marked as failed; take them with data.right_only=false"
    assert reflexion.lack() == Lack("method", said.replace("\\", ""))
    with pytest.raises(DataError, match=said):
        reflexion.load()
    both = of_file([file, failed], methods=["react", "reflexion"], right_only=False)
    assert both.lack() is None and strata(both.load()) == {"hop/react": 66, "yesno/react": 30, "hop/reflexion": 7}
    with pytest.raises(DataError, match="size=1 shared out leaves nothing of cot; choose a larger one, or data"):
        of_file(file, methods=["react", "cot"], size=1, share_out=True).load()


def test_what_a_file_lacks_is_seen_again_after_it_has_changed(file: str) -> None:
    mix = of_file(file, methods=["io"])
    assert mix.lack() is not None
    write(file, [trajectory(1, "hop", "io")])
    assert mix.lack() is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shared_out_sizes_are_nested_and_keep_proportions(file: str, seed: int) -> None:
    sizes = [5, 10, 20, 50, 99, None]
    mixes = [of_file(file, methods=["react", "cot"], size=size, seed=seed, share_out=True).load() for size in sizes]
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
