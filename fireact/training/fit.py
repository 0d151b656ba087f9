"""One tuning run, from a backbone and data to an adapter folder; resumes whatever it finds half done."""

from __future__ import annotations

import logging
import resource
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from safetensors import SafetensorError
from torch.distributed.fsdp import FSDPModule
from transformers import set_seed

from fireact.errors import ConfigError, StorageError
from fireact.models.backbone import Adapter, Backbone
from fireact.models.weights import computing_on, configuration, device
from fireact.training import shortcuts
from fireact.training.batches import MicroBatch
from fireact.training.checkpoint import Checkpointer, Stopped, StopRequest, load_weights
from fireact.training.checkpoint_files import BEST, LAST, PREVIOUS, write_safely
from fireact.training.dashboard_logger import DashboardLogger, MetricSink
from fireact.training.datamodule import TrajectoryModule
from fireact.training.module import Tuner
from fireact.training.optim import Optim
from fireact.training.progress import Progress
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.writing import remove_unfinished

log = logging.getLogger(__name__)


class StepLoader:
    """A loader of micro-batches, made anew for every iteration, grouped into its ``steps`` optimizer steps."""

    def __init__(self, loader: Callable[[], Iterable[MicroBatch]], steps: int) -> None:
        self._loader, self._steps = loader, steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[MicroBatch]]:
        step: list[MicroBatch] = []
        for micro in self._loader():
            step.append(micro)
            if micro.last_of_step:
                yield step
                step = []


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's announcements and advice, which speak of its own defaults and not of this run."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")  # PEFT still asks for it
        try:
            yield
        finally:
            logger.setLevel(level)


@quiet()
def fit(
    backbone: Backbone,
    adapter: Adapter,
    data: TrajectoryModule,
    optim: Optim,
    trainer: Callable[..., lightning.Trainer],
    folder: Path,
    loggers: Sequence[Logger | MetricSink] = (),
    seed: int = 0,
    early_stop: int | None = None,
    save_every: int = 50,
) -> dict[str, float | None]:
    """Tune ``backbone`` and leave ``folder/adapter``, which plain PEFT loads.

    Goes on from ``folder/checkpoints/last.ckpt`` if it is there, to the very weights (on a CPU) that it would have
    reached without the stop; from ``last.previous.ckpt`` where the last one is torn.

    Args:
        trainer: ``lightning.Trainer`` with devices, precision and strategy already bound.
        loggers: Lightning's, or open dashboards.
        seed: of the adapter's first weights and of dropout; ``data`` has its own.
        early_stop: epochs without a lower validation loss after which to stop; the best weights are then kept.
        save_every: optimizer steps between two checkpoints.

    Returns:
        ``train_loss`` (of the last epoch) and ``val_loss``, both means over target tokens; ``steps``, ``tokens`` (real,
        unpadded ones), ``targets``, ``seconds`` in optimizer steps, ``tokens_per_s``, ``peak_memory_bytes``.

    Raises:
        ConfigError: early stopping without validation rows, or a trainer that this machine has no devices for.
        ModelError: the backbone can't be loaded or tuned, or the loss is not finite.
        StorageError: a checkpoint or the adapter can't be written, or ``folder`` is somebody else's.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if early_stop and not data.validation_rows:
        raise ConfigError("early_stop needs a validation loss; set val_fraction above 0")
    folders.claim(folder)
    stop, checkpoints = StopRequest(), folder / "checkpoints"
    saver = Checkpointer(checkpoints, save_every, keep_best=bool(early_stop), stop=stop)
    callbacks: list[Callback] = [saver, Progress()]
    if early_stop:
        callbacks.append(EarlyStopping("val_loss", patience=early_stop))
    total_steps = optim.total_steps(data.steps_per_epoch)
    try:
        run = trainer(
            logger=[each if isinstance(each, Logger) else DashboardLogger(each) for each in loggers],
            callbacks=callbacks, default_root_dir=folder, max_steps=total_steps, max_epochs=-1,
            num_sanity_val_steps=0, use_distributed_sampler=False, enable_model_summary=False,
            enable_progress_bar=False,
        )
    except (MisconfigurationException, ModuleNotFoundError) as error:
        raise ConfigError(f"this trainer does not suit this machine ({str(error).splitlines()[0].rstrip('.')}); "
                          "choose trainer=auto or cpu") from error
    with computing_on(run.strategy.root_device):  # each rank loads the backbone on its own device
        exact = shortcuts.found(configuration(backbone), backbone.name, backbone.cache_dir, data.packing)
        for line in exact.lines():
            log.warning(f"backbone {backbone.name}: {line}")
        data.lay_out(exact.packed.exact, exact.padded.exact)
        set_seed(seed)
        tuner = Tuner(adapter.apply(backbone), optim, total_steps, exact.loss.exact)
        _train(run, tuner, data, saver)
        if early_stop:
            tuner.totals.val_loss = saver.best_loss
        if run.is_global_zero:
            load_weights(_whole(tuner, adapter, backbone), checkpoints / (BEST if early_stop else LAST))
            _export(adapter, tuner, backbone, folder / "adapter")
            (checkpoints / PREVIOUS).unlink(missing_ok=True)
        if stop.asked:  # too late for a checkpoint, not for what comes after a tuning
            raise stop.reason("the last optimizer step")
        return _results(run, tuner)


def _train(run: lightning.Trainer, tuner: Tuner, data: TrajectoryModule, saver: Checkpointer) -> None:
    data.trainer = run
    if run.is_global_zero:
        remove_unfinished(saver.folder)
    start = saver.found()
    write_safely(run, whole=start == saver.folder / LAST)
    train = StepLoader(data.train_dataloader, data.steps_per_epoch)
    validation = StepLoader(data.val_dataloader, 1) if data.validation_rows else None
    try:
        with saver.stop.listening():
            run.fit(tuner, train, validation, ckpt_path=start)
    except (Stopped, SIGTERMException):  # Lightning's own, where the signal came before it was ours to hear
        raise saver.stop.reason(f"optimizer step {tuner.global_step}") from None


def _whole(tuner: Tuner, adapter: Adapter, backbone: Backbone) -> Tuner:
    """``tuner``, with a new model in place of one that is spread over ranks."""
    if isinstance(tuner.model, FSDPModule):
        tuner.model = adapter.apply(backbone)
    return tuner


def _export(adapter: Adapter, tuner: Tuner, backbone: Backbone, folder: Path) -> None:
    """Write the adapter beside its place and move it there, so that a folder of this name is always whole."""
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        adapter.save(tuner.model, backbone, backbone.tokenizer(), partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise StorageError(f"adapter {folder} can't be written ({why}); free space, and the same command writes it "
                           "from the last checkpoint") from error


def _results(run: lightning.Trainer, tuner: Tuner) -> dict[str, float | None]:
    totals = tuner.totals
    return {
        "train_loss": totals.epoch_loss / max(1, totals.epoch_targets),
        "val_loss": totals.val_loss,
        "steps": run.global_step,
        "tokens": totals.tokens,
        "targets": totals.targets,
        "seconds": totals.seconds,
        "tokens_per_s": totals.tokens / max(totals.seconds, 1e-9),
        "peak_memory_bytes": _peak_memory(),
    }


def _peak_memory() -> int:
    """Bytes: of the GPU if it computes on one, else of this process."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
