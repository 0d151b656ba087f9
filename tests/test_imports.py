"""Who may import whom: the walls of docs/architecture.md, held by reading every import statement."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "fireact").rglob("*.py"))
SCRIPTS = [path for path in (ROOT / f"{name}.py" for name in ("train", "evaluate", "generate")) if path.exists()]

# Who may be imported by everybody, and know nobody of ours.
GROUND = {"errors", "ranges", "overrides", "moved", "commands", "starting"}
# Longest matching head decides; "tasks" stands for fireact.tasks and all below it, and may always import itself.
ALLOWED = {
    **{name: set[str]() for name in GROUND},
    "trajectories": set(),
    "trajectories.show": {"formats", "training.rows"},  # a command of its own, which shows what formats make of a file
    "formats": {"trajectories"},
    "tools": {"trajectories"},
    "tasks": {"trajectories"},
    "tasks.measures": {"lms.base", "trajectories"},  # a model may be the judge
    "models": {"formats", "trajectories"},
    "models.check": {"cli", "formats", "training"},  # a command of its own, which tries what training would do
    "training": {"formats", "models", "trajectories"},
    "lms": {"formats", "trajectories"},
    "lms.huggingface": {"formats", "models", "trajectories"},
    "agent": {"lms.base", "tools.base", "tools.calls", "trajectories"},
    "journal": {"lms.base", "tools.base", "tools.calls", "trajectories"},
    "miniwiki": {"lms.base", "trajectories"},
    "reporting": {"trajectories"},
    "cli": {"models", "trajectories"},
    "runs": {"agent", "cli", "formats", "journal", "lms.base", "models", "reporting", "tasks.base", "tasks.measures"}
    | {"tools", "training", "trajectories"},
}
LEARNING = {"torch", "lightning", "transformers", "peft", "bitsandbytes", "safetensors"}
MAY_LEARN = ("models", "training", "lms.huggingface", "trajectories.show")
# Of these rooms, what a configuration names all the same: the declarations that are read to tell a mistake.
DECLARATIONS = (
    *(f"models.{name}" for name in ("backbone", "choices", "device", "hub", "shape", "speed")),
    "training.optim",
    "lms.huggingface",
)
CONFIGURATION = {"hydra", "omegaconf"}


def _name(path: Path) -> str:
    """``fireact/data/__init__.py`` → ``data``, ``fireact/lms/base.py`` → ``lms.base``."""
    return ".".join(path.relative_to(ROOT / "fireact").with_suffix("").parts).removesuffix("__init__").rstrip(".")


def _imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it; ``from a import b`` gives ``a.b`` if that is a module of ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:
                below = ROOT / f"{node.module}.{alias.name}".replace(".", "/")
                is_module = below.is_dir() or below.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else str(node.module)


def _within(module: str, heads: object) -> bool:
    return any(module == head or module.startswith(f"{head}.") for head in heads)  # type: ignore[attr-defined]


def _room(module: str) -> str:
    """The longest head of ``module`` that has rules of its own."""
    heads = [head for head in ALLOWED if _within(module, [head])]
    assert heads, f"fireact.{module} has no rule in {Path(__file__).name}; say there what it may import"
    return max(heads, key=len)


@pytest.mark.parametrize("path", [p for p in MODULES if _name(p)], ids=_name)
def test_a_room_imports_only_its_neighbours(path: Path) -> None:
    room = _room(_name(path))
    ours = {name.removeprefix("fireact.") for name in _imports(path) if name.startswith("fireact.")}
    allowed = ALLOWED[room] | GROUND | {room, room.split(".")[0]}
    assert {name for name in ours if not _within(name, allowed)} == set()


@pytest.mark.parametrize("path", [p for p in MODULES if _name(p)], ids=_name)
def test_heavy_and_configuration_libraries_stay_in_their_rooms(path: Path) -> None:
    roots = {name.split(".")[0] for name in _imports(path)}
    assert _within(_name(path), MAY_LEARN) or not roots & LEARNING
    assert _within(_name(path), ["cli"]) or not roots & CONFIGURATION


def test_the_package_itself_imports_next_to_nothing() -> None:
    assert list(_imports(ROOT / "fireact" / "__init__.py")) == ["logging", "fireact.moved"]


def test_scripts_and_all_that_needs_no_weights_load_no_torch() -> None:
    """Also what they import in turn; a fresh interpreter, since this one may hold torch already."""
    light = [f"fireact.{_name(p)}" for p in MODULES if _name(p) and not _within(_name(p), MAY_LEARN)]
    light += [f"fireact.{name}" for name in DECLARATIONS]
    if not importlib.util.find_spec("mcp"):  # an extra
        light = [name for name in light if not _within(name, ["fireact.tools.mcp"])]
    names = [*light, *(path.stem for path in SCRIPTS)]
    load = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)"
    code = f"{load}\nprint({LEARNING!r} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
