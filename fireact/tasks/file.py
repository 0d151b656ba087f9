"""Your own questions: a JSONL or CSV file and one YAML file that says what its columns mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from fireact.errors import ConfigError, DataError, quoted
from fireact.ranges import Text, Texts
from fireact.tasks.questions import QuestionFile, matches, starts
from fireact.trajectories.records import Document, Question
from fireact.trajectories.reference_calls import call_text
from fireact.trajectories.storage import reading
from fireact.trajectories.storage.reading import printable

SCORINGS = {"em": matches, "yesno": starts, "letter": starts}
_YES_NO = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
Row = dict[str, Any]


class File(QuestionFile):
    """Questions of ``path``, a ``.jsonl`` file of objects or a ``.csv`` file with a line of headings.

    Args:
        columns: which columns hold ``question``, ``answer``, and, if there are any, ``id`` and ``choices`` (the name of
            a column with a list, or a list of columns). The tool calls that an answer needs are in ``calls``, or in
            the column named so here; null reads none.
        scoring: ``em``; ``yesno`` (gold answers are yes, no, true or false); ``letter`` (that of the right choice).
        corpus: a JSONL or CSV file with a title and a text in each row, which a local search tool may index.
        split: what trajectories say of where the questions come from.
        arrangement: see ``QuestionFile``.

    Raises:
        ConfigError: the scoring or a column is impossible.
    """

    def __init__(
        self,
        name: Text,
        path: Text,
        columns: Mapping[str, Text | Texts | None],
        scoring: Literal["em", "yesno", "letter"] = "em",
        corpus: Text | None = None,
        split: Text = "test",
        **arrangement: Any,
    ) -> None:
        if scoring not in SCORINGS:
            raise ConfigError(f"task.scoring={scoring} is unknown; choose {', '.join(SCORINGS)}")
        if unknown := sorted(set(columns) - {"question", "answer", "id", "choices", "calls"}):
            raise ConfigError(f"task.columns.{unknown[0]} is unknown; choose question, answer, id, choices or calls")
        names = {key: column for key, column in columns.items() if key != "choices" and isinstance(column, str)}
        if not {"question", "answer"} <= set(names) or columns.get("id") and "id" not in names:
            raise ConfigError("task.columns needs one column each for question and answer, and one for id or null")
        if scoring == "letter" and not columns.get("choices"):
            raise ConfigError("task.scoring=letter needs task.columns.choices, the column or columns of the choices")
        super().__init__(name, right=SCORINGS[scoring], **arrangement)
        self._path, self._names, self._choice_columns = Path(path), names, columns.get("choices")
        self._calls = columns.get("calls", "calls")
        self._scoring, self._corpus, self._split = scoring, corpus, split
        self._places: dict[str, str] = {}

    def read(self) -> list[Question]:
        """See ``QuestionFile``."""
        questions: dict[str, Question] = {}
        self._places.clear()
        for place, (where, row) in enumerate(rows(self._path, "task.path")):
            question = self._question(place, row, where)
            if question.id in questions:
                raise DataError(f"{where}: the id {printable(question.id)} is taken already; ids must differ")
            questions[question.id], self._places[question.id] = question, where
        return list(questions.values())

    def where(self, question: Question) -> str:
        """The words that say where a question that was read stands."""
        return self._places[question.id]

    def documents(self) -> Iterable[Document]:
        """See ``Task``."""
        if self._corpus is None:
            return super().documents()
        return (
            Document(_text(row, "title", where), _text(row, "text", where))
            for where, row in rows(Path(self._corpus), "task.corpus")
        )

    def _question(self, place: int, row: Row, where: str) -> Question:
        id_column = self._names.get("id")
        choices = self._choices(row, where)
        return Question(
            id=f"{self.name}-{_text(row, id_column, where) if id_column else place}",
            text=_text(row, self._names["question"], where),
            answer=self._answer(_text(row, self._names["answer"], where), choices, where),
            task=self.name,
            split=self._split,
            choices=choices,
            calls=self._expected(row, where),
        )

    def _choices(self, row: Row, where: str) -> tuple[str, ...]:
        columns = self._choice_columns
        if columns is None:
            return ()
        if isinstance(columns, str):
            choices = row.get(columns)
            if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
                raise DataError(f"{where}: expected a list of texts in {columns!r}")
        else:
            choices = [_text(row, column, where) for column in columns]
        if len(choices) > len(ascii_uppercase):
            raise DataError(f"{where}: there are letters for 26 choices, not for {len(choices)}; leave some out")
        return tuple(choices)

    def _expected(self, row: Row, where: str) -> tuple[str, ...] | None:
        """The calls that the answer needs; in a table they are JSON, and an empty cell says nothing of them."""
        calls = row.get(self._calls) if isinstance(self._calls, str) else None
        if calls is None or calls == "":
            return None
        if isinstance(calls, str):
            calls = reading.loads(calls.encode(), f"{where}, {self._calls!r}", "a list of calls")
        if not isinstance(calls, list):
            raise DataError(f"{where}: expected a list of calls in {self._calls!r}, found {type(calls).__name__}; "
                            "task.columns.calls=null reads none")
        try:
            return tuple(map(call_text, calls))
        except DataError as error:
            raise DataError(f"{where}: {error}") from None

    def _answer(self, answer: str, choices: Sequence[str], where: str) -> str:
        """The gold answer in the form that the scoring rule compares."""
        if self._scoring == "em":
            return answer
        known = _YES_NO if self._scoring == "yesno" else {x.lower(): x for x in ascii_uppercase[: len(choices)]}
        if answer.lower() not in known:
            raise DataError(f"{where}: the answer is {quoted(answer)}; task.scoring={self._scoring} expects one of "
                            f"{', '.join(known.values() if choices else known)}")
        return known[answer.lower()]


def rows(path: Path, key: str) -> Iterator[tuple[str, Row]]:
    """Each row of a JSONL or CSV file, with the words that say where it is.

    Raises:
        DataError: the file is missing, empty, of another kind or malformed; the message names the line, or ``key``.
    """
    readers = {".jsonl": _objects, ".csv": _table}
    if path.suffix not in readers:
        raise DataError(f"{path} is neither .jsonl nor .csv; {key} needs one of them")
    number = 0
    try:
        for number, row in readers[path.suffix](path):
            yield f"{path}, line {number}", row
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); {key} needs a JSONL or CSV file") from None
    if not number:
        raise DataError(f"{path} has no rows; {key} needs at least one")


def _objects(path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in reading.lines(path):
        # a number is kept as it is written: an answer 1.50 is no 1.5
        row = reading.loads(line, f"{path}, line {number}", "an object", parse_float=str)
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
        yield number, row


def _table(path: Path) -> Iterator[tuple[int, Row]]:
    table = csv.DictReader(io.StringIO(reading.decoded(path.read_bytes(), str(path)), newline=""), strict=True)
    try:
        headings = table.fieldnames or []
        if len(set(headings)) < len(headings):
            twice = next(heading for heading in headings if headings.count(heading) > 1)
            raise DataError(f"{path}, line 1: two columns are called {quoted(twice)}; give each a name of its own")
        for row in table:
            if None in row or None in row.values():
                raise DataError(f"{path}, line {table.line_num}: expected as many columns as the first line has")
            yield table.line_num, dict(row)
    except csv.Error as error:
        raise DataError(f"{path}, line {table.reader.line_num} is not CSV ({error}); expected one row a line") from None


def _text(row: Row, column: str, where: str) -> str:
    """The text in a column; a number or truth value is written out, nothing else is accepted."""
    value = row.get(column)
    if isinstance(value, bool | int):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        has = f"; the row has {printable(', '.join(row))}" if column not in row else ""
        raise DataError(f"{where}: expected a text in {column!r}{has}")
    return value.strip()
