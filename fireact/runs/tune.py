"""A backbone is tuned on a mix of trajectories: what ``train.py`` does in the folder of one tuning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fireact.cli import Config, build, compose, resolved
from fireact.errors import DataError
from fireact.runs import run_folders
from fireact.runs.adapters import SHA256, weights
from fireact.runs.collect import collect
from fireact.runs.result_keys import result_keys
from fireact.trajectories.storage.digests import digests
from fireact.trajectories.storage.reading import printable


@contextmanager
def opened(cfg: Config) -> Iterator[run_folders.Run]:
    """The run folder of a tuning, held by this process, or a link to a finished one of the same configuration.

    The other ranks of a fit neither lock nor link it: they only help the first one.

    Raises:
        StorageError: the folder can't be written or belongs to another configuration.
    """
    files = digests(result_keys(resolved(cfg.data)), cfg.cache_dir)
    config = {**resolved(cfg), **({"data_sha256": files} if files else {})}
    if not run_folders.is_first_rank():
        yield run_folders.open(cfg.run_dir, config)
        return
    run_folders.link_to_equal(cfg.run_dir, config)
    with run_folders.locked(cfg.run_dir):
        yield run_folders.open(cfg.run_dir, config)


def tune(cfg: Config, run: run_folders.Run, logger: Any = None) -> dict[str, Any]:
    """Collect what is missing, build, fit and leave ``adapter/``; returns the run's figures.

    Raises:
        FireActError: what is wrong with the backbone, the trajectories or the fit.
    """
    from fireact.training.datamodule import TrajectoryModule
    from fireact.training.fit import fit
    from fireact.training.rows import RowMaker

    backbone, adapter, mix, optim = (build(cfg[part]) for part in ("backbone", "adapter", "data", "optim"))
    tokenizer = backbone.tokenizer()
    adapter.check(backbone)
    for source in mix.missing():
        collect(compose("generate", source.generate))
    trajectories = mix.load()
    maker = RowMaker(backbone.text_format(tokenizer), cfg.loss_on, cfg.max_length, cfg.too_long)
    rows, too_long = maker.rows(trajectories)
    kept = mix.report - too_long.lost
    for method in mix.methods:
        if not any(name.endswith(f"/{method}") for name in kept):
            raise DataError(f"every trajectory of {method} exceeds max_length={cfg.max_length}; raise it")
    counts = {**kept, "too_long_dropped": len(too_long.dropped), "too_long_split": len(too_long.split)}
    counts |= {"rows_by_turn": too_long.by_turn, "reasoning_left_out": too_long.reasoning}
    counts |= {"thoughts_left_out": too_long.thoughts} if too_long.thoughts else {}
    print(printable("data: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count)))
    data = TrajectoryModule(
        rows, tokenizer, optim.batch_size, cfg.micro_batch_tokens, cfg.val_fraction, cfg.packing, cfg.seed
    )
    results = fit(
        backbone, adapter, data, optim, build(cfg.trainer), run.folder,
        [logger] if logger else [], cfg.seed, cfg.early_stop, cfg.save_every,
    )
    return {**results, "data": counts, "seed": cfg.seed, SHA256: weights(run.folder / "adapter")}
