"""Tune a backbone on trajectories: a run folder with adapter/, logs, checkpoints and metrics.json.

python train.py                                        the embedded model, world and trajectories
python train.py experiment=multi_method                a table of the paper, its figure and its page
python train.py backbone=llama2_7b data=mixed -m       the paper's multi-task mix, tuned, scored and tabulated
"""

from __future__ import annotations

from typing import Any

from fireact import cli
from fireact.errors import DataError
from fireact.runs import planning, run_folders, sweep
from fireact.runs.dashboard import opened
from fireact.runs.result_keys import result_keys
from fireact.trajectories.storage.digests import digests


@cli.main("train", sweep.table_of(sweep.tuned_and_acted), planning.show)
def train(cfg: cli.Config) -> float:
    """Collect what is missing, tune, write and, in a sweep, act; returns the validation or training loss, or score."""
    if run_folders.is_first_rank():
        sweep.check(cfg)
    if cfg.adapter.name == "none":
        return prompt(cfg)
    files = digests(result_keys(cli.resolved(cfg.data)), cfg.cache_dir)
    shape = {**cli.resolved(cfg), **({"data_sha256": files} if files else {})}
    if not run_folders.is_first_rank():  # it only helps the first one with the fit
        tune(cfg, run_folders.open(cfg.run_dir, shape), None)
        return 0.0
    run_folders.adopt(cfg.run_dir, shape)
    with run_folders.locked(cfg.run_dir):
        run = run_folders.open(cfg.run_dir, shape)
        logger = cli.build(cfg.get("logger"))
        # What is finished is not opened again: a dashboard would gain a run that says nothing.
        shown = run.state != run_folders.State.FINISHED or (cfg.then_act and sweep.unfinished(cfg))
        with opened(logger if shown else None, cli.resolved(cfg), "train") as dashboard:
            if run.state == run_folders.State.FINISHED:
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


def prompt(cfg: cli.Config) -> float:
    """Let the untuned backbone act, where there is nothing to tune; returns the score."""
    logger = cli.build(cfg.get("logger")) if sweep.unfinished(cfg) else None
    with opened(logger, cli.resolved(cfg), "train") as dashboard:
        return sweep.act(cfg, dashboard)


def say(run: run_folders.Run) -> None:
    """How the tuning went, in a line."""
    loss, steps, rate = (run.metrics[key] for key in ("train_loss", "steps", "tokens_per_s"))
    print(f"train loss {loss:.3f} after {steps} optimizer steps, {rate:.0f} tokens/s")


def tune(cfg: cli.Config, run: run_folders.Run, logger: Any) -> dict[str, Any]:
    """Fit the adapter; the backbone is looked for first, since nothing else is worth doing without it."""
    from fireact.runs.acting import collect
    from fireact.training.datamodule import TrajectoryModule
    from fireact.training.fit import fit
    from fireact.training.rows import RowMaker

    backbone, adapter, mix = cli.build(cfg.backbone), cli.build(cfg.adapter), cli.build(cfg.data)
    optim, tokenizer = cli.build(cfg.optim), backbone.tokenizer()
    adapter.check(backbone)
    for source in mix.missing():
        collect(cli.compose("generate", source.generate))
    trajectories = mix.load()
    maker = RowMaker(backbone.text_format(tokenizer), cfg.loss_on, cfg.max_length, cfg.too_long)
    rows, misfits = maker.rows(trajectories)
    kept = mix.report - misfits.lost
    for method in mix.methods:
        if not any(name.endswith(f"/{method}") for name in kept):
            raise DataError(f"every trajectory of {method} exceeds max_length={cfg.max_length}; raise it")
    counts = {**kept, "too_long_dropped": len(misfits.dropped), "too_long_split": len(misfits.split)}
    counts |= {"rows_by_turn": misfits.by_turn, "reasoning_left_out": misfits.reasoning}
    print("data: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count))
    module = TrajectoryModule(
        rows, tokenizer, optim.batch_size, cfg.micro_batch_tokens, cfg.val_fraction, cfg.packing, cfg.seed
    )
    results = fit(
        backbone, adapter, module, optim, cli.build(cfg.trainer), run.folder,
        [logger] if logger else [], cfg.seed, cfg.early_stop, cfg.save_every,
    )
    return {**results, "data": counts, "seed": cfg.seed}


if __name__ == "__main__":
    train()
