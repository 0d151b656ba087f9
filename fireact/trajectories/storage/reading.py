"""Files that users bring, read one way: UTF-8 with or without a byte-order mark, and JSON that means one thing only.

``json.loads`` takes more than JSON and says nothing: NaN, the last of two equal keys, 1e999 as infinity, half of a
surrogate pair that no tokenizer and no UTF-8 file takes. All of it is a ``DataError`` here, so that nothing is misread.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fireact.errors import DataError, quoted

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 files begin, and UTF-32 little-endian ones
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Control characters but for the line break and the tab, and the marks that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

HALVES = "halves of characters in what %s answered are replaced by \ufffd (%d of them)"  # of a service, to be logged
Surrogates = Counter[str] | Literal["refuse", "keep"]


class _FaultError(ValueError):
    """What is wrong with a value that ``json`` would take."""


class _NoNumberError(ValueError):
    """A number that is none, or too large to be one."""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1; raises OSError."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def decoded(raw: bytes, what: str) -> str:
    """The text of a file or line called ``what``.

    Raises:
        DataError: it is not UTF-8.
    """
    if raw.startswith(_WIDE_MARKS):
        raise DataError(f"{what} is UTF-16 text; save the file as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{what} is not UTF-8 text; save the file as UTF-8") from None


def finite(literal: str) -> float:
    """A JSON number with a point or an exponent; ValueError where it is too large for a float."""
    value = float(literal)
    if not math.isfinite(value):
        raise _NoNumberError(literal)
    return value


def loads(
    raw: bytes,
    what: str,
    expected: str = "JSON",
    surrogates: Surrogates = "refuse",
    parse_float: Callable[[str], Any] = finite,
) -> Any:
    """The one JSON value in ``raw``, called ``what`` in errors.

    Halves of ``surrogates`` pairs are refused, kept, or become U+FFFD, counted as ``replaced_surrogates``.

    Raises:
        DataError: it is no UTF-8 or no JSON (then ``expected`` says what was awaited), or says two things at once.
    """
    source = _Source(decoded(raw, what), what, expected)
    value, end = source.value(source.next(0), what, parse_float)
    if end != len(source.text):
        raise source.no_json("Extra data", end)
    return _whole(value, source.text, what, surrogates)


def members(raw: bytes, what: str, expected: str, surrogates: Surrogates) -> Iterator[tuple[str, Any]]:
    """The members of the JSON list in ``raw``, each with its place (``row 1``), as ``loads`` would read them.

    Raises:
        DataError: as ``loads`` does; of a member's fault it names the row.
    """
    source = _Source(decoded(raw, what), what, expected)
    text, end = source.text, source.next(source.next(0) + 1)
    for number in itertools.count(1):
        if number == 1 and text[end : end + 1] == "]":
            break
        start, where = end, f"row {number}"
        value, end = source.value(start, f"{what}, {where}", finite)
        yield where, _whole(value, text[start:end], f"{what}, {where}", surrogates)
        if text[end : end + 1] != ",":
            break
        end = source.next(end + 1)
    if text[end : end + 1] != "]":
        raise source.no_json("Expecting ',' delimiter", end)
    if source.next(end + 1) != len(text):
        raise source.no_json("Extra data", source.next(end + 1))


def joined(text: str, counts: Counter[str] | None = None) -> str:
    """``text`` with halves of surrogate pairs joined that follow each other, and lone ones replaced by U+FFFD.

    These are counted as ``replaced_surrogates``. No tokenizer, UTF-8 file or database takes them.
    """
    if not _SURROGATE.search(text):
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if counts is not None:
        counts["replaced_surrogates"] += whole.count("\ufffd") - text.count("\ufffd")
    return whole


def printable(text: str) -> str:
    """``text`` with escapes for what would steer a terminal; line breaks and tabs stay."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True, slots=True)
class _Source:
    """A text called ``what``, of which values are decoded one after another; ``expected`` is what it should hold."""

    text: str
    what: str
    expected: str

    def next(self, at: int) -> int:
        """Where the next token begins, from ``at`` on."""
        match = _SPACE.match(self.text, at)
        return at if match is None else match.end()

    def value(self, start: int, where: str, parse_float: Callable[[str], Any]) -> tuple[Any, int]:
        """The value that begins at ``start``, and where the token after it does; DataError names ``where``."""
        try:
            value, end = _decoder(parse_float).raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            raise self.no_json(error.msg, error.pos) from None
        except RecursionError:
            raise DataError(f"{where} is nested too deeply; expected {self.expected}") from None
        except _FaultError as fault:
            raise DataError(f"{where} {fault}; remove one") from None
        except _NoNumberError as literal:
            try:
                path = _not_finite(json.JSONDecoder().raw_decode(self.text, start)[0])
            except (ValueError, RecursionError):  # what follows it is no JSON either
                path = None
            field = f" in the field {quoted('.'.join(path))}" if path else ""
            raise DataError(f"{where} holds {quoted(str(literal))}{field}, which is no number; fix it") from None
        except ValueError:  # Python makes no int of more than 4,300 digits
            raise DataError(f"{where} holds a number of thousands of digits; fix it") from None
        return value, self.next(end)

    def no_json(self, reason: str, at: int) -> DataError:
        """The error for what stands at ``at``."""
        several = "\n" in self.text.strip()
        line = f", line {self.text.count(chr(10), 0, at) + 1}" if several else ""
        hint = "; a file that holds one row a line must be named .jsonl" if reason == "Extra data" and several else ""
        return DataError(f"{self.what}{line} is not JSON ({reason}); expected {self.expected}{hint}")


@functools.cache
def _decoder(parse_float: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_float=parse_float, parse_constant=_constant)


def _whole(value: Any, text: str, what: str, surrogates: Surrogates) -> Any:
    """``value``, read from ``text``, with halves of surrogate pairs treated as said."""
    if surrogates == "keep" or not _SURROGATE_ESCAPE.search(text):
        return value
    found: Counter[str] = Counter()
    value = _replaced(value, found)
    if isinstance(surrogates, Counter):
        surrogates.update(found)
    elif found:
        raise DataError(f"{what} holds half of a surrogate pair (as in \\ud83d), which is no character; fix the text")
    return value


def _replaced(value: Any, found: Counter[str]) -> Any:
    if isinstance(value, str):
        text, number = _SURROGATE.subn("\ufffd", value)
        if number:
            found["replaced_surrogates"] += number
        return text
    if isinstance(value, list):
        return [_replaced(member, found) for member in value]
    if isinstance(value, dict):
        return {_replaced(key, found): _replaced(member, found) for key, member in value.items()}
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = next(key for key, number in Counter(key for key, _ in pairs).items() if number > 1)
        raise _FaultError(f"holds the key {quoted(twice)} twice in one object, of which only one could count")
    return made


def _constant(name: str) -> Any:
    raise _NoNumberError(name)


def _not_finite(value: Any) -> list[str] | None:
    """The keys that lead to the first number in ``value`` that is none; None if all are."""
    if isinstance(value, float):
        return None if math.isfinite(value) else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = ((str(key), _not_finite(member)) for key, member in members)
    return next(([key, *path] for key, path in below if path is not None), None)
