"""Which keys of a configuration decide what comes out of a run, and what a run of the same results is known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fireact import moved
from fireact.runs import editions

# Keys that say where a run happens and how it is watched, not what comes out of it: at any depth, with all below them.
IGNORED = (
    "act",
    "at_most",  # whether too few trajectories are refused
    "axes",
    "cache_dir",
    "cell",
    "contact",
    "data.released",  # what is there anyway, and checked against
    "experiment",
    "journal",
    "limits",
    "lm.adapter",
    "lm.api_key_env",
    "lm.budget_usd",
    "lm.cache_gib",
    "lm.concurrency",
    "lm.max_retries",
    "lm.prices",
    "lm.requests_per_minute",
    "lm.stream",
    "lm.timeout_s",
    "lm.tokens_per_minute",
    "logger",
    "plan",
    "process_per_cell",
    "run_dir",
    "recipe",
    "runs_dir",
    "save_every",
    "scored",
    "then_act",
    "trainer.log_every_n_steps",
    "tuned",  # a place; what is in it counts, and whoever opens the run adds its digest
)


def result_keys(config: Mapping[str, Any], ignore: Sequence[str] = IGNORED) -> dict[str, Any]:
    """The leaves of a configuration, by dotted key, that decide what comes out: all but the ignored ones."""
    ignored = [f".{key}." for key in ignore]
    leaves = _leaves(editions.without_effect(config))
    kept = ((key, leaf) for key, leaf in leaves if not any(part in f".{key}." for part in ignored))
    return {key: moved.first_name(leaf) if key.endswith("_target_") else leaf for key, leaf in kept}


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | list | tuple) and value:
        for name, below in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def config_hash(shaped: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()
