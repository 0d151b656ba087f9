from __future__ import annotations

import pytest

from fireact.reporting import paper
from fireact.reporting.layouts import layout_of

HOTPOTQA = {"task": "hotpotqa", "search": "plain"}
FIREACT = {**HOTPOTQA, "acting": "fireact", "method": "react", "data": "hotpotqa"}
EXPERIMENTS = [
    "prompting", "finetuning", "robustness", "data_scaling", "multi_method", "multi_task", "adapters", "tokenizer",
    "observation_mask", "few_shot_transfer", "epochs", "cost",
]


def values(experiment: str, measure: str = "em") -> list[float]:
    return [number.value for number in paper.of_experiment(experiment, measure)]


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
def test_every_experiment_has_a_layout_numbers_and_footnotes(experiment):
    layout = layout_of(experiment)
    assert layout.title.startswith(("Table", "Figure")) and layout.found and layout.reference
    assert any(experiment in number.experiments for number in paper.published())
    assert any(note.startswith("The paper's temperatures differ") for note in paper.footnotes(experiment))


def test_a_sweep_of_ones_own_has_a_plain_layout_and_no_footnotes():
    assert layout_of("my_sweep").title == "Sweep: my_sweep" and layout_of("my_sweep").reference is None
    assert paper.footnotes("my_sweep") == []


def test_a_number_is_found_at_its_own_place_only():
    numbers = paper.of_experiment("finetuning")
    tuned = {**FIREACT, "backbone": "llama2_7b", "adapter": "qlora", "size": "n500"}
    assert [n.value for n in paper.at(tuned, numbers)] == [26.2]
    assert paper.at({**tuned, "backbone": "qwen3_4b"}, numbers) == []
    assert paper.at({**tuned, "method": "react_cot"}, numbers) == []


def test_figure_3_stands_for_fixed_epochs_only():
    numbers = paper.of_experiment("data_scaling")
    tuned = {**FIREACT, "backbone": "gpt35", "size": "n200"}
    assert [n.value for n in paper.at(tuned, numbers)] == [38.2]
    assert [n.value for n in paper.at({**tuned, "optim.max_steps": "null"}, numbers)] == [38.2]
    assert paper.at({**tuned, "optim.max_steps": "60"}, numbers) == []


def test_our_options_have_the_papers_names():
    assert paper.same({"task": "hotpotqa_paper", "search": "serpapi", "data": "multitask", "seed": "1"}) == {
        "task": "hotpotqa", "search": "plain", "data": "mixed", "seed": "1",
    }
    assert paper.same({"task": "miniwiki", "search": "noise_none"}) == {"task": "miniwiki", "search": "noise_none"}
    assert paper.kin({"task": "miniwiki_yesno", "backbone": "smollm2_135m"}) == {"task": "strategyqa"}


def test_the_like_of_a_row_is_one_number_a_backbone_the_first_table_first():
    axes = {**FIREACT, "task": "miniwiki", "data": "miniwiki", "backbone": "smollm2_135m", "adapter": "qlora"}
    found = paper.beside(axes, paper.of_experiment("multi_method"))
    assert [(n.axes["backbone"], n.value, n.source) for n in found] == [
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
    found = [paper.gain(n, layout_of(experiment).reference) for n in paper.at(axes, paper.of_experiment(experiment))]
    assert found == [gain if gain is None else pytest.approx(gain) for gain in gains]
