"""Tune a backbone on trajectories: a run folder with adapter/, logs, checkpoints and metrics.json.

python train.py                                        the embedded model, world and trajectories
python train.py experiment=multi_method                a table of the paper, its figure and its page
python train.py backbone=llama2_7b data=mixed -m       the paper's multi-task mix, tuned, scored and tabulated
"""

from __future__ import annotations

import fireact.starting  # noqa: F401 - before all that takes time to import
from fireact import cli
from fireact.runs import adapters, dashboard, sweep, tune
from fireact.runs.evaluate import evaluate_cell
from fireact.runs.evaluations import next_step, unfinished
from fireact.runs.preflight.jobs import check
from fireact.runs.run_folders import State, is_first_rank


@cli.main("train", sweep.Tuning())  # composes every cell and, after the last one, writes the table
def main(cfg: cli.Config) -> float:
    """Collect what is missing, tune, write and, in a sweep, act; returns the validation or training loss, or score."""
    if not is_first_rank():
        with tune.opened(cfg) as run:
            tune.tune(cfg, run)
        return 0.0
    check(cfg)
    if cfg.adapter.name == "none":  # the untuned backbone has only to act
        logger = cli.build(cfg.get("logger")) if unfinished(cfg) else None
        with dashboard.opened(logger, cli.resolved(cfg), "train") as board:
            return evaluate_cell(cfg, board)
    with tune.opened(cfg) as run:
        if run.state is State.FINISHED:
            run = adapters.reopened(run, wanted=not cfg.then_act or unfinished(cfg))
        done = run.state is State.FINISHED
        # What is finished is not shown again: a dashboard would gain a run that says nothing.
        logger = None if done and not (cfg.then_act and unfinished(cfg)) else cli.build(cfg.get("logger"))
        with dashboard.opened(logger, cli.resolved(cfg), "train") as board:
            if done:
                print(f"{run.folder} is finished already; nothing to do")
            else:
                run.finish(tune.tune(cfg, run, logger))
                board.tuned(run.metrics, run.folder / "adapter")
                print("train loss {train_loss:.3f} after {steps} optimizer steps, {tokens_per_s:.0f} tokens/s".format(
                    **run.metrics))
            if cfg.then_act:
                return evaluate_cell(cfg, board)
    print(f"let it act: {next_step(cfg)}")
    loss = run.metrics["val_loss"]
    return float(run.metrics["train_loss"] if loss is None else loss)


if __name__ == "__main__":
    main()
