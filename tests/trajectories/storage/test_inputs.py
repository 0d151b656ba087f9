"""Files by name, folder and pattern, packed or not: all of each, in a stable order, or one sentence."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from fireact.errors import DataError
from fireact.trajectories.files import placed, read
from fireact.trajectories.mixes.mix import of_file
from fireact.trajectories.records import Step
from fireact.trajectories.storage import inputs

CALL = {"id": "a", "type": "function", "function": {"name": "price", "arguments": '{"item": "tea"}'}}


def row(answer: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": answer}]}


def line(answer: str) -> bytes:
    return json.dumps(row(answer)).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b", "a/deep", ".git"):
        (tmp_path / "rows" / name).mkdir(parents=True)
    files = {
        "z.jsonl": line("z"), "a/deep/1.JSONL": line("deep"), "b/2.json": json.dumps([row("json")]).encode(),
        "b/3.jsonl.gz": gzip.compress(line("one")) + gzip.compress(line("two")), "b/4.json.gz":
        gzip.compress(json.dumps([row("packed")]).encode()), "notes.txt": b"mine", ".git/x.jsonl": b"{",
        ".hidden.jsonl": b"{",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / "rows" / name).write_bytes(content)
    return tmp_path / "rows"


def test_a_folder_is_all_its_files_in_a_stable_order(folder: Path) -> None:
    names = [str(path.relative_to(folder)) for path in inputs.named([folder])]
    assert names == ["a/deep/1.JSONL", "b/2.json", "b/3.jsonl.gz", "b/4.json.gz", "z.jsonl"]
    found = [(t.answer, where) for path in inputs.named([folder]) for where, t in placed(path, Counter())]
    loaded = of_file(str(folder), methods=["react"]).load()
    assert sorted((t.answer, t.provenance["file"]) for t in loaded) == sorted(found)
    assert found == [
        ("deep", f"{folder}/a/deep/1.JSONL, line 1"), ("json", f"{folder}/b/2.json, row 1"),
        ("one", f"{folder}/b/3.jsonl.gz, line 1"), ("two", f"{folder}/b/3.jsonl.gz, line 2"),
        ("packed", f"{folder}/b/4.json.gz, row 1"), ("z", f"{folder}/z.jsonl, line 1"),
    ]  # fmt: skip


def test_patterns_and_names_are_read_once_each_in_their_order(folder: Path) -> None:
    names = [folder / "z.jsonl", folder / "b" / "*.gz", folder / "**" / "*.json*", folder / "none.jsonl"]
    found = [path.name for path in inputs.named(names)]
    assert found == ["z.jsonl", "3.jsonl.gz", "4.json.gz", "2.json", "none.jsonl"]
    (folder / "odd[1].jsonl").write_bytes(line("odd"))
    assert [path.name for path in inputs.named([folder / "odd[1].jsonl"])] == ["odd[1].jsonl"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("*.jsnl", "no file matches {0}/*.jsnl; check the folder and the pattern"),
        ("empty", "the folder {0}/empty holds no file of rows (.jsonl, .ndjson, .json, .parquet, or one of these"),
    ],
)
def test_what_stands_for_no_file_is_a_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "data.arrow").write_bytes(b"x")
    for use in (inputs.named, lambda names: of_file([*map(str, names)], methods=["react"])):
        with pytest.raises(DataError, match=re.escape(sentence.format(tmp_path))):
            use([tmp_path / name])


def test_an_address_says_how_to_come_by_a_file() -> None:
    for name in ("hf://datasets/o/n/train.jsonl", "https://huggingface.co/datasets/o/n", "S3://bucket/a.jsonl"):
        with pytest.raises(DataError, match=f"^{name} is an address, and rows .* hf download OWNER/NAME --repo-type"):
            inputs.named([name])


PACKED = gzip.compress(b"".join(line(str(number)) for number in range(500)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (PACKED[:-9], "is cut off, its gzip data does not end; fetch"),
        (PACKED[:200], "is cut off, its gzip data does not end; fetch"),
        (PACKED[:300] + b"\xff" * 40 + PACKED[340:], "is no whole gzip file"),
        (PACKED[:-8] + b"\0" * 8, "is no whole gzip file (CRC check failed"),
        (PACKED + b"junk", "is no whole gzip file (Not a gzipped file"),
        (line("a"), "is not packed by gzip; name it without .gz"),
        (b"", "is not packed by gzip; name it without .gz"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz"])
def test_a_damaged_gzip_file_is_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/{name} {sentence}")):
        list(read(tmp_path / name, Counter()))


def test_a_packed_file_is_unpacked_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = line("a") * 3
    for name, content in {"a.jsonl.gz": whole, "zeros.jsonl.gz": b" " * 10**6, "zeros.json.gz": b"0" * 10**7}.items():
        (tmp_path / name).write_bytes(gzip.compress(content))
    monkeypatch.setattr(inputs, "LARGEST", len(whole))
    assert len(list(read(tmp_path / "a.jsonl.gz", Counter()))) == 3
    monkeypatch.setattr(inputs, "LARGEST", len(whole) - 1)
    for name in ("a.jsonl.gz", "zeros.jsonl.gz", "zeros.json.gz"):
        with pytest.raises(DataError, match=f"{name} unpacks to more than {len(whole) - 1} bytes"):
            list(read(tmp_path / name, Counter()))


def test_what_is_packed_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(line("a")))
    assert [t.answer for t in read(tmp_path / "a.jsonl", Counter())] == ["a"]


def test_parquet_rows_lose_the_keys_that_its_columns_give_them(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "What?", "tool_calls": None, "tool_call_id": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "tool_call_id": None},
        {"role": "tool", "content": "9", "tool_calls": None, "tool_call_id": "a"},
        {"role": "assistant", "content": "Nine.", "tool_calls": None, "tool_call_id": None},
    ]
    pl.DataFrame({"messages": [messages] * 2, "id": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    counts = Counter[str]()
    found = list(read(tmp_path / "a.parquet", counts))
    assert [t.steps for t in found] == [(Step("", "price", "tea", "9"), Step("", "finish", "Nine."))] * 2
    assert counts == {"rows": 2, "demonstrations": 2, "undescribed_tool price": 2, "ignored_field id": 2}
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:200])
    with pytest.raises(DataError, match=f"^{tmp_path}/torn.parquet is no whole Parquet file .*; fetch or write it"):
        list(read(tmp_path / "torn.parquet", Counter()))


def test_rows_that_files_share_are_counted_and_those_of_one_file_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line("a") + line("a") + line("b"))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(line("b") + line("c")))
    mix = of_file([str(tmp_path), str(tmp_path / "a.jsonl")], methods=["react"])
    assert sorted(t.answer for t in mix.load()) == ["a", "a", "b", "b", "c"]
    assert (mix.report["duplicates_over_files"], mix.report["rows"]) == (1, 5)
    assert len(of_file(str(tmp_path / "a.jsonl"), methods=["react"]).load()) == 3
