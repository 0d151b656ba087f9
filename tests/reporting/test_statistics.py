from __future__ import annotations

import pytest

from fireact.reporting.compare import main, markdown
from fireact.reporting.statistics import (
    bootstrap_ci95,
    explained,
    measure_of,
    restated,
    summarize,
    wilson_ci95,
)
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.storage.writing import write_json


def trajectory(number: int, right: bool, rounds: int, end: str, seconds: float, ending=Ending.FINISH) -> Trajectory:
    question = Question(f"q{number}", "?", "a", "test", "dev")
    steps = tuple(Step("", "search", "x", "y") for _ in range(rounds))
    score = Score(float(right), 1.0 if right else 0.5, right)
    usage = Usage(2, 1, 10, 5, 0.25, seconds)
    facts = {"finished_at": f"2024-01-01T00:00:{end}+00:00"}
    return Trajectory(question, "react", steps, ending, "a", score, usage, facts)


RUN = [
    trajectory(0, True, 2, "10", 4),
    trajectory(1, False, 4, "12", 4),
    trajectory(2, False, 6, "40", 5, Ending.STEP_LIMIT),
]


def test_scores_divide_by_the_questions_asked():
    metrics = summarize(RUN, asked=4)
    assert (metrics["n"], metrics["em"], metrics["f1"], metrics["accuracy"]) == (4, 0.25, 0.5, 0.25)
    assert (metrics["finished"], metrics["endings"]) == (2, {"finish": 2, "step_limit": 1})
    assert metrics["rounds_mean"] == 4 and metrics["rounds_std"] == pytest.approx((8 / 3) ** 0.5)
    assert (metrics["lm_calls"], metrics["tokens_out"], metrics["cost_usd"]) == (6, 15, 0.75)
    assert metrics["em_ci95"] == metrics["accuracy_ci95"] == pytest.approx((0.0456, 0.6994), abs=5e-5)  # Wilson's
    assert metrics["f1_ci95"] == bootstrap_ci95([1.0, 0.5, 0.5, 0.0])


def test_files_that_hold_bootstrap_intervals_are_read_with_wilsons():
    old = {"n": 50, "em": 0.0, "f1": 0.0, "accuracy": 0.0, "em_ci95": [0.0, 0.0], "f1_ci95": [0.0, 0.0]}
    none = list(wilson_ci95(0, 50))
    assert restated(old) == {**old, "em_ci95": none, "f1_ci95": none, "accuracy_ci95": none}
    old = {**old, "em": 0.06, "f1": 0.1, "accuracy": 0.5, "em_ci95": [0.0, 0.14], "f1_ci95": [0.02, 0.19]}
    assert restated(old) == {
        **old, "em_ci95": [*wilson_ci95(0.06, 50)], "f1_ci95": [0.02, 0.19], "accuracy_ci95": [*wilson_ci95(0.5, 50)]
    }


def test_a_tasks_own_score_has_its_own_name():
    assert measure_of({"measure": "pass@1", "em": 0.0, "accuracy": 0.5}) == "pass@1"
    assert measure_of({"em": 0.5, "accuracy": 0.5}) == "EM" and measure_of({"em": 0.4, "accuracy": 0.5}) == "accuracy"
    assert explained({"hotpotqa": "EM"}) == []
    each, rule = explained({"hotpotqa": "EM", "strategyqa": "accuracy", "bamboogle": "EM"})
    assert each == "score is each task's own: EM for hotpotqa and bamboogle; accuracy for strategyqa."
    assert rule.startswith("accuracy is the share that is right by the task's own rule")


def test_seconds_count_overlaps_once_and_pauses_not_at_all():
    # 6–10 and 8–12 overlap; 35–40 was another session.
    assert summarize(RUN)["seconds"] == pytest.approx(6 + 5)


def test_the_table_holds_scores_and_intervals(tmp_path, capsys):
    facts = {"task": "test", "retriever": "bm25", "seed": 0}
    metrics = {**summarize(RUN, 4), **facts, "em_ci95": (0, 0.75), "f1_ci95": (0.1, 0.9)}
    write_json(tmp_path / "metrics.json", metrics)
    assert main([f"tuned={tmp_path}", "--out", str(tmp_path / "table.md")]) == 0
    assert capsys.readouterr().out == markdown([("tuned", metrics)]) + "\n"
    assert (tmp_path / "table.md").read_text().splitlines() == [
        "|       | EM, %            | F1, %             | finished | rounds    | s/question | n |",
        "|-------|------------------|-------------------|----------|-----------|------------|---|",
        "| tuned | 25.0 [4.6, 69.9] | 50.0 [10.0, 90.0] | 50%      | 4.0 ± 1.6 | 2.75       | 4 |",
        "",
        "95 % intervals: Wilson's for EM, by bootstrap over questions for F1; test, bm25, seed 0.",
    ]
    assert main([f"tuned={tmp_path}", "--out", str(tmp_path / "table.md")]) == 0
    assert main([f"tuned={tmp_path / 'nowhere'}"]) == 1
    assert capsys.readouterr().err.endswith("metrics.json is missing; run the command that makes it to its end first\n")


@pytest.mark.parametrize("link", [False, True])
def test_the_table_replaces_no_other_file(tmp_path, capsys, link):
    facts = {"task": "test", "retriever": "bm25", "seed": 0}
    write_json(tmp_path / "metrics.json", {**summarize(RUN, 4), **facts})
    (tmp_path / "theirs.md").write_text("" if link else "| a | table |\n")
    (tmp_path / "link.md").symlink_to(tmp_path / "theirs.md")
    out = tmp_path / ("link.md" if link else "theirs.md")
    assert main([f"tuned={tmp_path}", "--out", str(out)]) == 1
    assert capsys.readouterr().err == (
        f"{out} exists and holds no table of this command, so it was left as it is; name another file for --out\n"
    )
    assert (tmp_path / "theirs.md").read_text() == ("" if link else "| a | table |\n")


def test_a_table_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    facts = {"task": "test", "retriever": "bm25", "seed": 0}
    write_json(tmp_path / "metrics.json", {**summarize(RUN, 4), **facts})
    assert main([f"tuned={tmp_path}", "--out", str(tmp_path / "none" / "table.md")]) == 1
    assert "table.md (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metrics", "run", "said"),
    [
        ('{"task": "t", "retriever": "r", "seed": 0, "n": 1, "em": 1, "f1": 1, "em_ci95": [0, 1], "f1_ci95": [0, 1]}',
         "tuned={}", "{}/metrics.json lacks accuracy, finished, rounds_mean, rounds_std, seconds; a run that "
         "evaluate.py has finished is needed here"),
        ("{", "tuned={}", "{}/metrics.json is not JSON"),
        ("{}", "{}", "{} is no NAME=RUN; write the row's name, an equals sign and the run folder"),
    ],
)
def test_what_is_no_finished_run_is_one_sentence(tmp_path, capsys, metrics, run, said):
    (tmp_path / "metrics.json").write_text(metrics)
    assert main([run.replace("{}", str(tmp_path))]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(said.replace("{}", str(tmp_path)))
