from __future__ import annotations

import csv
import io

import pytest

from fireact.reporting.grid import read_grid
from fireact.reporting.markdown import Table
from fireact.reporting.results import results_of
from fireact.reporting.tables import table_of
from tests.reporting.grids import PROMPTED, TUNED, Maker


def table(maker: Maker, experiment: str) -> Table:
    return table_of(results_of(maker.grid(experiment)))


def column(of: Table, name: str) -> list[str]:
    return [row[of.header.index(name)] for row in of.rows]


def records(of: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(of.csv)))


@pytest.fixture
def finetuning(tmp_path) -> Table:
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0, 0, 0, 0, 0, 0, 0, 1])
    maker.cell(TUNED, [1, 1, 1, 1, 1, 0, 0, 1], [2, 2, 2, 2, 3, 3, 3, 11])
    return table(maker, "finetuning")


def test_the_whole_table(finetuning):
    assert finetuning.markdown().splitlines()[:14] == [
        "## Table 2: prompting against fine-tuning",
        "",
        "| acts by      | trajectories        | EM, %             | difference | p     | n | seeds | F1, % | "
        "finished | rounds    | "
        "USD/question | s/question | paper, other backbones                                            |",
        "|--------------|---------------------|-------------------|------------|-------|---|-------|-------|"
        "----------|-----------|"
        "--------------|------------|-------------------------------------------------------------------|",
        "| ReAct prompt | –                   | 12.5 [2.2, 47.1]  | reference  | –     | 8 | 1     | 56.2  | "
        "100 %    | 2.0 ± 0.0 | "
        "0.0100       | 1.12       | Llama-2-7B 14.8; GPT-3.5 31.4                                     |",
        "| tuned        | miniwiki: 100 ReAct | 75.0 [40.9, 92.9] | +62.5      | 0.062 | 8 | 1     | 87.5  | "
        "88 %     | 3.5 ± 2.9 | "
        "0.0100       | 1.12       | Llama-2-7B 26.2 (+11.4); GPT-3.5 39.2 (+7.8); all 6: +5.6 … +13.2 |",
        "",
        "- The paper found: Tuning beats prompting with every backbone, by 25 % (GPT-3.5) to 77 % (Llama-2-7B) of the "
        "prompted EM.",
        "- Every row: backbone=smollm2_135m, task=miniwiki, search=bm25.",
        "- Every prompted row: adapter=none.",
        "- Every tuned row: adapter=qlora, method=react, data=miniwiki, size=n100.",
        "- Scored on miniwiki with bm25[world] k=1.",
        "- Intervals are 95 %: Wilson's where every score is 0 or 1, else by bootstrap over questions, each with its "
        "mean over seeds; one seed says nothing on how another tuning would do.",
        "- difference is in points to the reference, the row alike but for what the experiment varies; p is two-sided, "
        "by Fisher's randomisation test over the same questions, not corrected for the number of rows.",
    ]


def test_the_papers_disagreements_stand_below(finetuning):
    assert [note[:38] for note in finetuning.notes[-4:]] == [
        "Table 2 is said to use 500 trajectorie", "The paper's repeats differ: GPT-3.5 tu",
        "The paper's temperatures differ betwee", "The paper's released run of a tuned GP",
    ]


def test_csv_holds_the_raw_numbers(finetuning):
    lines = finetuning.csv.splitlines()
    assert lines[0] == (
        "backbone,adapter,acting,task,search,method,data,size,measure,score_percent,ci95_low_percent,ci95_high_percent,"
        "compared,difference_points,p,n,seeds,seeds_low_percent,seeds_high_percent,seeds_std_points,f1_percent,"
        "finished_percent,rounds_mean,rounds_std,usd_per_question,"
        "seconds_per_question,trained_on,trajectories,trajectories_per_s,tokens_per_s,adapter_mb,paper,paper_gain,"
        "paper_source,paper_llama2_7b,paper_llama2_7b_gain,paper_gpt35,paper_gpt35_gain,failed"
    )
    assert lines[1] == (
        "smollm2_135m,none,react,miniwiki,bm25,,,,EM,12.5,2.241749145005667,47.088818221285344,reference,,,8,0,,,,56.25,"
        "100.0,2.0,0.0,0.01,1.125,,,,,,,,,"
        "14.8,,31.4,,"
    )
    tuned = records(finetuning)[1]
    assert (tuned["difference_points"], tuned["p"], tuned["finished_percent"]) == ("62.5", "0.0625", "87.5")
    assert (tuned["rounds_mean"], tuned["rounds_std"]) == ("3.5", str(8.25**0.5))
    assert tuned["trajectories"] == "miniwiki/react=100"
    assert (tuned["trained_on"], tuned["trajectories_per_s"], tuned["adapter_mb"]) == ("100.0", "2.0", "0.003")
    assert float(tuned["paper_llama2_7b_gain"]) == pytest.approx(11.4)


def test_the_papers_own_backbone_and_task_stand_next_to_its_number(tmp_path):
    maker = Maker(tmp_path)
    for backbone in ("llama2_7b", "qwen3_4b"):
        at = {"backbone": backbone, "task": "hotpotqa_paper"}
        maker.cell({**PROMPTED, **at}, [0, 0])
        maker.cell({**TUNED, **at, "data": "hotpotqa"}, [1, 0], trained_on=500)
    made = table(maker, "finetuning")
    assert column(made, "backbone") == ["Llama-2-7B", "Llama-2-7B", "qwen3_4b", "qwen3_4b"]
    assert column(made, "paper") == ["14.8, Table 2", "26.2 (+11.4), Table 2", "–", "–"]
    assert column(made, "paper, other backbones")[:2] == ["–", "–"]
    assert column(made, "difference") == ["reference", "+50.0", "reference", "+50.0"]
    assert [(r["paper"], r["paper_source"], r["paper_gpt35"]) for r in records(made)] == [
        ("14.8", "Table 2", ""), ("26.2", "Table 2", ""), ("", "", "31.4"), ("", "", "39.2")
    ]


def test_what_a_row_was_trained_on_is_its_size(tmp_path):
    maker = Maker(tmp_path)
    at = {"backbone": "gpt35", "task": "hotpotqa", "data": "hotpotqa"}
    maker.cell({**TUNED, **at, "size": "all"}, [1, 0], trained_on=500)
    maker.cell({**TUNED, **at, "size": "n200"}, [1, 0], trained_on=200)
    maker.cell({**TUNED, **at, "size": "n200", "optim.max_steps": "60"}, [1, 0], trained_on=200)
    made = table(maker, "data_scaling")
    assert made.header[:3] == ["updates", "size", "trajectories"]
    assert column(made, "updates") == ["–", "–", "60 updates"] and column(made, "trajectories") == [
        f"hotpotqa: {number} ReAct" for number in (500, 200, 200)
    ]
    assert column(made, "paper") == ["39.2, Figure 3", "38.2, Figure 3", "–"]


def test_every_method_and_task_learnt_from_is_counted(tmp_path):
    maker = Maker(tmp_path)
    one, two = {"hotpotqa/react": 500, "hotpotqa/cot": 187}, {"hotpotqa/react": 500, "mmlu/react": 456, "mmlu/cot": 247}
    maker.cell({**TUNED, "method": "react_cot"}, [1, 0], mix=one)
    maker.cell({**TUNED, "method": "react_cot", "data": "mixed"}, [1, 0], mix=two)
    made = table(maker, "multi_task")
    assert column(made, "trajectories") == [
        "hotpotqa: 500 ReAct + 187 CoT", "hotpotqa: 500 ReAct; mmlu: 456 ReAct + 247 CoT"
    ]
    assert [record["trained_on"] for record in records(made)] == ["687.0", "1203.0"]
    assert records(made)[0]["trajectories"] == "hotpotqa/react=500 hotpotqa/cot=187"


def test_what_a_grid_leaves_out_is_said(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(TUNED, [1, 0])
    maker.grid("multi_method", ["method=react_io data=hotpotqa: no trajectory of io was released"])
    made = table_of(results_of(read_grid(tmp_path)))
    assert "Left out: method=react_io data=hotpotqa: no trajectory of io was released" in made.notes


def test_numbers_that_agree_stand_once_and_those_that_do_not_both(tmp_path):
    maker = Maker(tmp_path)
    at = {"backbone": "gpt35", "task": "hotpotqa", "data": "hotpotqa"}
    for method in ("react", "react_cot"):
        maker.cell({**TUNED, **at, "method": method}, [1, 0])
    assert column(table(maker, "multi_method"), "paper") == [
        "39.4, Tables 4 and 10; 39.2, Figure 4; 3.2 rounds, Tables 4 and 10",
        "41.0 (+1.6), Tables 4 and 10; 41.0 (+1.8), Figure 4; 2.7 rounds, Tables 4 and 10",
    ]


def test_values_read_off_a_plot_say_so(tmp_path):
    maker = Maker(tmp_path)
    for epochs in ("1", "2", "8"):
        maker.cell({**TUNED, "optim.epochs": epochs}, [1, 0])
    made = table(maker, "epochs")
    assert column(made, "paper, other backbones") == [
        "GPT-3.5 ≈ 37.0, ≈ F1 49.3", "GPT-3.5 ≈ 38.8 (+1.8), ≈ F1 53.2", "–"
    ]
    assert "Figure 7's values are read off a plot (± 0.2)." in made.notes


def test_costs_stand_next_to_the_papers(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [1, 0])
    maker.cell({**TUNED, "adapter": "lora"}, [1, 0])
    made = table(maker, "cost")
    assert column(made, "tuned, trajectories/s") == ["–", "2.0"] and column(made, "weights, MB") == ["–", "0.0"]
    assert column(made, "paper, other backbones") == [
        "GPT-3.5 USD 0.0026, 9.0 s",
        "Llama-2-7B 5.4 trajectories/s; GPT-3.5 USD 0.0022, 2.7 s",
    ]


def test_noise_is_compared_with_the_same_model_without_it(tmp_path):
    maker = Maker(tmp_path)
    for search, right in (("bm25", [1, 1]), ("noise_none", [1, 0])):
        maker.cell({**PROMPTED, "search": search}, [1, 0])
        maker.cell({**TUNED, "search": search}, right)
    made = table(maker, "robustness")
    assert column(made, "search") == ["bm25", "bm25", "None half of the time", "None half of the time"]
    assert column(made, "difference") == ["reference", "reference", "+0.0", "−50.0"]
    assert column(made, "paper, other backbones")[3] == "GPT-3.5 33.6 (−5.6)"


def test_a_failed_cell_is_named_in_the_notes_and_the_csv(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(TUNED, [1, 0])
    maker.failed({**TUNED, "seed": "1"}, "the disk is full; free some space")
    made = table(maker, "sweep")
    assert made.notes[0] == "Failed: seed=1: the disk is full; free some space"
    assert [(r["n"], r["seeds"], r["failed"]) for r in records(made)] == [
        ("2", "0", ""), ("", "1", "the disk is full; free some space")
    ]


def test_a_grid_of_failures_says_so(tmp_path):
    maker = Maker(tmp_path)
    maker.failed(TUNED, "the disk is full; free some space")
    made = table(maker, "sweep")
    assert made.rows == [] and made.notes == [
        "Failed: the cell: the disk is full; free some space", "No cell has results."
    ]
    assert "| EM, % |" in made.markdown()


def test_rows_of_other_questions_are_not_tested(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [1, 0])
    maker.cell(TUNED, [1, 0, 1])
    made = table(maker, "finetuning")
    assert (column(made, "difference"), column(made, "p")) == (["reference", "other questions"], ["–", "–"])
    assert records(made)[1]["compared"] == "other questions" and records(made)[1]["p"] == ""
    said = "other questions: the row and its reference did not answer the same ones, so they are not compared."
    assert said in made.notes
    maker.cells.pop(0)
    made = table(maker, "finetuning")
    assert column(made, "difference") == ["–"] and said not in made.notes


def test_without_its_usual_reference_a_row_is_compared_with_the_first_alike(tmp_path):
    maker = Maker(tmp_path)
    for task in ("miniwiki", "miniwiki_yesno"):
        maker.cell({**TUNED, "task": task}, [1, 0])
        maker.cell({**TUNED, "task": task, "method": "cot"}, [1, 1])
    made = table(maker, "finetuning")
    assert column(made, "difference") == ["reference", "+50.0"] * 2
    said = (
        "Some rows have no usual reference in this grid; they are compared with the first row of the same backbone, "
        "task and search tool, if there is another."
    )
    assert said in made.notes
    assert not [note for note in table(maker, "sweep").notes if "usual reference" in note]


@pytest.mark.parametrize("experiment", ["finetuning", "sweep"])
@pytest.mark.parametrize(
    "other",
    [{"backbone": "qwen3_4b"}, {"task": "bamboogle"}, {"backbone.format": "alpaca"}, {"task.difficulty": "hard"}],
    ids=str,
)
def test_a_row_is_never_compared_with_a_prompted_one_of_other_conditions(tmp_path, experiment, other):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0, 0, 0])
    maker.cell(TUNED, [1, 0, 0])
    maker.cell({**TUNED, **other}, [1, 1, 0])
    alone = "–" if experiment == "finetuning" else "reference"
    assert column(table(maker, experiment), "difference") == ["reference", "+33.3", alone]
    maker.cell({**PROMPTED, **other}, [0, 0, 1])
    assert column(table(maker, "finetuning"), "difference") == ["reference", "+33.3", "+33.3", "reference"]
    assert {record["compared"] for record in records(table(maker, "finetuning"))} == {"reference", "paired"}


def test_another_search_tool_is_compared_only_where_nothing_else_differs(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0, 0])
    maker.cell({**TUNED, "search": "noise_none"}, [1, 0])
    assert column(table(maker, "finetuning"), "difference") == ["reference", "–"]
    assert column(table(maker, "sweep"), "difference") == ["reference", "reference"]
    maker.cell({**PROMPTED, "search": "serpapi"}, [0, 1])
    assert column(table(maker, "sweep"), "difference") == ["reference", "reference", "+50.0"]


def test_questions_of_one_name_in_two_worlds_are_other_questions(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0, 0], world="easy")
    maker.cell(TUNED, [1, 0], world="hard")
    assert column(table(maker, "finetuning"), "difference") == ["reference", "other questions"]


def test_what_seeds_did_has_a_column(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0, 0, 0, 0])
    for seed, right in (("0", [1, 0, 0, 0]), ("1", [1, 1, 1, 0]), ("2", [1, 1, 0, 0])):
        maker.cell({**TUNED, "seed": seed}, right)
    made = table(maker, "finetuning")
    assert column(made, "over seeds, %") == ["–", "25.0 … 75.0"]
    assert [(r["seeds_low_percent"], r["seeds_high_percent"], r["seeds_std_points"]) for r in records(made)] == [
        ("", "", ""), ("25.0", "75.0", "25.0")
    ]


def test_no_interval_is_a_point(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [0] * 50)
    for seed in ("0", "1"):
        maker.cell({**TUNED, "seed": seed}, [1] * 50)
    assert column(table(maker, "finetuning"), "EM, %") == ["0.0 [0.0, 7.1]", "100.0 [92.9, 100.0]"]


def test_a_rule_of_the_tasks_own_is_named(tmp_path):
    maker = Maker(tmp_path)
    maker.cell({**PROMPTED, "task": "strategyqa"}, [1, 0], em=0.0)
    made = table(maker, "sweep")
    assert column(made, "accuracy, %") == ["50.0 [9.5, 90.5]"] and records(made)[0]["measure"] == "accuracy"
    rule = "accuracy is the share that is right by the task's own rule, such as yes or no, or the letter of a choice."
    assert rule in made.notes
    maker.cell({**PROMPTED, "task": "miniwiki_yesno"}, [1, 0], measure="accuracy")  # where it equals the exact match
    maker.cell(PROMPTED, [1, 0])
    made = table(maker, "sweep")
    assert [record["measure"] for record in records(made)] == ["accuracy", "accuracy", "EM"]
    assert "score, %" in made.header and rule in made.notes
    assert "score is each task's own: accuracy for strategyqa and miniwiki_yesno; EM for miniwiki." in made.notes


def test_our_prompts_are_said_to_be_our_own_where_the_papers_figure_stands(tmp_path):
    said = "Rows that act by a prompt use this project's own few-shot prompts, not the paper's,"
    maker = Maker(tmp_path)
    maker.cell(TUNED, [1, 0])
    assert not [note for note in table(maker, "finetuning").notes if note.startswith(said)]
    maker.cell(PROMPTED, [1, 0])
    assert [note for note in table(maker, "finetuning").notes if note.startswith(said)]
    assert not [note for note in table(maker, "sweep").notes if note.startswith(said)]


def test_nothing_in_a_name_acts_as_markdown(tmp_path):
    maker = Maker(tmp_path)
    for note in ("<script>alert(1)</script>", "$x$ | *y* `z`"):
        maker.cell({**TUNED, "note": note}, [1, 0])
    made = table(maker, "sweep")
    assert column(made, "note") == ["<script>alert(1)</script>", "$x$ | *y* `z`"]
    assert "<script" not in made.markdown() and "| &lt;script>alert(1)&lt;/script> |" in made.markdown()
    assert r"| \$x\$ \| \*y\* \`z\`" in made.markdown()
    assert [record["note"] for record in records(made)] == ["<script>alert(1)</script>", "$x$ | *y* `z`"]
