from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def mirror(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real data sets are where downloads come from."""
    monkeypatch.setenv("FIREACT_DATA", str(real_data))
