"""What ``auto`` stands for in ``train.py``'s configuration: one function of the device, the model and the run's length.

On a CPU every rule gives what the project has always done there, so that runs made before still count. On a GPU the
rules come from what was measured on one (docs/performance.md):

trainer.accelerator, trainer.precision
    One GPU in bf16-mixed where there is one; the CPU in float32 otherwise.
packing
    On a GPU: padding is a tenth to a half of what it would compute, and a pack's attention is one kernel there. Not
    with a model's own code, which might let trajectories see each other.
micro_batch_tokens
    The most of 4,096, 2,048 and 1,024 whose tuning is estimated to fit nine tenths of the card's memory; 1,024 where
    this machine, which may only hand out the work, has no card.
optim.compile
    Where the run is so long that the 75 to 90 s of compiling come back. For 7B that is at 3 million tokens, so at
    2 × 10¹⁶ parameters times tokens. Not where the model is sharded, which was never tried compiled, nor where what
    the compiler needs is missing.

A run that has begun keeps what was chosen for it, whatever machine goes on with it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fireact.errors import ConfigError
from fireact.models.device import CPU, GPU, Device
from fireact.models.shape import LLAMA2_7B, Shape, Tuning, training_bytes

AUTO = "auto"
KEYS = ("trainer.accelerator", "trainer.precision", "packing", "micro_batch_tokens", "optim.compile")
_PACKS = (4096, 2048, 1024)  # tokens
_USABLE = 0.9  # of a card's memory; the driver, the kernels and fragments take the rest
_PAYS = 2e16  # parameters times tokens from which on compiling pays
_TRAJECTORY = 250  # tokens of one, about: 205 to 280 in HotpotQA's, by tokenizer

ValueOf = Callable[[str], Any]  # a configuration's value by its dotted key; None where it has none


def chosen(value_of: ValueOf, device: Device, shape: Callable[[], Shape | None], can_compile: bool) -> dict[str, Any]:
    """A value for every key of ``KEYS`` that is ``auto``.

    Args:
        device: what this machine has; a run whose trainer is set to compute on the CPU takes the CPU's choices.
        shape: looks for the backbone's; asked only where it matters.
        can_compile: whether this machine has what compiling needs.

    Raises:
        ConfigError: one of the keys has a value that is neither ``auto`` nor of its kind.
    """
    _check(value_of)
    auto = [key for key in KEYS if value_of(key) == AUTO]
    if not auto:
        return {}
    accelerator = value_of("trainer.accelerator")
    if CPU in (accelerator, device.kind if accelerator == AUTO else GPU):
        values: dict[str, Any] = dict(zip(KEYS, (CPU, "32-true", False, 1024, False), strict=True))
    else:
        known = shape() or LLAMA2_7B
        compiled = can_compile and not _sharded(value_of) and _tokens(value_of) * known.parameters >= _PAYS
        packing = not value_of("backbone.trust_remote_code")
        pack = _pack(value_of, device, known)
        values = dict(zip(KEYS, (GPU, "bf16-mixed", packing, pack, compiled), strict=True))
    return {key: values[key] for key in auto}


def can_compile() -> bool:
    """Whether ``torch.compile`` would find what it builds kernels with: Triton, a C compiler and Python's headers."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), "")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return bool(compiler) and headers.is_file() and importlib.util.find_spec("triton") is not None


def _check(value_of: ValueOf) -> None:
    tokens, packing = value_of("micro_batch_tokens"), value_of("packing")
    if tokens is not None and tokens != AUTO and (type(tokens) is not int or tokens < 1):
        raise ConfigError(f"micro_batch_tokens={tokens} is not a whole number above 0; give one, or auto")
    if packing is not None and packing != AUTO and type(packing) is not bool:
        raise ConfigError(f"packing={packing} is not true or false; give it one")


def _pack(value_of: ValueOf, device: Device, shape: Shape) -> int:
    adapter = value_of("adapter")
    if adapter is None or adapter.get("kind") not in ("lora", "full"):
        return _PACKS[-1]
    tuning = Tuning.of(adapter, width=2)
    usable = _USABLE * device.memory_bytes if device.kind == GPU else 0
    fitting = (tokens for tokens in _PACKS if training_bytes(shape, tuning, tokens) <= usable)
    return next(fitting, _PACKS[-1])


def _tokens(value_of: ValueOf) -> float:
    """About how many tokens the run learns from. Where nobody says how many trajectories, as many as a cell's."""
    steps, batch = (_number(value_of(f"optim.{key}")) for key in ("max_steps", "batch_size"))
    if steps:
        return steps * batch * _TRAJECTORY
    size = _number(value_of("size.n")) or _number(value_of("recipe.grid.size"))
    return size * _number(value_of("optim.epochs")) * _TRAJECTORY


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0


def _sharded(value_of: ValueOf) -> bool:
    strategy = value_of("trainer.strategy")
    return bool(strategy) and strategy != "ddp"
