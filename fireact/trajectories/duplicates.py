"""Rows that several files share."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from fireact.trajectories.records import Trajectory


class Seen:
    """What was read of other files so far; a row that stands twice in one file is as its author wants it."""

    def __init__(self) -> None:
        self._files: dict[bytes, Path] = {}

    def count(self, trajectory: Trajectory, file: Path, counts: Counter[str]) -> None:
        """Add to ``duplicates_over_files`` where another file has the same question, tools and steps."""
        question = trajectory.question
        same = (question.prompt(), question.system, trajectory.steps, trajectory.tools)
        digest = hashlib.sha256(repr(same).encode("utf-8", "surrogatepass")).digest()
        if self._files.setdefault(digest, file) != file:
            counts["duplicates_over_files"] += 1
