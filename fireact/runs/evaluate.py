"""A model acts on a task's questions and is scored: once, or in everything that a cell of ``train.py`` acts out."""

from __future__ import annotations

from typing import Any

from fireact.cli import Config, build, compose, resolved
from fireact.errors import FireActError
from fireact.reporting.grid import Cell
from fireact.reporting.statistics import measure_of, restated
from fireact.runs import acting, outputs, run_folders, scoring
from fireact.runs.dashboard import Dashboard, opened
from fireact.runs.evaluations import evaluations
from fireact.runs.preflight.jobs import check
from fireact.trajectories.records import EM
from fireact.trajectories.storage import folders


def evaluate(cfg: Config) -> dict[str, Any]:
    """Act out all questions of the task into ``predictions.jsonl``; says, shows and returns the run's metrics.

    Raises:
        FireActError: something is missing, or the run failed.
    """
    check(cfg)
    with run_folders.locked(cfg.run_dir):
        run = acting.open_run(cfg)
        if run.state == run_folders.State.FINISHED:
            metrics = restated(run.metrics)
            said = f"{measure_of(metrics)} {metrics['accuracy']:.3f}{acting.cut_short(metrics)}"
            print(f"{run.folder} is finished already ({said}); nothing to do")
            return metrics
        with opened(build(cfg.get("logger")), resolved(cfg), "evaluate") as dashboard:
            task = scoring.task_of(cfg)
            run.finish(outputs.figures(run.folder, acting.act(cfg, run, task, task.questions())))
            metrics = run.metrics
            dashboard.evaluated(metrics, Cell({}, run.folder).trajectories())
    measure, (low, high) = measure_of(metrics), metrics["accuracy_ci95"]
    f1 = f"F1 {metrics['f1']:.3f}, " if measure == EM else ""  # of a yes or a letter it says nothing
    print(f"{task.name} by {cfg.method.name}: {measure} {metrics['accuracy']:.3f} [{low:.3f}, {high:.3f}], {f1}"
          f"{metrics['finished']} of {metrics['n']} finished, rounds {metrics['rounds_mean']:.2f}"
          f"{acting.cut_short(metrics)}; see {run.folder}")
    return metrics


def evaluate_cell(cfg: Config, dashboard: Dashboard) -> float:
    """Run the evaluations of a composed ``train.py`` configuration whose tuning, if it has one, is finished.

    Those after a failed one still run.

    Args:
        dashboard: is shown what the tuned model did, or the untuned one where none is tuned; the first evaluation
            under the plain names (``em``), the others under their own.

    Returns:
        The task's own score (a fraction) of the last one: exact match, or accuracy where that is its rule.

    Raises:
        FireActError: the first failure.
    """
    score, failures, todo = 0.0, [], evaluations(cfg)
    shown = [evaluation for evaluation in todo if evaluation.cell.tuned] or todo
    for evaluation in todo:
        run = evaluation.cell.run
        folders.forget_failure(run)
        try:
            metrics = evaluate(compose("evaluate", evaluation.overrides))
        except FireActError as error:
            failures.append(error)
            folders.note_failure(run, str(error))
            continue
        score = float(metrics["accuracy"])
        if evaluation in shown:
            name = "" if evaluation == shown[0] else run.name
            dashboard.evaluated(metrics, evaluation.cell.trajectories(), name)
    if failures:
        raise failures[0]
    return score
