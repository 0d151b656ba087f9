"""HotpotQA from the public data set: no mirror, the hub's parquet or the official JSON of the distractor setting."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fireact import cli
from fireact.errors import DataError
from fireact.runs.result_keys import result_keys
from fireact.tasks import hotpotqa
from fireact.tasks.hotpotqa import HotpotQA
from fireact.tools.bm25 import BM25
from fireact.trajectories.records import Document, Question
from fireact.trajectories.storage import download
from tests.tasks.distractor import Row, row, write_json, write_parquet

PARQUET = "hotpotqa/distractor/validation-00000-of-00001.parquet"
NAMES = ("hotpotqa", "hotpotqa_paper")
TRAIN = tuple(f"hotpotqa/distractor/train-0000{part}-of-00002.parquet" for part in range(2))
ARCH = ("Long Arch", ["Long Arch is a bridge.", " Ann Orr built it."])
ANN = ("Ann Orr", ["Ann Orr was an engineer.", " She was born in Millbeck."])
OTHER = ("Ann Orr", ["Another of that name."])
ROWS = [
    row("Where was the builder of Long Arch born?", "Millbeck", ARCH, ANN),
    row("Were Long Arch and Mercury built?", "no", ARCH, ("Mercury", ["A planet."]), OTHER, kind="comparison"),
    row("Who built  Long Arch?", "Ann Orr", ANN, ARCH),
]
DOCUMENTS = [
    Document("Long Arch", "Long Arch is a bridge. Ann Orr built it."),
    Document("Ann Orr", "Ann Orr was an engineer. She was born in Millbeck."),
    Document("Mercury", "A planet."),
]


def publish(monkeypatch: pytest.MonkeyPatch, name: str, file: Path) -> None:
    """Let the file be what was published under this name."""
    known, content = download.REGISTRY[name], file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(download.REGISTRY, name, replace(known, sha256=digest, size=len(content)))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of downloads: ``dev.json`` and the parquet, whose third question is written a little otherwise."""
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    monkeypatch.setattr(hotpotqa, "_PAPER_QUESTIONS", 2)
    publish(monkeypatch, PARQUET, write_parquet(tmp_path / PARQUET, ROWS))
    dev = [{key: one[key] for key in ("question", "answer", "type")} for one in ROWS]
    dev[2] = {**dev[2], "question": "who built “Long Arch”? "}
    (tmp_path / "hotpotqa" / "dev.json").write_text(json.dumps(dev), encoding="utf-8")
    publish(monkeypatch, "hotpotqa/dev.json", tmp_path / "hotpotqa" / "dev.json")
    return tmp_path


def task(cache: Path, **arguments: str | int) -> HotpotQA:
    return HotpotQA(cache_dir=str(cache), **arguments)


def test_the_default_is_the_papers_questions_over_the_paragraphs_of_the_whole_set(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [f"hotpotqa-dev-{place}" for place in hotpotqa.paper_order(3)]
    for arguments in ({}, {"questions": "paper"}, {"order": "paper"}, {"questions": "dev", "order": "paper"}):
        asked = task(cache, **arguments)
        assert [question.id for question in asked.questions()] == chosen and len(chosen) == 2
        assert list(asked.documents()) == DOCUMENTS
    assert [question.id for question in task(cache, limit=1).questions()] == chosen[:1]
    said = capsys.readouterr().out.splitlines()
    assert set(said) == {"hotpotqa_dev: 3 paragraphs; left out are 3 repeated ones and 1 whose title has another text "
                         "already"}


def test_all_of_dev(cache: Path) -> None:
    questions = task(cache, questions="dev").questions()
    assert questions[1] == Question(
        "hotpotqa-dev-1", "Were Long Arch and Mercury built?", "no", "hotpotqa", "dev", kind="comparison"
    )
    assert [question.id for question in questions] == [f"hotpotqa-dev-{i}" for i in range(3)]
    shuffled = task(cache, questions="dev", order="shuffle", seed=1).questions()
    assert {question.id for question in shuffled} == {question.id for question in questions}


def test_train_is_two_parquet_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in zip(TRAIN, (ROWS[:1], ROWS[1:]), strict=True):
        publish(monkeypatch, name, write_parquet(cache / name, rows))
    train = task(cache, questions="train")
    assert [q.id for q in train.questions()] == ["hotpotqa-train-0", "hotpotqa-train-1", "hotpotqa-train-2"]
    assert train.questions()[0] == Question(
        "hotpotqa-train-0", "Where was the builder of Long Arch born?", "Millbeck", "hotpotqa", "train", kind="bridge"
    )
    assert list(train.documents()) == DOCUMENTS and train.corpus_name == "hotpotqa_train"


@pytest.mark.parametrize("write", [write_json, write_parquet])
def test_a_file_of_the_distractor_setting_as_path(cache: Path, write: object) -> None:
    path = write(cache / "hotpot_dev_distractor_v1", ROWS)  # type: ignore[operator]
    (cache / PARQUET).unlink()
    for arguments in ({}, {"questions": "dev"}):
        asked = task(cache, path=str(path), **arguments)
        assert list(asked.documents()) == DOCUMENTS and asked.corpus_name == "hotpot_dev_distractor_v1"
    assert [q.text for q in asked.questions()] == [one["question"] for one in ROWS]


def test_a_search_names_the_set_and_answers_from_it(cache: Path) -> None:
    for cache_dir in (None, cache / "bm25", cache / "bm25"):  # in memory; made on disk; found there
        tool = BM25(task(cache), cache_dir=cache_dir)
        assert tool.name == "bm25[hotpotqa_dev] k=1"
        assert asyncio.run(tool.search("Ann Orr")) == "Ann Orr was an engineer. She was born in Millbeck."


def test_an_index_is_shared_by_the_tasks_of_one_set(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BM25(task(cache), cache_dir=cache / "bm25")
    with monkeypatch.context() as patch:
        patch.setattr(hotpotqa, "read_paragraphs", None)
        BM25(task(cache, questions="dev", limit=1), cache_dir=cache / "bm25")
        BM25(task(cache, path=str(cache / PARQUET)), cache_dir=cache / "bm25")
    other = write_json(cache / "other.json", [row("Who?", "I", ARCH)])
    BM25(task(cache, questions="dev", path=str(other)), cache_dir=cache / "bm25")
    with pytest.raises(DataError, match="2 of the 2 questions asked are not in"):  # an index or not
        BM25(task(cache, path=str(other)), cache_dir=cache / "bm25")


def test_both_names_of_the_configuration(cache: Path) -> None:
    (cache / "data").symlink_to(cache)
    hotpot, paper = (cli.compose("evaluate", [f"task={name}", f"cache_dir={cache}"]) for name in NAMES)
    questions = cli.build(hotpot.task).questions()
    assert [question.id for question in questions] == [f"hotpotqa-dev-{place}" for place in hotpotqa.paper_order(3)]
    assert cli.build(paper.task).questions() == questions
    assert cli.build(hotpot.search).name == cli.build(paper.search).name == "bm25[hotpotqa_dev] k=1"
    shaping = result_keys({"task": cli.resolved(paper.task)})  # as it always was: finished runs are found finished
    assert {key.removeprefix("task."): value for key, value in shaping.items() if value is not None} == {
        "_target_": "fireact.tasks.hotpotqa.HotpotQA", "name": "hotpotqa", "order": "paper", "seed": 0
    }
    assert "task.questions" in shaping and "task.path" in shaping and "task.limit" in shaping


def test_what_it_needs_is_said_without_a_download(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [need.path for need in task(cache).files()] == [cache / "hotpotqa/dev.json"]
    assert [need.path for need in task(cache).corpus_files()] == [cache / PARQUET]
    (cache / PARQUET).unlink()
    (need,) = task(cache).corpus_files()
    assert need.path is None and need.source == (
        "https://huggingface.co/datasets/hotpotqa/hotpot_qa/resolve/1908d6afbbead072334abe2965f91bd2709910ab/"
        "distractor/validation-00000-of-00001.parquet"
    )
    assert [need.name for need in task(cache, questions="train").files()] == list(TRAIN)
    assert [need.source for need in task(cache, questions="distractor300").corpus_files()] == [None]
    mine = task(cache, questions="train", path="mine.json")
    assert mine.files() == mine.corpus_files() == []
    assert [need.name for need in task(cache, path="mine.json").files()] == ["hotpotqa/dev.json"]


def test_paragraphs_of_another_set_are_refused(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_json(cache / "other.json", [row("Who?", "I", ARCH)])
    sentence = r"2 of the 2 questions asked are not in .*other.json, as “.*”; name a file of their own set by task.path"
    with pytest.raises(DataError, match=sentence):
        task(cache, path=str(path)).documents()


def test_a_question_or_two_without_paragraphs_are_counted(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hotpotqa, "_UNMATCHED", 0.5)
    path = write_json(cache / "most.json", ROWS[1:])
    assert len(list(task(cache, path=str(path)).documents())) == 3
    said = capsys.readouterr().out.splitlines()[0]
    assert said == (f"1 of the 2 questions asked are not in {path}, as “Where was the builder of Long Arch born?”: "
                    "their paragraphs may not be in the corpus")


def broken(change: dict[str, object]) -> list[Row]:
    return [ROWS[0], {**ROWS[1], **change}]


@pytest.mark.parametrize(
    "context", [None, [], "text", [["Long Arch"]], [["Long Arch", "text"]], [[1, ["text"]]], [["Long Arch", [None]]]]
)
def test_a_json_row_without_paragraphs_is_named(cache: Path, context: object) -> None:
    path = write_json(cache / "mine.json", broken({"context": context}))
    with pytest.raises(DataError, match="mine.json, row 2: expected a context of titles with their sentences"):
        task(cache, questions="dev", path=str(path)).documents()


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ({"question": ["Q?"]}, "is not a parquet file of HotpotQA's form"),
        ({"question": [1], "answer": ["A"], "type": ["t"]}, "has a row without a question, an answer or a type"),
        ({"question": ["Q?"], "answer": [None], "type": ["t"]}, "has a row without a question, an answer or a type"),
    ],
)
def test_a_parquet_of_another_form(cache: Path, frame: dict[str, list[object]], sentence: str) -> None:
    path = cache / "mine.parquet"
    pl.DataFrame(frame).write_parquet(path)
    with pytest.raises(DataError, match=f"mine.parquet {sentence}"):
        task(cache, questions="dev", path=str(path)).questions()


def test_a_parquet_context_of_another_form(cache: Path) -> None:
    path, rows = cache / "mine.parquet", [{"question": "Q?", "answer": "A", "type": "t", "context": "text"}]
    pl.DataFrame(rows).write_parquet(path)
    with pytest.raises(DataError, match="mine.parquet, row 1: expected a context of titles with their sentences"):
        task(cache, questions="dev", path=str(path)).documents()
    uneven = {"title": ["Long Arch", "Ann Orr"], "sentences": [["one"]]}
    pl.DataFrame([{**rows[0], "context": uneven}]).write_parquet(path)
    with pytest.raises(DataError, match="mine.parquet, row 1: expected a context"):
        task(cache, questions="dev", path=str(path)).documents()
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="mine.parquet is not a parquet file of HotpotQA's form"):
        task(cache, questions="dev", path=str(path)).documents()
