"""What shapes the answers of a part of a run, by which a journal knows them."""

from __future__ import annotations

from typing import Any

from fireact.cli import Config, resolved
from fireact.runs.result_keys import result_keys
from fireact.trajectories.storage.digests import digests

# Of a task whose documents are searched, what says which questions are asked and changes no document.
_OF_QUESTIONS = ("corpus.limit", "corpus.order", "corpus.prompts")


def settings(kind: str, node: Config) -> dict[str, Any]:
    """What shapes the answers of a part: its configuration and the content of every file that this names."""
    keys = result_keys({kind: resolved(node)})
    keys = {key: leaf for key, leaf in keys.items() if not any(f".{part}." in f".{key}." for part in _OF_QUESTIONS)}
    content = digests(keys, node.get("cache_dir"))
    return {**keys, **{f"{key} sha256": sha256 for key, sha256 in content.items()}}
