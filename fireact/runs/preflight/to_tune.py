"""What ``train.py`` needs: a device, weights, trajectories, and room on the disk and in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

from fireact.cli import Config, build, resolved
from fireact.errors import ConfigError, DataError, StorageError
from fireact.models import device
from fireact.models.device import CPU, GPU
from fireact.models.hub import local_folder, to_fetch
from fireact.models.shape import GIB, Shape, Tuning, checkpoint_bytes, training_bytes, weight_bytes
from fireact.runs.preflight.check import Check
from fireact.runs.preflight.to_act import logger, weights


def gpu(cfg: Config) -> str | None:
    """There are as many devices as the trainer wants."""
    here, trainer, begun = device.found(), cfg.trainer, (Path(cfg.run_dir) / "config.yaml").exists()
    if trainer.accelerator == GPU and here.kind != GPU:
        if begun:
            raise ConfigError(f"{cfg.run_dir} was begun on a GPU, and none is found here; go on where there is one, or "
                              "choose another run folder")
        raise ConfigError("the trainer wants a GPU, and no CUDA device is found here; choose trainer=auto or cpu")
    if trainer.accelerator == GPU and isinstance(trainer.devices, int) and trainer.devices > here.count:
        raise ConfigError(f"trainer.devices={trainer.devices} is more than the {here.count} found here; lower it")
    if trainer.accelerator == CPU and here.kind == GPU and begun and "trainer" not in cfg.cell:
        return f"{cfg.run_dir} was begun on a CPU and goes on there; remove it to start again on the {here.name}"
    return None


def backbone(cfg: Config) -> str | None:
    """The backbone's weights are here, or can be had; a line where they are to be fetched."""
    plain = resolved(cfg.backbone)
    if (other := plain.get("tokenizer_from")) is not None and not Path(other).is_dir():
        to_fetch({**plain, "name": other, "path": None, "hub": other, "revision": None, "embedded": False})
    return weights(plain)


def data(cfg: Config) -> None:
    """The trajectories are there, as many as are asked for; what is collected first can't be counted yet."""
    mix = build(cfg.data)
    if lack := mix.lack():
        raise DataError(lack.sentence)
    if not mix.missing():
        mix.load()


def rows(cfg: Config) -> None:
    """The layers are there, and the trajectories make rows, as the backbone's tokenizer cuts them; if it is here."""
    plain = resolved(cfg.backbone)
    folder = local_folder(plain)
    if folder is None or plain.get("tokenizer_from") is not None or not any(Path(folder).glob("tokenizer*")):
        return
    from fireact.training.rows import RowMaker

    backbone, mix = build(cfg.backbone), build(cfg.data)
    build(cfg.adapter).check(backbone)
    tokenizer = backbone.tokenizer()
    layout = backbone.text_format(tokenizer)
    if not mix.missing():
        RowMaker(layout, cfg.loss_on, cfg.max_length, cfg.too_long).rows(mix.load())


def architecture(cfg: Config) -> str | None:
    """The backbone trains and acts, as far as its configuration tells; a line for each thing that is off."""
    plain = resolved(cfg.backbone)
    if local_folder(plain) is None or cfg.adapter.name == "none":
        return None
    weights(plain)  # without which nothing more is worth saying
    from fireact.models.check import check

    return "\n".join(check(build(cfg.backbone), build(cfg.adapter), cfg.packing)) or None


def disk(cfg: Config) -> None:
    """The disk has room for checkpoints and adapter."""
    if (shape := Shape.of(local_folder(resolved(cfg.backbone)))) is None:
        return
    folder = Path(cfg.run_dir).absolute()
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    needed, free = checkpoint_bytes(shape, _tuning(cfg)), shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(f"{place} has {free / GIB:.1f} GiB left; a tuning leaves {needed / GIB:.1f} GiB or so of "
                           "checkpoints and adapter; free some, or choose another disk with runs_dir=DIR")


def memory(cfg: Config) -> str | None:
    """The device's memory holds the weights; a line where it may not hold the whole tuning."""
    here = device.found()
    if here.kind != cfg.trainer.accelerator or (shape := Shape.of(local_folder(resolved(cfg.backbone)))) is None:
        return None
    tuning, sharded = _tuning(cfg), cfg.trainer.get("strategy") not in (None, "ddp")
    room = here.memory_bytes * (here.count if sharded else 1)
    least = weight_bytes(shape, tuning.width, tuning.quantization)
    if least > room:
        raise ConfigError(f"backbone={cfg.backbone.name}: its weights take {least / GIB:.1f} GiB, and {here.name} has "
                          f"{room / GIB:.1f}; choose a smaller backbone, adapter=qlora or trainer=fsdp")
    whole = training_bytes(shape, tuning, cfg.micro_batch_tokens, cfg.optim.compile)
    if whole > room:
        return (f"tuning backbone={cfg.backbone.name} takes about {whole / GIB:.1f} GiB, and {here.name} has "
                f"{room / GIB:.1f}: it may run out of memory")
    return None


def _tuning(cfg: Config) -> Tuning:
    width = 2 if cfg.trainer.accelerator != CPU else 4
    return Tuning.of(resolved(cfg.adapter), width)


ON_THIS_MACHINE = (
    Check(gpu, ("trainer", "run_dir")),
    Check(memory, ("trainer", "backbone", "adapter", "micro_batch_tokens", "optim.compile")),
)
TUNING = (
    Check(backbone, ("backbone",)),  # first: nothing else is worth fixing without it
    Check(data, ("data",)),
    Check(disk, ("backbone", "adapter", "runs_dir")),
    Check(logger, ("logger",)),
)
AHEAD = (
    Check(rows, ("backbone", "adapter", "data", "loss_on", "max_length", "too_long")),
    Check(architecture, ("backbone", "adapter", "packing")),
)
