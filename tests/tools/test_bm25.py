"""BM25: the right document, a short snippet of it, and clear words about a corpus that cannot be read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fireact.errors import ConfigError, DataError, StorageError
from fireact.tools import mapped
from fireact.tools.bm25 import BM25, snippet
from fireact.tools.mapped import Lines
from fireact.trajectories.records import Document

BRIDGE = Document("Long Arch", "Long Arch is a bridge. It was built in 1871 by Ann Orr.")
BUILDER = Document("Ann Orr", "Ann Orr was an engineer from Millbeck. She built the bridge Long Arch and many others.")
PLANET = Document("Mercury (planet)", "Mercury is small. It is the planet nearest to the sun.")
METAL = Document("Mercury (metal)", "Mercury is a metal that flows at room temperature.")


class Shelf:
    """A corpus by hand."""

    name = "shelf"

    def __init__(self, *documents: Document) -> None:
        self._documents = documents

    def documents(self) -> tuple[Document, ...]:
        return self._documents


def ask(tool: BM25, query: str) -> str:
    return asyncio.run(tool.search(query))


def test_a_title_counts_more_than_a_mention() -> None:
    tool = BM25(Shelf(BUILDER, BRIDGE, PLANET, METAL))
    assert ask(tool, "Long Arch") == BRIDGE.text
    assert ask(tool, "ann orr") == BUILDER.text


def test_the_qualifier_of_a_title_tells_namesakes_apart() -> None:
    tool = BM25(Shelf(PLANET, METAL, BRIDGE, BUILDER))
    assert ask(tool, "Mercury metal") == METAL.text
    assert ask(tool, "Mercury planet") == PLANET.text


@pytest.mark.parametrize("query", ["zebra", "", "the", "?!"])
def test_nothing_found_is_the_word_none(query: str) -> None:
    assert ask(BM25(Shelf(BRIDGE, BUILDER)), query) == "None"


def test_equal_scores_keep_the_order_of_the_corpus() -> None:
    twins = [Document(f"Twin {i}", "alike in all") for i in range(50)]
    assert ask(BM25(Shelf(*twins), k=3), "alike") == "Twin 0: alike in all Twin 1: alike in all Twin 2: alike in all"


def test_the_name_says_tool_corpus_and_k(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"title": "A", "text": "b"}\n')
    assert BM25(Shelf(BRIDGE), k=2).name == "bm25[shelf] k=2"
    assert BM25(tmp_path / "notes.jsonl").name == "bm25[notes] k=1"


@pytest.mark.parametrize(("terms", "words", "expected"), [
    (["bridge"], 40, "Long Arch is a bridge. It was built in 1871 by Ann Orr."),
    (["1871"], 8, "Long Arch: It was built in 1871 by Ann Orr."),
    (["bridge"], 8, "Long Arch is a bridge."),
    (["bridge"], 3, "Long Arch is …"),
])
def test_a_snippet_is_the_sentences_about_the_query(terms: list[str], words: int, expected: str) -> None:
    assert snippet(BRIDGE, terms, words) == expected


def test_a_file_of_titles_and_texts_is_a_corpus(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"title": d.title, "text": d.text, "id": 1}) + "\n" for d in (BRIDGE, BUILDER)))
    assert ask(BM25(str(path)), "Millbeck engineer") == BUILDER.text


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    rows = ({"title": d.title, "text": d.text + " Ünïcode."} for d in (BRIDGE, BUILDER, PLANET, METAL))
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_an_index_on_disk_answers_like_one_in_memory(corpus: Path, tmp_path: Path) -> None:
    in_memory = BM25(corpus, k=2)
    for _ in range(2):  # made, then found
        kept = BM25(corpus, k=2, cache_dir=tmp_path / "cache")
        assert isinstance(kept._documents, Lines)
        assert len(kept._documents) == 4
        for query in ("Long Arch", "ann orr", "mercury metal", "ünïcode", "zebra"):
            assert ask(kept, query) == ask(in_memory, query)
    assert sum(path.is_dir() for path in (tmp_path / "cache").iterdir()) == 1


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [_cut, _flip, Path.unlink])
def test_a_damaged_index_is_made_again(
    corpus: Path, tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Each file of it: what has lost bytes, holds another bit, or is gone."""
    cache = tmp_path / "cache"
    answer = ask(BM25(corpus, cache_dir=cache), "ann orr")
    (place,) = (path for path in cache.iterdir() if path.is_dir())
    whole = {file.name: file.read_bytes() for file in place.iterdir()}
    digests = whole.keys() - {"sha256.json"} if harm is Path.unlink else whole.keys()  # there were none at first
    for name in sorted(digests):
        harm(place / name)
        assert ask(BM25(corpus, cache_dir=cache), "ann orr") == answer
        assert {file.name: file.read_bytes() for file in place.iterdir()} == whole
    assert len([said for said in caplog.messages if "is made again: " in said]) == len(digests)


def test_two_that_want_an_index_at_once_make_it_once(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, merge = [], mapped.merge
    monkeypatch.setattr(mapped, "merge", lambda *places: (made.append(places), merge(*places)))
    with ThreadPoolExecutor(4) as pool:
        tools = list(pool.map(lambda _: BM25(corpus, cache_dir=tmp_path / "cache"), range(4)))
    assert len(made) == 1 and {ask(tool, "ann orr") for tool in tools} == {ask(BM25(corpus), "ann orr")}


def test_another_content_or_weight_gets_an_index_of_its_own(corpus: Path, tmp_path: Path) -> None:
    BM25(corpus, cache_dir=tmp_path / "cache")
    BM25(corpus, cache_dir=tmp_path / "cache", title_weight=1)
    corpus.write_text('{"title": "Quagga", "text": "zebra"}\n')
    assert ask(BM25(corpus, cache_dir=tmp_path / "cache"), "zebra") == "Quagga: zebra"
    assert sum(path.is_dir() for path in (tmp_path / "cache").iterdir()) == 3


def test_an_index_that_cannot_be_kept_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StorageError, match="can't be written to .*; free space or choose another cache_dir"):
        BM25(corpus, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("cached", [False, True])
def test_a_byte_order_mark_blank_lines_and_line_ends_do_no_harm(tmp_path: Path, cached: bool) -> None:
    path = tmp_path / "corpus.jsonl"
    rows = [json.dumps({"title": d.title, "text": d.text}) for d in (BRIDGE, BUILDER, PLANET)]
    path.write_bytes("\ufeff{}\r\n \r\n\r\n{}\r\n\n{}".format(*rows).encode())
    tool = BM25(path, cache_dir=tmp_path / "cache" if cached else None)
    assert list(tool._documents) == [BRIDGE, BUILDER, PLANET]
    assert [tool._documents[at] for at in (2, 0, 1)] == [PLANET, BRIDGE, BUILDER]
    assert ask(tool, "mercury planet") == PLANET.text


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(("text", "message"), [
    (r'{"title": "A", "text": "\ud83d"}', "line 1: expected .*; the line holds half of a surrogate pair"),
    ('{"title": "A", "title": "B", "text": "c"}', "line 1: expected .*; the line holds the key 'title' twice"),
    ("[" * 100_000, "line 1: expected .*; the line is nested too deeply"),
    ('{"title": "A", "text": "\udcff"}', "line 1: expected .*; the line is not UTF-8 text"),
    (" \n\n", r"corpus.jsonl is empty"),
    ('{"title": "", "text": "the of"}\n', "no document of the corpus holds a word to search for"),
    ('{"title": "A", "text": "b"}\n{"title": "A"}\n', r"corpus.jsonl, line 2: expected a JSON object like"),
    ('{"title": "A", "text": 3}\n', r"corpus.jsonl, line 1: expected"),
    ("[1]\n", r"corpus.jsonl, line 1: expected"),
    ("not json\n", r"corpus.jsonl, line 1: expected"),
    ('\n{"title": "A", "text": "\udcff"}\n', r"corpus.jsonl, line 2: expected"),
    ("", r"corpus.jsonl is empty"),
])
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, text: str, message: str, cached: bool) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        ask(BM25(path, cache_dir=tmp_path / "cache" if cached else None), "zebra")


def test_a_missing_file_and_no_corpus_at_all_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone.jsonl does not exist"):
        BM25(tmp_path / "gone.jsonl")
    with pytest.raises(ConfigError, match="search.corpus is not set"):
        BM25(None)


def test_hotpotqa_paragraphs_are_found_by_their_titles(real_data: Path) -> None:
    path = real_data / "hotpotqa" / "paragraphs.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][::20]
    tool = BM25(path)
    found = [ask(tool, row["title"]) for row in rows]
    hits = sum(set(answer.rstrip(" …").split()) <= {f"{row['title']}:", *f"{row['title']}: {row['text']}".split()}
               for answer, row in zip(found, rows, strict=True))
    assert hits / len(rows) >= 0.97
    assert max(len(answer.split()) for answer in found) <= 60
