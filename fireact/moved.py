"""Where things stood in the first edition: its modules are still imported, run and named in configurations so.

``python -m fireact.data.show``, a class of a user's that imports ``fireact.search.base`` and a ``_target_`` of a run
made then all go on. A run's result keys hold the first name of each class, so what was finished stays finished.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

MOVED = {
    "fireact.app": "fireact.cli",
    "fireact.backbone": "fireact.models.backbone",
    "fireact.calls": "fireact.tools.calls",
    "fireact.dashboard": "fireact.runs.dashboard",
    "fireact.data": "fireact.trajectories",
    "fireact.data.holdings": "fireact.trajectories.mixes.holdings",
    "fireact.data.mix": "fireact.trajectories.mixes.mix",
    "fireact.data.released": "fireact.trajectories.importers.released",
    "fireact.data.rows": "fireact.training.rows",
    "fireact.download": "fireact.trajectories.storage.download",
    "fireact.lms.oracle": "fireact.miniwiki.oracle",
    "fireact.lms.recorded": "fireact.journal.recorded_model",
    "fireact.methods": "fireact.agent",
    "fireact.methods.cot": "fireact.agent.earlier",
    "fireact.methods.fireact": "fireact.agent.earlier",
    "fireact.methods.io": "fireact.agent.earlier",
    "fireact.metrics": "fireact.trajectories.metrics",
    "fireact.records": "fireact.trajectories.records",
    "fireact.render": "fireact.trajectories.dialogue",
    "fireact.search": "fireact.tools",
    "fireact.search.recorded": "fireact.journal.recorded_search",
    "fireact.selection": "fireact.trajectories.selection",
    "fireact.tasks.miniwiki": "fireact.miniwiki",
}
"""First name → today's, of modules and of packages with all in them; the longest that fits decides."""
_FIRST = {now: first for first, now in MOVED.items() if first != "fireact.data"}


def first_name(target: str) -> str:
    """The dotted name that a class or function had in the first edition; its own if it has not moved."""
    return _renamed(target, _FIRST) or target


def follow() -> None:
    """Let imports of the first edition's names find what they meant."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # first, as the path of a moved package holds modules under both names


def _renamed(name: str, names: Mapping[str, str]) -> str | None:
    head = name
    while head and head not in names:
        head = head.rpartition(".")[0]
    return names[head] + name[len(head) :] if head else None


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        today = _renamed(fullname, MOVED)
        there = importlib.util.find_spec(today) if today else None
        if there is None:
            return None
        return ModuleSpec(fullname, _Alias(there), is_package=there.submodule_search_locations is not None)


class _Alias(Loader):
    """Loads a module under its first name as the very object that it is under today's."""

    def __init__(self, there: ModuleSpec) -> None:
        self._there = there

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(self._there.name)

    def exec_module(self, module: ModuleType) -> None:
        """It was executed under today's name, which it keeps."""
        module.__spec__ = self._there

    def get_code(self, fullname: str) -> CodeType | None:
        """What ``python -m`` runs."""
        loader = self._there.loader
        return loader.get_code(self._there.name) if isinstance(loader, InspectLoader) else None
