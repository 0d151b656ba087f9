"""The table in docs/architecture.md of what we use of other libraries without their promise, held against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

PINS = (ROOT / "requirements.lock").read_text(encoding="utf-8") + (ROOT / "requirements-torch.lock").read_text("utf-8")
CODE = sorted([*(ROOT / "fireact").rglob("*.py"), *ROOT.glob("*.py")])
HYDRAS_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}  # of a configuration, and documented


class Use(NamedTuple):
    library: str
    what: tuple[str, ...]  # names and words, as the code holds them
    where: str
    test: str


def _table() -> list[Use]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("## What we use of others without their promise\n")[1].split("\n## ")[0]
    uses, library = [], ""
    for row in [line for line in section.splitlines() if line.startswith("| ")][1:]:
        named, what, where, test = (cell.strip() for cell in row.strip("|").split("|"))
        library = named or library
        uses.append(Use(library, tuple(re.findall(r"`([^`]+)`", what)), where.strip("`"), test.strip("`")))
    return uses


TABLE = _table()


def _private(path: Path) -> Iterator[str]:
    """Underscore names of what is not ours: attributes of others' objects, modules, and classes that are swapped."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned = {id(target) for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            is_swapped = node.attr == "__class__" and id(node) in assigned
            if is_swapped or re.match(r"_[a-zA-Z]", node.attr) and node.attr not in HYDRAS_KEYS:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and re.search(r"\._[a-z]", node.module or ""):
            yield from (alias.name for alias in node.names)


def test_what_is_private_to_others_is_in_the_table() -> None:
    listed = {(use.where, word) for use in TABLE for word in use.what}
    used = {(path.relative_to(ROOT).as_posix(), name) for path in CODE for name in _private(path)}
    assert used - listed == set()


@pytest.mark.parametrize("use", TABLE, ids=lambda use: f"{use.library.split()[0]}-{use.what[0]}")
def test_the_table_names_what_there_is(use: Use) -> None:
    assert "==".join(use.library.split()) in PINS.split()
    code = (ROOT / use.where).read_text(encoding="utf-8")
    assert [word for word in use.what if word not in code] == []
    file, name = use.test.split("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")
