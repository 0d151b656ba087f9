"""HotpotQA from the real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fireact.errors import ConfigError, DataError
from fireact.tasks.hotpotqa import HotpotQA, paper_order
from fireact.trajectories.metrics import exact_match
from fireact.trajectories.records import Document, Question


def test_dev_in_file_order(mirror: None) -> None:
    questions = HotpotQA(questions="dev").questions()
    assert len(questions) == 7405
    text = "Were Scott Derrickson and Ed Wood of the same nationality?"
    assert questions[0] == Question("hotpotqa-dev-0", text, "yes", "hotpotqa", "dev", kind="comparison")
    assert {question.kind for question in questions} == {"bridge", "comparison"}


def test_the_papers_500_in_its_order(mirror: None) -> None:
    questions = HotpotQA().questions()
    assert HotpotQA(order="paper").questions() == questions
    assert len(questions) == len({question.id for question in questions}) == 500
    assert [q.id for q in questions[:3]] == ["hotpotqa-dev-3687", "hotpotqa-dev-6238", "hotpotqa-dev-5388"]
    assert questions[1].text == "Who created the show with Wendy Schaal doing the voice of Francine?"
    assert HotpotQA(questions="dev", order="paper", limit=20).questions() == questions[:20]
    assert HotpotQA(order="paper", limit=501).questions() == questions


def test_the_paper_order_needs_no_file() -> None:
    assert paper_order(7405)[:8] == [3687, 6238, 5388, 3522, 3824, 2866, 1551, 2544]


def test_the_300_are_nearly_the_first_of_dev_and_have_a_corpus(mirror: None) -> None:
    task = HotpotQA(questions="distractor300")
    questions = task.questions()
    dev = HotpotQA(questions="dev", limit=301).questions()
    del dev[239]
    assert [(q.text, q.answer) for q in questions] == [(q.text, q.answer) for q in dev]
    assert [q.id for q in questions[:2]] == ["hotpotqa-distractor300-0", "hotpotqa-distractor300-1"]
    documents = list(task.documents())
    assert len(documents) == 2972 and task.corpus_name == "hotpotqa"  # its name in runs made so far
    assert all(isinstance(document, Document) and document.title and document.text for document in documents)


def test_scores() -> None:
    question = Question("q", "?", "The Beatles", "hotpotqa", "dev")
    score = HotpotQA().score
    assert score(question, "beatles").correct and score(question, "beatles").em == 1.0
    assert score(question, "Beatles band").f1 == pytest.approx(2 / 3) and not score(question, "Beatles band").correct
    assert score(question, "").f1 == 0.0 == exact_match("", "The Beatles")


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="task.questions=test is unknown; choose paper, dev, train, distractor300"):
        HotpotQA(questions="test")
    with pytest.raises(ConfigError, match="task.order=random is unknown; choose file, shuffle, paper"):
        HotpotQA(order="random")
    with pytest.raises(ConfigError, match="draws from all of dev; leave out task.questions=distractor300"):
        HotpotQA(order="paper", questions="distractor300")
    with pytest.raises(ConfigError, match="say task.questions=train or dev with it"):
        HotpotQA(questions="distractor300", path="hotpot_train_v1.1.json")


def test_without_a_mirror_the_300_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    with pytest.raises(DataError, match="comes only with a local mirror; set FIREACT_DATA"):
        HotpotQA(questions="distractor300").questions()


def test_the_training_set_from_a_file_of_the_official_format(tmp_path: Path) -> None:
    path = tmp_path / "hotpot_train_v1.1.json"
    row = {"_id": "5a", "question": "Who wrote X? ", "answer": "Y", "type": "bridge", "level": "easy", "context": []}
    path.write_text(json.dumps([row, {**row, "type": "comparison"}]))
    questions = HotpotQA(questions="train", path=str(path)).questions()
    assert questions[0] == Question("hotpotqa-train-0", "Who wrote X?", "Y", "hotpotqa", "train", kind="bridge")
    assert questions[1].id == "hotpotqa-train-1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[{", "is not JSON .*; expected a file of HotpotQA's format"),
        ('[{"question": "Q?", "answer": "A \\ud83d"}]', "holds half of a surrogate pair"),
        ("{}", "row 1: expected an object with a question and an answer"),
        ('[{"question": "Q?", "answer": "A"}, {"question": "Q?"}]', "row 2: expected an object with a question"),
    ],
)
def test_a_malformed_file(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence):
        HotpotQA(questions="train", path=str(path)).questions()
    path.unlink()
    with pytest.raises(DataError, match="does not exist; task.path needs HotpotQA's train.json"):
        HotpotQA(questions="train", path=str(path)).questions()
