"""The SHA-256 of a file: that of a large one is computed once for every content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fireact.runs import parts
from fireact.trajectories.storage import digests
from fireact.trajectories.storage.digests import digest


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, of which none is too small or too new to be remembered."""
    files: list[Path] = []
    really = digests._read
    monkeypatch.setattr(digests, "_LARGE", 1)
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    monkeypatch.setattr(digests, "_read", lambda path: (files.append(path), really(path))[1])
    return files


def test_a_large_file_is_read_once_for_every_content(tmp_path: Path, read: list[Path]) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"one")
    one = hashlib.sha256(b"one").hexdigest()
    assert [digest(file, cache) for _ in range(3)] == [one] * 3 and len(read) == 1
    (tmp_path / "link").symlink_to(file)
    assert digest(tmp_path / "link", cache) == one and len(read) == 1
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(b"two")
    os.utime(file, ns=times)  # the time of its entry tells it all the same
    assert digest(file, cache) == hashlib.sha256(b"two").hexdigest() and len(read) == 2


def test_what_is_torn_is_computed_again(tmp_path: Path, read: list[Path]) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"one")
    found = digest(file, cache)
    [kept] = (cache / "digests").iterdir()
    for torn in ("", "[", "7", "[1]", '[[], "0"]'):
        kept.write_text(torn)
        assert digest(file, cache) == found
    assert len(read) == 6


def test_nothing_is_kept_of_small_or_just_changed_files_or_without_a_folder(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"one")
    found = digest(file)
    monkeypatch.setattr(digests, "_SETTLED_S", 60.0)
    assert digest(file, cache) == found
    monkeypatch.setattr(digests, "_LARGE", 4)
    assert digest(file, cache) == found and len(read) == 3 and not cache.exists()
    monkeypatch.setattr(digests, "_LARGE", 1)
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    assert digest(file, file / "no folder") == found, "a cache that can't be written costs time only"


def test_an_archive_to_search_is_read_once_for_all_runs(tmp_path: Path, read: list[Path]) -> None:
    (tmp_path / "archive").write_bytes(b"one")
    node = OmegaConf.create({"path": str(tmp_path / "archive"), "cache_dir": str(tmp_path / "cache")})
    settings = [parts.settings("search", node) for _ in range(2)]
    assert settings[0] == settings[1] and len(read) == 1
    assert settings[0]["search.path sha256"] == hashlib.sha256(b"one").hexdigest()
