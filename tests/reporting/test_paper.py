from __future__ import annotations

import pytest

from fireact.reporting import paper
from fireact.reporting.experiments import experiment_of

HOTPOTQA = {"task": "hotpotqa", "search": "plain"}
FIREACT = {**HOTPOTQA, "acting": "fireact", "method": "react", "data": "hotpotqa"}
EXPERIMENTS = [
    "prompting", "finetuning", "robustness", "data_scaling", "multi_method", "multi_task", "adapters", "tokenizer",
    "observation_mask", "few_shot_transfer", "epochs", "cost",
]


def values(experiment: str, measure: str = "em") -> list[float]:
    numbers = paper.numbers_of(experiment_of(experiment))
    return [number.value for number in numbers if number.measure == measure]


def test_every_number_of_the_paper_is_there():
    sources = [number.source for number in paper.published()]
    assert {source: sources.count(source) for source in sources} == {
        "Table 1": 6, "Table 2": 12, "Table 3": 12, "Table 9": 15, "Figure 3": 24, "Tables 4 and 10": 37,
        "Figure 4": 24, "Table 5": 22, "Table 11": 6, "Table 12": 4, "Table 13": 16,
        "Table 14": 15, "Figure 7": 16, "Table 15": 6, "released run, recomputed": 5,
    }
    assert values("finetuning") == [14.8, 26.2, 21.2, 34.4, 17.4, 27.8, 20.8, 29.0, 22.2, 27.8, 31.4, 39.2]
    assert values("epochs", "f1") == [49.3, 53.2, 52.3, 54.4, 53.9, 52.3, 50.5, 52.1]
    assert {number.source for number in paper.published() if number.raster} == {"Figure 7"}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_described_and_has_numbers_and_footnotes(experiment):
    shown = experiment_of(experiment)
    assert shown.title.startswith(("Table", "Figure")) and shown.found and shown.reference
    assert any(experiment in number.experiments for number in paper.published())
    assert any(note.startswith("The paper's temperatures differ") for note in paper.footnotes(experiment))


def test_a_sweep_of_ones_own_is_a_plain_experiment_without_footnotes():
    assert experiment_of("my_sweep").title == "Sweep: my_sweep" and experiment_of("my_sweep").reference is None
    assert paper.footnotes("my_sweep") == []


def at(axes: dict[str, str], experiment: str) -> tuple[list[paper.Published], list[paper.Published]]:
    return paper.at(axes, [n for n in paper.numbers_of(experiment_of(experiment)) if n.measure == "em"])


def exact(axes: dict[str, str], experiment: str) -> list[float]:
    return [number.value for number in at(axes, experiment)[0]]


def test_a_number_is_found_at_its_own_place_only():
    tuned = {**FIREACT, "backbone": "llama2_7b", "adapter": "qlora", "size": "n500"}
    assert exact(tuned, "finetuning") == [26.2]
    assert exact({**tuned, "backbone": "qwen3_4b"}, "finetuning") == []
    assert exact({**tuned, "method": "react_cot"}, "finetuning") == []


def test_figure_3_stands_for_fixed_epochs_only():
    tuned = {**FIREACT, "backbone": "gpt35", "size": "n200"}
    assert exact(tuned, "data_scaling") == [38.2]
    assert exact({**tuned, "optim.max_steps": "null"}, "data_scaling") == [38.2]
    assert exact({**tuned, "optim.max_steps": "60"}, "data_scaling") == []


def test_our_options_have_the_papers_names():
    tuned = {**FIREACT, "backbone": "llama2_7b"}
    assert exact({**tuned, "task": "hotpotqa_paper", "search": "serpapi", "seed": "1"}, "finetuning") == [26.2]
    assert exact({**tuned, "search": "noise_none"}, "finetuning") == []
    assert exact({**tuned, "task": "miniwiki"}, "finetuning") == []
    mixed = {**tuned, "backbone": "gpt35"}
    assert exact({**mixed, "data": "multitask"}, "multi_task") == exact({**mixed, "data": "mixed"}, "multi_task") != []


def test_an_embedded_task_stands_for_one_of_the_papers():
    prompted = {"task": "miniwiki_yesno", "search": "bm25", "adapter": "none", "acting": "react", "backbone": "qwen"}
    theirs, others = at({**prompted, "task": "strategyqa"}, "multi_task")
    assert at(prompted, "multi_task") == (theirs, others) == ([], others) and others != []


def test_the_like_of_a_row_is_one_number_a_backbone_the_first_table_first():
    axes = {**FIREACT, "task": "miniwiki", "data": "miniwiki", "backbone": "smollm2_135m", "adapter": "qlora"}
    _, found = at(axes, "multi_method")
    assert [(n.backbone, n.value, n.source) for n in found] == [
        ("gpt35", 39.4, "Tables 4 and 10"), ("llama2_7b", 20.8, "Figure 4"), ("llama2_13b", 30.2, "Figure 4"),
        ("codellama_7b", 23.0, "Figure 4"), ("codellama_13b", 28.0, "Figure 4"), ("codellama_34b", 26.0, "Figure 4"),
    ]


@pytest.mark.parametrize(
    ("experiment", "axes", "gains"),
    [
        ("finetuning", {**FIREACT, "backbone": "llama2_7b"}, [11.4]),
        ("finetuning", {**HOTPOTQA, "backbone": "llama2_7b", "adapter": "none", "acting": "react"}, [None]),
        ("multi_method", {**FIREACT, "backbone": "gpt35", "method": "react_cot"}, [1.6, 1.8]),
        ("multi_method", {**HOTPOTQA, "backbone": "gpt35", "acting": "oracle"}, [12.6]),
        ("robustness", {**FIREACT, "backbone": "gpt35", "search": "noise_none"}, [-5.6, -5.6]),
        ("observation_mask",
         {**FIREACT, "backbone": "llama2_13b", "method": "react_cot", "loss_on": "targets"}, [-5.4]),
        ("few_shot_transfer",
         {"backbone": "llama2_7b", "task": "bamboogle", "acting": "react", "method": "react", "data": "hotpotqa",
          "search": "plain", "adapter": "lora"}, [24.0]),
    ],
)
def test_a_gain_is_over_the_same_tables_reference(experiment, axes, gains):
    found = [number.gain for number in at(axes, experiment)[0]]
    assert found == [gain if gain is None else pytest.approx(gain) for gain in gains]
