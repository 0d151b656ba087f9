"""Wikipedia offline: the published archive's form, on a small one made here, and every way that it can be wrong."""

from __future__ import annotations

import asyncio
import bz2
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fireact import cli
from fireact.errors import ConfigError, DataError, StorageError
from fireact.tools import abstracts, mapped, postings, shards
from fireact.tools.abstracts import ARCHIVE, WikipediaBM25
from fireact.tools.bm25 import BM25
from fireact.trajectories.storage import download
from fireact.trajectories.storage.registry import PublicFile

ROWS = [
    [("Long Arch", ["Long Arch is a bridge.", " It was built in 1871 by Ann Orr."]), ("Ann Orr", ["An engineer."])],
    [("Mercury (planet)", ["Mercury is small.", " It is the planet nearest to the sun."]), ("Łódź", ["A city.", ""])],
    [("Empty", []), ("Ann Orr", ["Another of that name."])],
]


def shard(rows: list[tuple[str, list[str]]]) -> bytes:
    """As published: more fields than are read."""
    lines = (json.dumps({"id": "1", "url": "u", "title": title, "text": text, "charoffset": [[[0, 4]]]})
             for title, text in rows)
    return bz2.compress("".join(line + "\n" for line in lines).encode())


def archive(path: Path, contents: list[bytes], streams: int = 1) -> Path:
    """A tar.bz2 of shards in folders, as published; of several bz2 streams, as parallel compressors write them."""
    with io.BytesIO() as plain:
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for number, content in enumerate(contents):
                if number % 2 == 0:
                    (info := tarfile.TarInfo(f"enwiki/A{number // 2}")).type = tarfile.DIRTYPE
                    tar.addfile(info)
                (info := tarfile.TarInfo(f"enwiki/A{number // 2}/wiki_0{number % 2}.bz2")).size = len(content)
                tar.addfile(info, io.BytesIO(content))
        size = -(-len(plain.getvalue()) // streams)
        parts = [plain.getvalue()[at : at + size] for at in range(0, len(plain.getvalue()), size)]
    path.write_bytes(b"".join(map(bz2.compress, parts)))
    return path


def publish(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the file be the published one."""
    content, known = path.read_bytes(), download.REGISTRY[ARCHIVE]
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(download.REGISTRY, ARCHIVE, PublicFile(digest, known.url, len(content)))


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    path = archive(tmp_path / "abstracts.tar.bz2", [shard(rows) for rows in ROWS])
    publish(monkeypatch, path)
    return path


def ask(tool: BM25, query: str) -> str:
    return asyncio.run(tool.search(query))


def opened(path: Path | None, cache: Path) -> BM25:
    return WikipediaBM25(path and str(path), cache_dir=str(cache / "bm25"), downloads=str(cache / "data"))


def content(cache: Path) -> dict[str, bytes]:
    (place,) = (path for path in (cache / "bm25").iterdir() if path.is_dir())
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("streams", [1, 3])
def test_the_archive_is_searched(
    dump: Path, tmp_path: Path, streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(dump, [shard(rows) for rows in ROWS], streams)
    publish(monkeypatch, dump)
    tool = opened(dump, tmp_path)
    assert tool.name == "bm25[enwiki-20171001] k=1"
    assert ask(tool, "Long Arch") == "Long Arch is a bridge. It was built in 1871 by Ann Orr."
    assert ask(tool, "planet mercury") == "Mercury is small. It is the planet nearest to the sun."
    assert ask(tool, "łódź") == "Łódź: A city."
    assert ask(tool, "zebra") == "None"
    assert [document.title for document in tool._documents] == [title for rows in ROWS for title, _ in rows]


def test_the_option_of_the_configuration(dump: Path, tmp_path: Path) -> None:
    cfg = cli.compose("evaluate", ["search=wikipedia_bm25", f"search.path={dump}", f"cache_dir={tmp_path}"])
    assert ask(cli.build(cfg.search), "Ann Orr") == "Ann Orr: An engineer."
    assert content(tmp_path)  # below cache_dir/bm25


def test_an_index_once_made_needs_no_archive(dump: Path, tmp_path: Path) -> None:
    assert WikipediaBM25.needs(cache_dir=str(tmp_path / "bm25"), downloads=str(tmp_path / "data")) == [
        download.Need(ARCHIVE, None, dump.stat().st_size, download.REGISTRY[ARCHIVE].url)
    ]
    answer = ask(opened(dump, tmp_path), "Ann Orr")
    dump.unlink()
    assert ask(opened(None, tmp_path), "Ann Orr") == answer == "Ann Orr: An engineer."
    assert WikipediaBM25.needs(cache_dir=str(tmp_path / "bm25"), downloads=str(tmp_path / "data")) == []
    assert WikipediaBM25.needs(title_weight=3, cache_dir=str(tmp_path / "bm25"), downloads=str(tmp_path / "data")) != []


def test_an_archive_among_the_downloads_is_found(dump: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "hotpotqa").mkdir(parents=True)
    dump.rename(tmp_path / "data" / ARCHIVE)
    (found,) = WikipediaBM25.needs(cache_dir=str(tmp_path / "bm25"), downloads=str(tmp_path / "data"))
    assert found.path == tmp_path / "data" / ARCHIVE
    assert ask(opened(None, tmp_path), "Ann Orr") == "Ann Orr: An engineer."


def test_a_folder_that_the_archive_was_extracted_to(dump: Path, tmp_path: Path) -> None:
    with tarfile.open(dump) as tar:
        tar.extractall(tmp_path / "mine", filter="data")
    tool = opened(tmp_path / "mine", tmp_path)
    assert tool.name == "bm25[mine] k=1"
    assert ask(tool, "Long Arch") == ask(opened(dump, tmp_path / "other"), "Long Arch")
    (tmp_path / "mine" / "enwiki" / "A0" / "wiki_00.bz2").write_bytes(shard([("Quagga", ["Like a zebra."])]))
    assert ask(opened(tmp_path / "mine", tmp_path), "zebra") == "Quagga: Like a zebra."


@pytest.mark.parametrize(
    ("stop", "read"),
    [
        ("shard 1", [0, 1, 2]),
        ("within shard 1", [0, 1, 1, 2]),
        ("shard 2", [0, 1, 2]),
        ("write_blocks", [0, 1, 2]),
        ("merge", [0, 1, 2]),
    ],
)
def test_an_interrupted_index_goes_on_and_is_the_same(
    dump: Path, tmp_path: Path, stop: str, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "BLOCK", 2)
    opened(dump, tmp_path / "whole")
    places = {"enwiki/A0/wiki_00.bz2": 0, "enwiki/A0/wiki_01.bz2": 1, "enwiki/A1/wiki_00.bz2": 2}
    seen, lines = [], shards._lines

    def watched(shard: shards.Shard, *rest: Any) -> Iterator[bytes]:
        seen.append(places[shard.name])
        yield from lines(shard, *rest)

    def interrupted(shard: shards.Shard, *rest: Any) -> Iterator[bytes]:
        if stop == f"shard {places[shard.name]}":
            raise KeyboardInterrupt
        yield from watched(shard, *rest)
        if stop == f"within shard {places[shard.name]}":
            raise KeyboardInterrupt

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shards, "_lines", interrupted)
        if hasattr(mapped, stop):
            patch.setattr(mapped, stop, interrupt)
        opened(dump, tmp_path)
    monkeypatch.setattr(shards, "_lines", watched)
    opened(dump, tmp_path)
    assert seen == read
    assert content(tmp_path) == content(tmp_path / "whole")


def test_another_file_than_the_published_one_is_refused(dump: Path, tmp_path: Path) -> None:
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1])
    size = len(whole)
    with pytest.raises(DataError, match=rf"is not the published file \(it has {size - 1} bytes, not {size}\)"):
        opened(dump, tmp_path)
    dump.write_bytes(whole[:-1] + b"x")
    with pytest.raises(DataError, match="is not the published file .its SHA-256 is not .*; download it again, or name"):
        opened(dump, tmp_path)
    assert not any((tmp_path / "bm25").rglob("documents.jsonl"))


def test_a_truncated_archive_says_after_which_shard(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(dump, [shard(rows) for rows in ROWS], 3)
    dump.write_bytes(dump.read_bytes()[:-40])
    publish(monkeypatch, dump)
    with pytest.raises(DataError, match=r"abstracts.tar.bz2 is damaged after shard \d .*; download it again"):
        opened(dump, tmp_path)
    dump.write_bytes(b"no archive at all")
    publish(monkeypatch, dump)
    with pytest.raises(DataError, match="is damaged after shard 0"):
        opened(dump, tmp_path)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (shard(ROWS[0])[:-5], r"shard enwiki/A0/wiki_01.bz2: it is damaged \(.*\); download it again"),
        (b"no bz2", r"shard enwiki/A0/wiki_01.bz2: it is damaged"),
        (bz2.compress(b'{"title": "A", "text": ["b"]}\n{"title": "A", "te'), "wiki_01.bz2, line 2: expected a JSON"),
        (bz2.compress(b'{"title": "A", "text": [["b"]]}\n'), "wiki_01.bz2, line 1: expected a JSON"),
        (bz2.compress(b'{"title": 1, "text": ["b"]}\n'), "shard enwiki/A0/wiki_01.bz2, line 1: expected"),
        (bz2.compress(b"\xff\n"), "shard enwiki/A0/wiki_01.bz2, line 1: expected"),
    ],
)
def test_a_damaged_shard_is_named(
    dump: Path, tmp_path: Path, damaged: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(dump, [shard(ROWS[0]), damaged, shard(ROWS[2])])
    publish(monkeypatch, dump)
    with pytest.raises(DataError, match=message):
        opened(dump, tmp_path)


def test_what_is_there_is_named_if_it_is_no_dump(dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="search.path=gone does not exist; name the archive enwiki-20171001"):
        WikipediaBM25("gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no shards, bz2 files as AA/wiki_00.bz2; name the archive"):
        opened(tmp_path / "empty", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(StorageError, match="has 0.0 GB left, and the search index of .* takes .* GB while it is made"):
        opened(dump, tmp_path)


def test_the_real_one_is_the_default() -> None:
    known = download.REGISTRY[abstracts.ARCHIVE]
    assert (known.size, known.sha256[:8] if known.sha256 else None) == (1_553_565_403, "1acca1c5")


def test_halves_of_characters_do_not_stop_the_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "wiki_00.bz2").write_bytes(shard([("Long\ud83d Arch", ["A bridge \ud83d\ude00 of stone."])]))
    assert asyncio.run(opened(folder, tmp_path).search("bridge")) == "Long\ufffd Arch: A bridge \U0001f600 of stone."
    assert f"{folder}: halves of characters replaced by \ufffd: 1\n" in capsys.readouterr().out
