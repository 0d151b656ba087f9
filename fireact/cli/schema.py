"""The keys that no class declares, those that the scripts themselves read: types, ranges, and what shapes no result.

A key of a node with a ``_target_`` is declared by that class (see ``fireact.cli.declared``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval

from fireact.ranges import Count, Natural, NoEffect, Seconds, Seed, Text, Texts, Unnamed

Replay = Literal["reuse", "only", "off", False]  # YAML takes a bare off for False
Held = Annotated[float, Interval(ge=0, lt=1)] | Count  # a share, or so many rows
Group = Mapping[str, Any]


@dataclass
class Journal:
    """``journal`` of evaluate.py and generate.py."""

    path: Text
    replay: Replay


@dataclass
class Method:
    """``method`` of train.py, whether it can act or is a mix to train on."""

    name: Text
    trains_on: Texts


@dataclass
class Size:
    """``size``: how many trajectories."""

    n: Count | None
    at_most: NoEffect[bool] = False  # whether too few trajectories are refused


@dataclass
class Scored:
    """``scored``: the tasks that a model tuned on the data is scored on."""

    home: Texts | None
    suite: Texts | None
    transfer: Texts | None


@dataclass
class Act:
    """``act``: what follows on a tuning."""

    task: Texts | None
    search: Texts
    method: Sequence[Text]
    prompted: Sequence[Text]
    limit: Count | None
    overrides: Sequence[Text]


Precision = Literal[
    "32-true", "32", "64-true", "64", "bf16-mixed", "bf16-true", "bf16", "16-mixed", "16-true", "16",
    "transformer-engine", "transformer-engine-float16",
]  # fmt: skip


@dataclass
class Trainer:
    """``trainer``: of ``lightning.Trainer``'s arguments those that conf sets, told without importing it."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    devices: Count | Text | Sequence[Natural] | Literal[-1] = "auto"
    precision: Precision | Literal[16, 32, 64] = "32-true"
    log_every_n_steps: NoEffect[Natural] = 50
    num_nodes: Count = 1
    strategy: Text | Group = "auto"


@dataclass(kw_only=True)
class Common:
    """What the three scripts share."""

    seed: Seed
    cache_dir: Unnamed[Text]
    runs_dir: Unnamed[Text]
    run_dir: Unnamed[Text]
    axes: NoEffect[Texts]
    plan: Unnamed[bool] = False
    experiment: Unnamed[Text | None] = None
    cell: NoEffect[Group | None] = None
    recipe: NoEffect[Group | None] = None  # what counts of it is read by other keys
    logger: Unnamed[Group | None] = None


@dataclass(kw_only=True)
class Train(Common):
    """Of train.py."""

    backbone: Group
    adapter: Group
    method: Method
    data: Group
    size: Size
    optim: Group
    scored: NoEffect[Scored]
    trainer: Trainer
    loss_on: Literal["targets", "all"]
    max_length: Count
    too_long: Literal["drop", "split", "error"]
    micro_batch_tokens: Count
    packing: bool
    val_fraction: Held
    early_stop: Count | None
    save_every: NoEffect[Count]
    then_act: Unnamed[bool]
    act: Unnamed[Act]
    process_per_cell: Unnamed[bool | None]


@dataclass
class Tools:
    """``tools``: what may be called besides the search tool, and within which limits."""

    named: Group
    timeout_s: NoEffect[Seconds]
    max_chars: Count
    on_error: Literal["observation", "end"]


@dataclass(kw_only=True)
class Acting(Common):
    """Of generate.py and evaluate.py."""

    task: Group
    method: Group
    search: Group
    tools: Tools | None = None
    measure: Group | None = None
    lm: Group
    backbone: Group
    tuned: NoEffect[Text | None]  # a place; what is in it counts, and whoever opens the run adds its digest
    journal: NoEffect[Journal]


@dataclass(kw_only=True)
class Generate(Acting):
    """Of generate.py."""

    select: Group
    targets: Mapping[str, Count | None]
    export: Sequence[Literal["alpaca", "chat"]]


SCRIPTS: Mapping[str, Any] = {"train": Train, "evaluate": Acting, "generate": Generate}
