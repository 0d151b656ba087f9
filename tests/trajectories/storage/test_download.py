"""Public files: from the mirror, from the network (a loopback server stands in), and every way that can fail."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fireact.errors import DataError
from fireact.trajectories.storage import download, transfer
from fireact.trajectories.storage.download import Need, fetch, need
from fireact.trajectories.storage.registry import PublicFile
from tests import hub
from tests.faulty.server import Script, Server, drip, silence, then

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
        known = download.REGISTRY[NAME]
        monkeypatch.setitem(download.REGISTRY, NAME, replace(known, url=f"{url}/data/{NAME}", size=None))
        yield served


@contextmanager
def _serving(what: Path | type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(what)) if isinstance(what, Path) else what
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def expect(monkeypatch: pytest.MonkeyPatch, content: bytes, name: str = NAME) -> None:
    """Let ``content`` be what was published."""
    known = replace(download.REGISTRY[name], sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    monkeypatch.setitem(download.REGISTRY, name, known)


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
    monkeypatch.setitem(download.REGISTRY, NAME, replace(download.REGISTRY[NAME], url="http://127.0.0.1:9/dev.json"))
    sentence = (r"^hotpotqa/dev.json can't be downloaded from http://127.0.0.1:9/dev.json \(ConnectError\); "
                rf"put it at {tmp_path}/hotpotqa/dev.json, or set FIREACT_DATA to a folder that holds it$")
    with pytest.raises(DataError, match=sentence):
        fetch(NAME, tmp_path)
    (tmp_path / NAME).write_bytes(b"half")
    with pytest.raises(DataError, match=rf"^{tmp_path}/{NAME} is not the published file .*, and {NAME} can't be downl"):
        fetch(NAME, tmp_path)


def test_a_missing_page_names_the_mirror(server: Path, tmp_path: Path) -> None:
    (server / "dev.json").unlink()
    with pytest.raises(DataError, match="can't be downloaded .*set FIREACT_DATA"):
        fetch(NAME, tmp_path)


def test_an_unwritable_cache_is_not_the_networks_fault(server: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be downloaded .* .NotADirectoryError."):
        fetch(NAME, tmp_path / "file")


def test_the_mirror_is_used_in_place_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, CONTENT)
    monkeypatch.setenv("FIREACT_DATA", str(tmp_path))
    (tmp_path / "hotpotqa").mkdir()
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch(NAME) == tmp_path / NAME
    (tmp_path / NAME).write_bytes(CONTENT + b" ")
    with pytest.raises(DataError, match="is not the published file"):
        fetch(NAME)


def test_what_the_mirror_lacks_is_downloaded(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, CONTENT)
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("FIREACT_DATA", str(tmp_path / "mirror"))
    assert fetch(NAME, tmp_path / "cache") == tmp_path / "cache" / NAME
    monkeypatch.setenv("FIREACT_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone is not a folder; name the folder of your copies, or unset it"):
        fetch(NAME, tmp_path / "cache")


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
    expect(monkeypatch, CONTENT, member)
    known, sha256 = download.REGISTRY["mmlu/data.tar"], hashlib.sha256(archive.read_bytes()).hexdigest()
    with _serving(tmp_path) as url:
        monkeypatch.setitem(download.REGISTRY, "mmlu/data.tar", replace(known, url=f"{url}/data.tar", sha256=sha256))
        assert need(member, cache) == Need("mmlu/data.tar", None, None, f"{url}/data.tar")
        assert fetch(member, cache).read_bytes() == CONTENT
    assert need(member, cache).path == cache / member
    assert sorted(path.name for path in cache.rglob("*.*")) == [".data.tar.lock", "anatomy_dev.csv", "data.tar"]
    (cache / member).write_bytes(b"half")  # as a kill leaves it
    assert fetch(member, cache).read_bytes() == CONTENT
    with pytest.raises(DataError, match="does not hold the published mmlu/dev/virology_dev.csv"):
        fetch("mmlu/dev/virology_dev.csv", cache)


def test_a_member_of_a_zip_that_is_known_by_its_members(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, cache = "strategyqa/strategyqa_train_filtered.json", tmp_path / "cache"
    packed = server / "strategyqa_dataset.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("strategyqa_train.json", "[]")
        archive.writestr("strategyqa_train_filtered.json", CONTENT)
    url = download.REGISTRY[NAME].url
    assert url
    monkeypatch.setitem(download.REGISTRY, "strategyqa/strategyqa_dataset.zip",
                        PublicFile(None, url.replace("dev.json", packed.name)))
    with pytest.raises(DataError, match="zip does not hold the published strategyqa/strategyqa_train_filtered.json"):
        fetch(name, cache)
    expect(monkeypatch, CONTENT, name)
    packed.unlink()  # there is a copy
    assert fetch(name, cache).read_bytes() == CONTENT
    (cache / "strategyqa" / packed.name).write_bytes(b"half of it")
    (cache / name).unlink()
    with pytest.raises(DataError, match="strategyqa_dataset.zip can't be unpacked .*; remove it to download it again"):
        fetch(name, cache)


HUB = "hotpotqa/distractor/validation-00000-of-00001.parquet"
REVISION = "1908d6afbbead072334abe2965f91bd2709910ab"
ON_THE_HUB = {"datasets/hotpotqa/hotpot_qa/distractor/validation-00000-of-00001.parquet": CONTENT}


def test_a_file_of_the_hub_comes_by_its_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    expect(monkeypatch, CONTENT, HUB)
    with hub.serving(ON_THE_HUB, REVISION) as (url, asked):
        hub.use(monkeypatch, url, tmp_path / "hub")
        address = f"{url}/datasets/hotpotqa/hotpot_qa/resolve/{REVISION}/distractor/validation-00000-of-00001.parquet"
        assert need(HUB, tmp_path) == Need(HUB, None, len(CONTENT), address)
        file = fetch(HUB, tmp_path)
        assert file.read_bytes() == CONTENT and file.is_relative_to(tmp_path / "hub")
    hub.use(monkeypatch, "http://127.0.0.1:9", tmp_path / "hub", offline=True)
    assert fetch(HUB, tmp_path) == file == need(HUB, tmp_path).path
    file.resolve().write_bytes(CONTENT.upper())
    with pytest.raises(DataError, match="is not the published file .its SHA-256 is not .*; remove it to downl"):
        fetch(HUB, tmp_path)
    (tmp_path / HUB).parent.mkdir(parents=True)
    (tmp_path / HUB).write_bytes(CONTENT)  # one's own copy among the downloads
    assert fetch(HUB, tmp_path) == tmp_path / HUB == need(HUB, tmp_path).path


def test_no_hub_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    hub.use(monkeypatch, "http://127.0.0.1:9", tmp_path / "hub", offline=True)
    sentence = (rf"^{HUB} can't be downloaded from http://127.0.0.1:9/datasets/hotpotqa/hotpot_qa/resolve/{REVISION}/"
                rf"{HUB.removeprefix('hotpotqa/')} \(OfflineModeIsEnabled\); put it at {tmp_path}/{HUB}, or set "
                "FIREACT_DATA to a folder that holds it$")
    with pytest.raises(DataError, match=sentence):
        fetch(HUB, tmp_path)


def test_a_hub_without_the_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    with hub.serving({}, REVISION) as (url, _):
        hub.use(monkeypatch, url, tmp_path / "hub")
        with pytest.raises(DataError, match=f"{HUB} can't be downloaded from {url}/datasets/"):
            fetch(HUB, tmp_path)


def test_every_file_is_published_somewhere_or_said_to_be_the_mirrors() -> None:
    needs = {name: need(name, "nowhere") for name in download.names("")}
    assert {name for name, found in needs.items() if found.source is None} == {
        "hotpotqa/questions_300.jsonl", "hotpotqa/paragraphs.jsonl"
    }


def test_names_of_a_folder() -> None:
    assert len(download.names("mmlu/")) == 1 + 3 * 57
    assert download.names("strategyqa/") == [
        "strategyqa/strategyqa_dev.json",
        "strategyqa/strategyqa_train_filtered.json",
        "strategyqa/strategyqa_dataset.zip",
    ]


# These are published as they are, but too large for the mirror; of the two archives it holds the members.
NOT_MIRRORED = {
    *download.names("hotpotqa/distractor/"), *download.names("hotpotqa/enwiki"), "mmlu/data.tar",
    "strategyqa/strategyqa_dataset.zip",
}


@pytest.mark.parametrize("name", sorted({*download.names("")} - NOT_MIRRORED))
def test_the_real_mirror_holds_every_file(name: str, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREACT_DATA", str(real_data))
    assert fetch(name) == real_data / name


class _Cut(SimpleHTTPRequestHandler):
    """Serves ``CONTENT``, from where it is asked to if ``ranges``; each of the first ``cuts`` replies breaks off."""

    cuts, ranges, asked = 0, True, list[str]()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").removesuffix("-") or 0) if self.ranges else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        cut = len(self.asked) <= self.cuts
        self.wfile.write(CONTENT[first : first + 5 if cut else None])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def cutting(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Cut]]:
    class Cut(_Cut):
        asked = list[str]()

    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    with _serving(Cut) as url:
        monkeypatch.setitem(download.REGISTRY, NAME, replace(download.REGISTRY[NAME], url=url))
        expect(monkeypatch, CONTENT)
        yield Cut


@pytest.mark.parametrize(("ranges", "second"), [(True, "bytes=10-"), (False, "bytes=5-")])
def test_a_download_that_is_cut_off_goes_on(cutting: type[_Cut], tmp_path: Path, ranges: bool, second: str) -> None:
    cutting.cuts, cutting.ranges = 2, ranges
    assert fetch(NAME, tmp_path).read_bytes() == CONTENT
    assert cutting.asked == ["", "bytes=5-", second]
    assert not list(tmp_path.rglob("*.part"))


def test_a_download_that_is_given_up_goes_on_in_the_next_run(cutting: type[_Cut], tmp_path: Path) -> None:
    cutting.cuts = 4
    with pytest.raises(DataError, match=r"can't be downloaded from http://127.* \(RemoteProtocolError\); put it at"):
        fetch(NAME, tmp_path)
    assert len(cutting.asked) == 4 and not (tmp_path / NAME).exists()
    assert fetch(NAME, tmp_path).read_bytes() == CONTENT


def test_what_was_begun_of_another_content_is_downloaded_anew(cutting: type[_Cut], tmp_path: Path) -> None:
    part = tmp_path / f"{NAME}.part"
    part.parent.mkdir()
    part.write_bytes(b"something else")
    with pytest.raises(DataError, match="did not give the published file"):
        fetch(NAME, tmp_path)
    assert not part.exists()
    assert fetch(NAME, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "faulty",
    [silence, drip(b"HTTP/1.1 200 OK\r\n"), then(b"HTTP/1.1 200 OK\r\n", drip(b"x: 1\r\n", 0.01)),
     then(b"HTTP/1.1 200 OK\r\n\r\n", drip(b"x", 0.01))],
    ids=["silent", "status", "headers", "body"],
)  # fmt: skip
def test_a_server_that_drips_is_given_up(faulty: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setattr(transfer, "of_download", lambda _: 0.2)
    with Server(lambda *_: faulty) as server:
        monkeypatch.setitem(download.REGISTRY, NAME, replace(download.REGISTRY[NAME], url=server.url))
        started = time.monotonic()
        with pytest.raises(DataError, match=r"can't be downloaded .* \(TimeoutError\)"):
            fetch(NAME, tmp_path)
    assert time.monotonic() - started < 1
