"""Tune a backbone on trajectories: a run folder with adapter/, logs, checkpoints and metrics.json.

python train.py                                        the embedded model, world and trajectories
python train.py experiment=multi_method                a table of the paper, its figure and its page
python train.py backbone=llama2_7b data=mixed -m       the paper's multi-task mix, tuned, scored and tabulated
"""

from __future__ import annotations

from typing import Any

from fireact import app, planning, runs, sweep
from fireact.dashboard import opened
from fireact.errors import DataError


@app.main("train", sweep.table_of(sweep.tuned_and_acted), planning.show)
def train(cfg: app.Config) -> float:
    """Collect what is missing, tune, write and, in a sweep, act; returns the validation or training loss, or score."""
    if runs.is_first_rank():
        sweep.check(cfg)
    if cfg.adapter.name == "none":
        return prompt(cfg)
    files = runs.digests(runs.shaping(app.resolved(cfg.data)))
    shape = {**app.resolved(cfg), **({"data_sha256": files} if files else {})}
    if not runs.is_first_rank():  # it only helps the first one with the fit
        tune(cfg, runs.open(cfg.run_dir, shape), None)
        return 0.0
    runs.adopt(cfg.run_dir, shape)
    with runs.locked(cfg.run_dir):
        run = runs.open(cfg.run_dir, shape)
        logger = app.build(cfg.get("logger"))
        # What is finished is not opened again: a dashboard would gain a run that says nothing.
        shown = run.state != runs.State.FINISHED or (cfg.then_act and sweep.unfinished(cfg))
        with opened(logger if shown else None, app.resolved(cfg), "train") as dashboard:
            if run.state == runs.State.FINISHED:
                print(f"{run.folder} is finished already; nothing to do")
            else:
                run.finish(tune(cfg, run, logger))
                dashboard.tuned(run.metrics, run.folder / "adapter")
                say(run)
            if cfg.then_act:
                return sweep.act(cfg, dashboard)
    print(f"let it act: {sweep.next_step(cfg)}")
    loss = run.metrics["val_loss"]
    return float(run.metrics["train_loss"] if loss is None else loss)


def prompt(cfg: app.Config) -> float:
    """Let the untuned backbone act, where there is nothing to tune; returns the score."""
    logger = app.build(cfg.get("logger")) if sweep.unfinished(cfg) else None
    with opened(logger, app.resolved(cfg), "train") as dashboard:
        return sweep.act(cfg, dashboard)


def say(run: runs.Run) -> None:
    """How the tuning went, in a line."""
    loss, steps, rate = (run.metrics[key] for key in ("train_loss", "steps", "tokens_per_s"))
    print(f"train loss {loss:.3f} after {steps} optimizer steps, {rate:.0f} tokens/s")


def tune(cfg: app.Config, run: runs.Run, logger: Any) -> dict[str, Any]:
    """Fit the adapter; the backbone is looked for first, since nothing else is worth doing without it."""
    from fireact.acting import collect
    from fireact.data.module import TrajectoryModule
    from fireact.data.rows import RowMaker
    from fireact.training.fit import fit

    backbone, adapter, mix = app.build(cfg.backbone), app.build(cfg.adapter), app.build(cfg.data)
    optim, tokenizer = app.build(cfg.optim), backbone.tokenizer()
    adapter.check(backbone)
    for source in mix.missing():
        collect(app.compose("generate", source.generate))
    trajectories = mix.load()
    maker = RowMaker(backbone.text_format(tokenizer), tokenizer, cfg.loss_on, cfg.max_length, cfg.too_long)
    rows, misfits = maker.rows(trajectories)
    kept = mix.report - misfits.lost
    for method in mix.methods:
        if not any(name.endswith(f"/{method}") for name in kept):
            raise DataError(f"every trajectory of {method} exceeds max_length={cfg.max_length}; raise it")
    counts = {**kept, "too_long_dropped": len(misfits.dropped), "too_long_split": len(misfits.split)}
    print("data: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count))
    module = TrajectoryModule(
        rows, tokenizer, optim.batch_size, cfg.micro_batch_tokens, cfg.val_fraction, cfg.packing, cfg.seed
    )
    results = fit(
        backbone, adapter, module, optim, app.build(cfg.trainer), run.folder,
        [logger] if logger else [], cfg.seed, cfg.early_stop, cfg.save_every,
    )
    return {**results, "data": counts, "seed": cfg.seed}


if __name__ == "__main__":
    train()
