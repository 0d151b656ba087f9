"""A user's own questions: JSONL and CSV, the three scorings, and what is said of every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fireact.errors import ConfigError, DataError
from fireact.tasks.file import SCORINGS, File
from fireact.trajectories.records import Document, Question, Score

PLAIN = {"question": "question", "answer": "answer"}


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_jsonl(tmp_path: Path) -> None:
    rows = ['{"question": " Who? ", "answer": "Y", "more": 1}', "", '{"question": "2+2", "answer": 4}', ""]
    path = write(tmp_path / "q.jsonl", "\n".join(rows))
    first, second = File("mine", path, PLAIN, split="dev").questions()
    assert first == Question("mine-0", "Who?", "Y", "mine", "dev")
    assert (second.id, second.answer) == ("mine-1", "4")


def test_csv_with_a_byte_order_mark_and_columns_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", '\ufeffnr,q,a\n7,"Who, and\nwhy?",Y\n8,Where?,Z\n')
    task = File("mine", path, {"question": "q", "answer": "a", "id": "nr"}, limit=1, prompts="hotpotqa")
    assert task.questions() == [Question("mine-7", "Who, and\nwhy?", "Y", "mine", "test")]


def test_choices_are_a_list_or_columns(tmp_path: Path) -> None:
    jsonl = write(tmp_path / "q.jsonl", '{"question": "Who?", "answer": "b", "choices": ["X", "Y"]}\n')
    table = write(tmp_path / "q.csv", "question,one,two,answer\nWho?,X,Y,B\n")
    for path, columns in ((jsonl, "choices"), (table, ["one", "two"])):
        task = File("mine", path, {**PLAIN, "choices": columns}, scoring="letter")
        [question] = task.questions()
        assert (question.choices, question.answer) == (("X", "Y"), "B")
        assert task.score(question, "b. Y").correct and not task.score(question, "Y").correct


def test_yes_and_no(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", '{"question": "A?", "answer": true}\n{"question": "B?", "answer": "No"}\n')
    task = File("mine", path, PLAIN, scoring="yesno")
    yes, no = task.questions()
    assert (yes.answer, no.answer) == ("yes", "no")
    assert task.score(no, "No, never").correct


def test_every_rule_has_the_name_of_its_score() -> None:
    columns = {**PLAIN, "choices": "choices"}
    named = {scoring: File("mine", "q.jsonl", columns, scoring=scoring).measure for scoring in SCORINGS}
    assert named == {"em": "EM", "yesno": "accuracy", "letter": "accuracy"}


def test_an_answer_that_is_an_article_is_right_by_every_score(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", '{"question": "Which article?", "answer": "the"}\n'
                                       '{"question": "Which letter?", "answer": "A"}\n')
    task = File("mine", path, PLAIN)
    assert [task.score(q, answer) for q, answer in zip(task.questions(), ("the", "A"), strict=True)] == [
        Score(1.0, 1.0, True)
    ] * 2


def test_a_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", "question,answer\nWho?,Y\n")
    corpus = write(tmp_path / "c.jsonl", '{"title": "X", "text": "X is by Y."}\n')
    assert list(File("mine", path, PLAIN, corpus=corpus).documents()) == [Document("X", "X is by Y.")]
    with pytest.raises(ConfigError, match="mine has no corpus of its own; add search.corpus=FILE"):
        File("mine", path, PLAIN).documents()
    write(tmp_path / "c.jsonl", '{"title": "X", "text": "X is by Y."}\n{"title": "X"}\n')
    with pytest.raises(DataError, match=r"c.jsonl, line 2: expected a text in 'text'; the row has title"):
        list(File("mine", path, PLAIN, corpus=corpus).documents())


def test_a_number_is_asked_for_as_it_is_written(tmp_path: Path) -> None:
    rows = [f'{{"question": "Q?", "answer": {number}}}' for number in ("1.50", "1e20", "-7")]
    path = write(tmp_path / "q.jsonl", "\ufeff" + "\r\n".join(rows))
    assert [question.answer for question in File("mine", path, PLAIN).questions()] == ["1.50", "1e20", "-7"]


def test_the_calls_that_an_answer_needs(tmp_path: Path) -> None:
    rows = ['{"question": "Q?", "answer": "A", "calls": [{"tool": "add", "arguments": {"b": 2.5, "a": 1}}]}',
            '{"question": "R?", "answer": "A", "calls": []}', '{"question": "S?", "answer": "A"}']
    task = File("mine", write(tmp_path / "q.jsonl", "\n".join(rows)), PLAIN)
    first, none, unsaid = task.questions()
    assert first.calls == ('{"arguments": {"a": 1, "b": "2.5"}, "tool": "add"}',)
    assert (none.calls, unsaid.calls) == ((), None)
    assert task.where(none).endswith("q.jsonl, line 2")
    cell = '"[{""tool"": ""find"", ""arguments"": ""x""}]"'
    table = write(tmp_path / "q.csv", f"question,answer,needs\nQ?,A,{cell}\nR?,A,\n")
    named = File("mine", table, {**PLAIN, "calls": "needs"}).questions()
    assert [question.calls for question in named] == [('{"arguments": "x", "tool": "find"}',), None]
    off = File("mine", str(tmp_path / "q.jsonl"), {**PLAIN, "calls": None}).questions()
    assert [question.calls for question in off] == [None] * 3


LETTER = {"scoring": "letter", "columns": {**PLAIN, "choices": "choices"}}


@pytest.mark.parametrize(
    ("name", "text", "changes", "sentence"),
    [
        ("q.jsonl", '{"question": "Q?"}\n', {}, "q.jsonl, line 1: expected a text in 'answer'; the row has question"),
        ("q.jsonl", '{"question": "Q?", "answer": "A"}\n[1]\n', {}, "line 2: expected a JSON object, found list"),
        ("q.jsonl", '{"question": "Q?", "answer": "A"}\n\n{"quest', {}, "line 3 is not JSON .*; expected an object"),
        ("q.jsonl", '{"question": "", "answer": "A"}\n', {}, "line 1: expected a text in 'question'$"),
        ("q.jsonl", '{"question": "Q?", "answer": ["A"]}\n', {}, "line 1: expected a text in 'answer'$"),
        ("q.jsonl", '{"question": "Q?", "answer": null}', {}, "line 1: expected a text in 'answer'$"),
        ("q.jsonl", '{"question": "Q?", "answer": NaN}', {}, "line 1 holds 'NaN' in the field 'answer'"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "answer": "B"}', {}, "line 1 holds the key 'answer' twice"),
        ("q.jsonl", r'{"question": "Q\ud83d?", "answer": "A"}', {}, "line 1 holds half of a surrogate pair"),
        ("q.jsonl", "[" * 100_000, {}, "line 1 is nested too deeply"),
        ("q.jsonl", '{"\x1b[2J": "Q?"}'.replace("\x1b", r"\u001b"), {}, r"the row has \\x1b\[2J$"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "choices": %s}' % [0], LETTER, "a list of texts in 'choices'"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "choices": ["x"%s]}' % (', "x"' * 26), LETTER, "26 choices"),
        ("q.csv", "question,answer,answer\nQ?,A,B\n", {}, "line 1: two columns are called 'answer'"),
        ("q.jsonl", "\n", {}, "has no rows; task.path needs at least one"),
        ("q.csv", "question,answer\n", {}, "has no rows"),
        ("q.csv", "question,answer\nQ?,A\nR?\n", {}, "q.csv, line 3: expected as many columns as the first line has"),
        ("q.csv", "question,answer\nQ?,A,B\n", {}, "q.csv, line 2: expected as many columns"),
        ("q.csv", 'question,answer\n"Q?"x,A\n', {}, "q.csv, line 2 is not CSV"),
        ("q.csv", "q,answer\nQ?,A\n", {}, "line 2: expected a text in 'question'; the row has q, answer"),
        ("q.txt", "Q?", {}, "q.txt is neither .jsonl nor .csv; task.path needs one of them"),
        ("q.csv", "question,answer\nQ?,maybe\n", {"scoring": "yesno"}, "answer is 'maybe'; .* one of yes, true, no"),
        ("q.jsonl", '{"question": "Q?", "answer": "C", "choices": ["X", "Y"]}\n', LETTER, "'C'; .* one of A, B"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "choices": "X"}\n', LETTER, "a list of texts in 'choices'"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "calls": 3}', {}, "a list of calls in 'calls', found int"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "calls": [{"name": "x"}]}', {}, "1: the call .* is none"),
        ("q.jsonl", '{"question": "Q?", "answer": "A", "calls": [{"tool": ""}]}', {}, "line 1: .* needs a tool's name"),
        ("q.csv", "question,answer,calls\nQ?,A,x\n", {}, "q.csv, line 2, 'calls' is not JSON"),
        ("q.csv", "question,answer\nQ?,A\nQ?,A\n", {"columns": {**PLAIN, "id": "question"}}, "line 3: the id mine-Q"),
    ],
)
def test_what_is_wrong_with_a_file(
    tmp_path: Path, name: str, text: str, changes: dict[str, Any], sentence: str
) -> None:
    task = File("mine", write(tmp_path / name, text), **{"columns": PLAIN, **changes})
    with pytest.raises(DataError, match=sentence):
        task.questions()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"q.csv can't be read \(No such file or directory\); task.path needs"):
        File("mine", str(tmp_path / "q.csv"), PLAIN).questions()
    (tmp_path / "q.csv").write_bytes(b"question,answer\n\xff,A\n")
    with pytest.raises(DataError, match="q.csv is not UTF-8 text"):
        File("mine", str(tmp_path / "q.csv"), PLAIN).questions()
    for name in ("q.csv", "q.jsonl"):
        (tmp_path / name).write_text('{"question": "Q?", "answer": "A"}', encoding="utf-16")
        with pytest.raises(DataError, match=f"{name}.* is UTF-16 text; save the file as UTF-8"):
            File("mine", str(tmp_path / name), PLAIN).questions()
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match=r"d.csv can't be read \(Is a directory\)"):
        File("mine", str(tmp_path / "d.csv"), PLAIN).questions()


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="task.scoring=f1 is unknown; choose em, yesno, letter"):
        File("mine", "q.csv", PLAIN, scoring="f1")
    with pytest.raises(ConfigError, match="task.columns needs one column each for question and answer"):
        File("mine", "q.csv", {"question": "q"})
    with pytest.raises(ConfigError, match="task.columns.anwser is unknown; choose question, answer, id, choices or"):
        File("mine", "q.csv", {**PLAIN, "anwser": "a"})
    with pytest.raises(ConfigError, match="task.scoring=letter needs task.columns.choices"):
        File("mine", "q.csv", PLAIN, scoring="letter")
