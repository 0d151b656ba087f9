"""HotpotQA from the real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fireact.errors import ConfigError, DataError
from fireact.metrics import exact_match
from fireact.records import Document, Question
from fireact.tasks.hotpotqa import HotpotQA, paper_order


@pytest.fixture
def mirror(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREACT_DATA", str(real_data))


def test_dev_in_file_order(mirror: None) -> None:
    questions = HotpotQA(questions="dev").questions()
    assert len(questions) == 7405
    text = "Were Scott Derrickson and Ed Wood of the same nationality?"
    assert questions[0] == Question("hotpotqa-dev-0", text, "yes", "hotpotqa", "dev", kind="comparison")
    assert {question.kind for question in questions} == {"bridge", "comparison"}


def test_the_papers_500_in_its_order(mirror: None) -> None:
    questions = HotpotQA(questions="dev", order="paper").questions()
    assert len(questions) == len({question.id for question in questions}) == 500
    assert [q.id for q in questions[:3]] == ["hotpotqa-dev-3687", "hotpotqa-dev-6238", "hotpotqa-dev-5388"]
    assert questions[1].text == "Who created the show with Wendy Schaal doing the voice of Francine?"
    assert HotpotQA(questions="dev", order="paper", limit=20).questions() == questions[:20]


def test_the_paper_order_needs_no_file() -> None:
    assert paper_order(7405)[:8] == [3687, 6238, 5388, 3522, 3824, 2866, 1551, 2544]


def test_the_300_are_nearly_the_first_of_dev_and_have_a_corpus(mirror: None) -> None:
    task = HotpotQA()
    questions = task.questions()
    dev = HotpotQA(questions="dev", limit=301).questions()
    del dev[239]
    assert [(q.text, q.answer) for q in questions] == [(q.text, q.answer) for q in dev]
    assert [q.id for q in questions[:2]] == ["hotpotqa-distractor300-0", "hotpotqa-distractor300-1"]
    documents = list(task.documents())
    assert len(documents) == 2972
    assert all(isinstance(document, Document) and document.title and document.text for document in documents)


def test_scores() -> None:
    question = Question("q", "?", "The Beatles", "hotpotqa", "dev")
    score = HotpotQA().score
    assert score(question, "beatles").correct and score(question, "beatles").em == 1.0
    assert score(question, "Beatles band").f1 == pytest.approx(2 / 3) and not score(question, "Beatles band").correct
    assert score(question, "").f1 == 0.0 == exact_match("", "The Beatles")


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="task.questions=test is unknown; choose dev or distractor300"):
        HotpotQA(questions="test")
    with pytest.raises(ConfigError, match="task.order=random is unknown; choose file or paper"):
        HotpotQA(order="random")
    with pytest.raises(ConfigError, match="add task.questions=dev"):
        HotpotQA(order="paper")
    with pytest.raises(ConfigError, match="has no local corpus"):
        HotpotQA(questions="dev").documents()


def test_without_a_mirror_the_300_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    with pytest.raises(DataError, match="comes only with a local mirror; set FIREACT_DATA"):
        HotpotQA().questions()
