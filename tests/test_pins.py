"""The ranges in pyproject.toml against the pins in requirements.lock: what was run lies within what is allowed; and
every pin but torch's has its hashes."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
WANTED = [wanted for wanted in map(Requirement, [*PROJECT["dependencies"], *EXTRAS]) if wanted.name != PROJECT["name"]]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
TORCH = (ROOT / "requirements-torch.lock").read_text(encoding="utf-8")
PINS = {canonicalize_name(name): pin for name, pin in re.findall(r"^([\w.-]+)==(\S+)", LOCK + TORCH, re.MULTILINE)}
UNPINNED = {"hydra-ray-launcher", "ray"}  # an extra that is too large to be installed everywhere


@pytest.mark.parametrize("requirement", WANTED, ids=str)
def test_a_range_has_both_ends_and_holds_the_pin(requirement: Requirement) -> None:
    assert {operator.operator for operator in requirement.specifier} >= {">=", "<"}
    name = canonicalize_name(requirement.name)
    assert name in UNPINNED or requirement.specifier.contains(PINS[name])


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-backbone.lock"])
def test_every_pin_is_held_by_a_hash(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    pinned = [line for line in text.splitlines() if not line.startswith("#")]
    assert pinned
    for line in pinned:
        pin = r"[\w.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+"
        assert re.fullmatch(pin, line), line[:80]


def test_every_pin_stands_in_the_table_of_licences() -> None:
    rows = (ROOT / "docs" / "supply.md").read_text(encoding="utf-8").splitlines()
    listed = {(canonicalize_name(cells[1]), cells[2]) for row in rows if len(cells := re.split(r" ?\| ?", row)) == 5}
    assert {*PINS.items()} <= listed
