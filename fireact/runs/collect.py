"""A teacher acts, and what is worth keeping is kept: ``trajectories.jsonl`` in a run folder."""

from __future__ import annotations

from fireact.cli import Config, build
from fireact.runs import outputs, run_folders, scoring
from fireact.runs.acting import act, cut_short, open_run
from fireact.runs.preflight.jobs import check
from fireact.trajectories.selection import Selection, check_formats, export
from fireact.trajectories.storage.writing import write_lines


def collect(cfg: Config) -> int:
    """Run a teacher and keep what is worth keeping; says and saves what was dropped, and returns the number kept.

    Raises:
        FireActError: something is missing, or the run failed.
    """
    check(cfg)
    with run_folders.locked(cfg.run_dir):
        run = open_run(cfg, ["kept"])
        if run.state == run_folders.State.FINISHED:
            kept = f"{run.metrics['kept']} trajectories"
            print(f"{run.folder} is finished already ({kept}{cut_short(run.metrics)}); nothing to do")
            return int(run.metrics["kept"])
        check_formats(cfg.export)
        task, target = scoring.task_of(cfg), cfg.targets.get(cfg.method.name)
        questions = task.questions()
        selection = Selection(questions, build(cfg.select), target)
        metrics = act(cfg, run, task, questions, selection, selection.seems_enough)
        write_lines(run.folder / "trajectories.jsonl", (t.to_json() for t in selection.kept))
        export(cfg.export, selection.kept, run.folder)
        run.finish(outputs.figures(run.folder, {"target": target, **selection.counts(), **metrics}))
    print(f"{task.name} by {cfg.method.name}: {selection.summary()}{cut_short(metrics)}; see "
          f"{run.folder / 'trajectories.jsonl'}")
    return len(selection.kept)
