"""How fast a tuning will be: by earlier runs of its kind, by what was measured on such a card, or by a short probe."""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fireact.models.device import GPU, Device
from fireact.models.shape import LLAMA2_7B, Shape, Tuning

_SIDE, _PRODUCTS = 1024, 5
_STEPS = 10  # from which on a run tells its rate: the first ones make caches and kernels
_OF_PRODUCTS = 0.7  # of the rate of bare matrix products that a tuning reaches on a CPU
_PASSES = {"lora": 4, "full": 6}  # operations a weight and token: forward, backward to activations, and to weights
# Tokens a second with Llama-2-7B's shape on an H100 (docs/performance.md), by quantised and compiled.
_H100 = {(False, False): 12_911, (False, True): 19_056, (True, False): 9_367, (True, True): 15_842}


@dataclass(frozen=True)
class Rate:
    """Tokens a second of a tuning, and where the figure comes from."""

    tokens_per_s: float
    source: str


def rate(
    runs_dir: Path, like: Mapping[str, Any], device: Device, shape: Shape | None, tuning: Tuning, compiled: bool
) -> Rate | None:
    """The best guess at hand; None where there is nothing to go by.

    Args:
        like: what an earlier run must agree in, by dotted key of its ``config.yaml``.
    """
    rates = list(_measured(runs_dir, like))
    if rates:
        return Rate(statistics.median(rates), f"{len(rates)} earlier {'run' if len(rates) == 1 else 'runs'} like it")
    if shape is None:
        return None
    if device.kind != GPU:
        operations = _PASSES[tuning.kind] * shape.parameters
        return Rate(_OF_PRODUCTS * matrix_rate() / operations, "a probe of matrix products here")
    if "H100" in device.name and tuning.kind == "lora":
        of_7b = _H100[tuning.quantization is not None, compiled]
        return Rate(of_7b * LLAMA2_7B.parameters / shape.parameters, "docs/performance.md, by the model's size")
    return None


@functools.cache
def matrix_rate() -> float:
    """Operations a second of float32 matrix products on this CPU, by a probe of a fraction of a second."""
    matrix = np.ones((_SIDE, _SIDE), np.float32)
    matrix @ matrix  # the first call sets the library up
    start = time.perf_counter()
    for _ in range(_PRODUCTS):
        matrix @ matrix
    return 2 * _SIDE**3 * _PRODUCTS / (time.perf_counter() - start)


def _measured(runs_dir: Path, like: Mapping[str, Any]) -> list[float]:
    found = []
    for metrics in runs_dir.glob("train/*/metrics.json"):
        try:
            config = yaml.safe_load((metrics.parent / "config.yaml").read_text(encoding="utf-8"))
            if all(_at(config, key) == value for key, value in like.items()):
                figures = json.loads(metrics.read_text(encoding="utf-8"))
                found += [float(figures["tokens_per_s"])] if figures["steps"] >= _STEPS else []
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue  # another's folder, or a damaged one: nothing to go by
    return found


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
