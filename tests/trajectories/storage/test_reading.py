"""Files of users: what is read, and one sentence for each thing that ``json`` would take and misread."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from fireact.errors import DataError
from fireact.trajectories.storage.reading import lines, loads, members, printable


def rows(text: str | bytes) -> list[tuple[str, object]]:
    return list(members(text if isinstance(text, bytes) else text.encode(), "f.json", "rows", Counter()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "f holds the key 'a' twice in one object, of which only one could count; remove one"),
        ('{"b": {"c": [0.5, NaN]}}', "f holds 'NaN' in the field 'b.c.1', which is no number; fix it"),
        ('{"b": -Infinity}', "f holds '-Infinity' in the field 'b', which is no number"),
        ('{"b": 1e999}', "f holds '1e999' in the field 'b', which is no number"),
        ('{"b": [1e999"]}', "f holds '1e999', which is no number"),
        ('{"b": NaN, "c": ' + "[" * 100_000, "f holds 'NaN', which is no number"),
        ("[" * 100_000 + "]" * 100_000, "f is nested too deeply; expected a row"),
        ('{"a": ' * 3_000 + "1" + "}" * 3_000, "f is nested too deeply; expected a row"),
        ("9" * 5_000, "f holds a number of thousands of digits; fix it"),
        ('"\ud83d"', "f is not UTF-8 text; save the file as UTF-8"),
        (r'{"\udc00": ["\ud83d\ude00"]}', "f holds half of a surrogate pair"),
        ('{"a": "\x00"}', r"f is not JSON \(Invalid control character at\); expected a row"),
        ('{"a": 1} {"a": 2}', r"f is not JSON \(Extra data\); expected a row$"),
        ('{"a": 1}\n{"a": 2}', r"f, line 2 is not JSON \(Extra data\); expected a row; .* must be named .jsonl"),
        ("", r"f is not JSON \(Expecting value\); expected a row"),
    ],
)
def test_what_json_would_misread_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        loads(text.encode(errors="surrogatepass"), "f", "a row")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_named(encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    with pytest.raises(DataError, match="f is (UTF-16|not UTF-8) text; save the file as UTF-8"):
        loads(f'{mark}{{"a": "é"}}'.encode(encoding), "f")


def test_a_byte_order_mark_and_any_line_ends_are_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n \r\n{"a": 2}')
    assert [(n, loads(line, "")) for n, line in lines(tmp_path / "t.jsonl")] == [(1, {"a": 1}), (3, {"a": 2})]
    assert rows(b'\xef\xbb\xbf [{"a": 1},\r\n2 ]\r\n') == [("row 1", {"a": 1}), ("row 2", 2)]


def test_half_a_surrogate_pair_is_replaced_where_that_is_counted() -> None:
    counts: Counter[str] = Counter()
    text = rb'[{"a": "x\ud83d"}, "\ud83d\ude00", "\\ud83d", {"\udc00": ["\ud83d\ud83d"]}]'
    values = [value for _, value in members(text, "f", "rows", counts)]
    assert values == [{"a": "x\ufffd"}, "😀", "\\ud83d", {"\ufffd": ["\ufffd\ufffd"]}]
    assert counts == {"replaced_surrogates": 4}
    assert loads(rb'"x\ud83d"', "f", surrogates="keep") == "x\ud83d"


def test_a_list_is_read_member_by_member_as_json_reads_it() -> None:
    for value in ([], [1], [[], {}], ["a]", {"b": [1, 2]}, None, 0.5, "😀"]):
        for indent in (None, 1):
            assert rows(json.dumps(value, indent=indent)) == [(f"row {n}", v) for n, v in enumerate(value, start=1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[1,\n{"a": NaN}]', "f.json, row 2 holds 'NaN' in the field 'a'"),
        ('[1,\n{"a": 1, "a": 1}]', "f.json, row 2 holds the key 'a' twice"),
        ("[1,]", r"f.json is not JSON \(Expecting value\)"),
        ("[", r"f.json is not JSON \(Expecting value\)"),
        ("[1,\n2", r"f.json, line 2 is not JSON \(Expecting ',' delimiter\)"),
        ("[1,\n2 3]", r"f.json, line 2 is not JSON \(Expecting ',' delimiter\)"),
        ("[1]\n[2]", r"f.json, line 2 is not JSON \(Extra data\)"),
    ],
)
def test_a_faulty_list_names_the_row_or_the_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        rows(text)


def test_what_would_steer_a_terminal_is_escaped() -> None:
    assert printable("a\tb\nc\x1b[31m\r\x9b\u202e\x00é«") == "a\tb\nc\\x1b[31m\\r\\x9b\\u202e\\x00é«"
