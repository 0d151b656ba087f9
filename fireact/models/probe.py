"""Whether a shortcut gives this architecture's own numbers: tried on a toy of it, once, and remembered on disk.

No table of names says what is exact for which model: what was never tried is not used. What is remembered counts for
this configuration, these versions of the libraries and this code of ours, and is tried anew where any of them changes.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import importlib.metadata
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

TOLERANCE = 1e-3  # of the root mean square of what is right: rounding is a hundredth of it, any fault far above
_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes")
_OURS = ("models", "training", "lms/huggingface")  # rooms whose code decides a verdict

# Given a float32 toy of its own, in evaluation mode: pairs of what a shortcut gives and what is right.
Pairs = Iterable[tuple["Tensor", "Tensor"]]
Trial = Callable[["PreTrainedModel"], Pairs]


@dataclass(frozen=True)
class Verdict:
    """How a shortcut did: ``exact``, ``off`` (other numbers), ``fails`` (with an error) or ``untried`` (no toy).

    ``why`` says it in half a sentence, unless it is exact.
    """

    kind: Literal["exact", "off", "fails", "untried"]
    why: str = ""

    @property
    def exact(self) -> bool:
        """Whether the shortcut may be used."""
        return self.kind == "exact"


def equal(config: PretrainedConfig, name: str, try_it: Trial, cache_dir: str | Path = ".cache") -> Verdict:
    """Whether all pairs that ``try_it`` makes of a toy of ``config`` agree within ``TOLERANCE``.

    Args:
        name: of the shortcut and of all that ``try_it`` depends on besides the configuration.
        cache_dir: where verdicts are kept, below ``probes``; one that can't be written only costs time.
    """
    file = Path(cache_dir, "probes", f"{_key(config, name)}.json")
    try:
        return Verdict(**json.loads(file.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        verdict = _tried(config, try_it)
    _remember(file, {"name": name, "model": config.model_type, "verdict": asdict(verdict)})
    return verdict


def _tried(config: PretrainedConfig, try_it: Trial) -> Verdict:
    with warnings.catch_warnings(action="ignore"), _without_advice():
        try:
            toy = copy.deepcopy(_toy(config))
        except Exception as error:  # whatever an architecture raises that nobody here has seen
            return Verdict("untried", f"no working toy of it can be built ({_said(error)})")
        try:
            worst = max((_distance(found, right) for found, right in try_it(toy)), default=float("inf"))
        except Exception as error:
            return Verdict("fails", f"it fails ({_said(error)})")
    return Verdict("exact") if worst <= TOLERANCE else Verdict("off", f"its numbers are off by {worst:.1%}")


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Without what transformers logs of a toy, which speaks of nothing that a user does."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _toy(config: PretrainedConfig) -> PreTrainedModel:
    import torch

    from fireact.models.shrunken import shrunken

    if (key := _key(config, "toy")) not in _last:
        _last.clear()
        toy = shrunken(config)
        with torch.no_grad():
            copy.deepcopy(toy)(input_ids=torch.arange(2, 10)[None], use_cache=False)
        _last[key] = toy
    return _last[key]


_last: dict[str, PreTrainedModel] = {}  # the toy that was built last, by its configuration


def _distance(found: Tensor, right: Tensor) -> float:
    """The largest difference, by the root mean square of ``right``; infinite where either is not finite."""
    if found.shape != right.shape or not (found.isfinite().all() and right.isfinite().all()):
        return float("inf")
    found, right = found.detach().double(), right.detach().double()
    size = right.square().mean().sqrt().clamp(min=1e-9)
    return float((found - right).abs().max() / size) if right.numel() else 0.0


def _said(error: Exception) -> str:
    """The beginning of what ``error`` says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:160].rstrip(". ")


def _key(config: Any, name: str) -> str:
    said = config.to_dict()
    for key in ("_name_or_path", "transformers_version"):
        said.pop(key, None)
    versions = {library: importlib.metadata.version(library) for library in _LIBRARIES}
    facts = [name, type(config).__name__, said, config._attn_implementation, versions, _code()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


@functools.cache
def _code() -> str:
    """A digest of the code of ours that a verdict depends on."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for file in sorted(file for room in _OURS for file in (root / room).glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _remember(file: Path, facts: dict[str, Any]) -> None:
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
