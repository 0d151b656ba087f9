"""Public files: from the mirror, from the network (a loopback server stands in), and every way that can fail."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fireact import download
from fireact.download import fetch
from fireact.errors import DataError

NAME = "hotpotqa/dev.json"
CONTENT = b'[{"question": "Q?", "answer": "a"}]'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a loopback server serves in the place of the released repository."""
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    served = tmp_path / "served" / "data" / "hotpotqa"
    served.mkdir(parents=True)
    (served / "dev.json").write_bytes(CONTENT)
    with _serving(tmp_path / "served") as url:
        monkeypatch.setattr(download, "_REPOSITORY", url)
        yield served


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def expect(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path, _ = download._FILES[NAME]
    monkeypatch.setitem(download._FILES, NAME, (path, hashlib.sha256(content).hexdigest()))


def test_a_download_is_checked_kept_and_made_once(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, CONTENT)
    file = fetch(NAME, tmp_path / "cache")
    assert file == tmp_path / "cache" / NAME and file.read_bytes() == CONTENT
    (server / "dev.json").unlink()
    assert fetch(NAME, tmp_path / "cache") == file


def test_another_content_is_refused(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="did not give the published file"):
        fetch(NAME, tmp_path / "cache")
    assert not (tmp_path / "cache" / NAME).exists()


def test_no_network_names_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setattr(download, "_REPOSITORY", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"hotpotqa/dev.json can't be downloaded .*; set FIREACT_DATA"):
        fetch(NAME, tmp_path)


def test_a_missing_page_names_the_mirror(server: Path, tmp_path: Path) -> None:
    (server / "dev.json").unlink()
    with pytest.raises(DataError, match="set FIREACT_DATA"):
        fetch(NAME, tmp_path)


def test_an_unwritable_cache_is_not_the_networks_fault(server: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be downloaded .NotADirectoryError."):
        fetch(NAME, tmp_path / "file")


def test_the_mirror_is_used_in_place_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, CONTENT)
    monkeypatch.setenv("FIREACT_DATA", str(tmp_path))
    with pytest.raises(DataError, match="hotpotqa/dev.json is missing; FIREACT_DATA must name"):
        fetch(NAME)
    (tmp_path / "hotpotqa").mkdir()
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch(NAME) == tmp_path / NAME
    (tmp_path / NAME).write_bytes(CONTENT + b" ")
    with pytest.raises(DataError, match="is not the published file"):
        fetch(NAME)


def test_names_that_only_a_mirror_has_or_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    with pytest.raises(DataError, match="hotpotqa/paragraphs.jsonl comes only with a local mirror; set FIREACT_DATA"):
        fetch("hotpotqa/paragraphs.jsonl")
    with pytest.raises(DataError, match="'x' is not a public file known here"):
        fetch("x")


def test_the_files_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member, cache = "mmlu/dev/anatomy_dev.csv", tmp_path / "cache"
    archive = tmp_path / "data.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in {"data/dev/anatomy_dev.csv": CONTENT, "data/auxiliary_train/x.csv": b"x"}.items():
            (info := tarfile.TarInfo(name)).size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setitem(download._MEMBERS, member, hashlib.sha256(CONTENT).hexdigest())
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    with _serving(tmp_path) as url:
        monkeypatch.setitem(download._FILES, download._MMLU, (f"{url}/data.tar", sha256))
        assert fetch(member, cache).read_bytes() == CONTENT
    assert sorted(path.name for path in cache.rglob("*.*")) == ["anatomy_dev.csv", "data.tar"]
    (cache / member).write_bytes(b"half")  # as a kill leaves it
    assert fetch(member, cache).read_bytes() == CONTENT
    with pytest.raises(DataError, match="does not hold the published mmlu/dev/virology_dev.csv"):
        fetch("mmlu/dev/virology_dev.csv", cache)


def test_names_of_a_folder() -> None:
    assert len(download.names("mmlu/")) == 1 + 3 * 57
    assert download.names("strategyqa/") == [
        "strategyqa/strategyqa_dev.json",
        "strategyqa/strategyqa_train_filtered.json",
    ]


# These two are published as they are, but too large for the mirror; of MMLU it holds the members.
NOT_MIRRORED = {"hotpotqa/hotpot_train_v1.1.json", "mmlu/data.tar"}


@pytest.mark.parametrize("name", sorted({*download.names("")} - NOT_MIRRORED))
def test_the_real_mirror_holds_every_file(name: str, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREACT_DATA", str(real_data))
    assert fetch(name) == real_data / name
