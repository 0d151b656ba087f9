"""A number within a tolerance of the gold one, read out of what a model says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from fireact.errors import DataError, quoted
from fireact.ranges import NonNegative
from fireact.tasks.measures.base import UNSCORED, Verdict
from fireact.trajectories.records import Question

_SPACES = "\u00a0\u2009\u202f '’_"  # what stands between groups of three, besides the comma or the full stop
_CURRENCIES = "$€£¥"
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PERCENT = re.compile(r"\s?(?:%|(?:percent|per cent)\b)")
_UNIT = re.compile(r"\s?([°µ]?[^\W\d_]+(?:/[^\W\d_]+)*[²³]?)")
_LONG = 3  # letters up to which a unit's case and s tell it from another, as in m and M


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was said: ``value`` without its percent sign, and its ``unit``, "" where it has none."""

    value: Decimal
    percent: bool
    unit: str


class NumberReader:
    """Reads the numbers in a text; ``decimal`` is the sign before the fraction, and the other of ``.`` and ``,``
    stands between groups of three digits, as spaces, ' and _ do."""

    def __init__(self, decimal: Literal[".", ","] = ".") -> None:
        groups, point = ("," if decimal == "." else ".") + _SPACES, re.escape(decimal)
        grouped = "|".join(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?!\d)" for mark in groups)
        self._number = re.compile(
            rf"(?P<sign>(?<![\w)])[-−+])?(?P<currency>[{_CURRENCIES}]\s?)?"
            rf"(?=\d|{point}\d)(?P<whole>{grouped}|\d+)?(?:{point}(?P<fraction>\d+))?(?P<power>[eE][-−+]?\d{{1,3}}(?!\w))?"
        )

    def read(self, text: str) -> list[Quantity]:
        """Every number in ``text``, in order. What can't be told is several, for its parts are: 1.2.3, or 1,5 where
        ``.`` is the decimal sign. Digits within a name, as in H2O, are none."""
        found: list[Quantity] = []
        at = 0
        while (match := self._number.search(text, at)) is not None:
            before = text[max(match.start() - 1, 0) : match.start()]
            if before.isalpha() or before == "_":
                at = match.end()
                continue
            quantity, at = _quantity(match, text)
            found.append(quantity)
        return found


def _quantity(match: re.Match[str], text: str) -> tuple[Quantity, int]:
    """The number of ``match`` with what follows it, and where that ends."""
    whole = "".join(filter(str.isdigit, match["whole"] or "0"))
    power = (match["power"] or "e0").replace("−", "-")
    value, end = Decimal(f"{whole}.{match['fraction'] or 0}{power}"), match.end()
    if percent := _PERCENT.match(text, end):
        end = percent.end()
    word = _UNIT.match(text, end)
    if word and word[1].lower() in _SCALES:
        value, end = value * _SCALES[word[1].lower()], word.end()
        word = _UNIT.match(text, end)
    unit = (match["currency"] or "").strip() or (word[1] if word else "")
    signed = -value if match["sign"] in ("-", "−") else value
    return Quantity(signed, percent is not None, unit), word.end() if word else end


class Number:
    """Right within ``absolute`` or ``relative`` (of the gold number's size) of the gold number, whichever is wider.

    The answer must hold exactly one number. Thousands separators, signs, exponents, and million and the like are read.
    Where both have a percent sign, or neither, they are compared as they stand; where one has it, the other may be
    meant as per cent or as a share. Where the gold answer has a unit or a currency sign, one in the answer must be the
    same (a plural is); where it has none, any will do.
    """

    name = "number"

    def __init__(
        self, absolute: NonNegative = 0.0, relative: NonNegative = 1e-6, decimal: Literal[".", ","] = "."
    ) -> None:
        self._reader, self._decimal = NumberReader(decimal), decimal
        self._absolute, self._relative = Decimal(str(absolute)), Decimal(str(relative))
        self.about = (f"number is the share of answers within {absolute:g}, or {relative:g} of its size, of the gold "
                      "number.")

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: the gold answer is not one number.
        """
        if len(found := self._reader.read(question.answer)) != 1:
            what = "no number" if not found else f"{len(found)} numbers"
            raise DataError(f"the answer {quoted(question.answer)} holds {what} (with {self._decimal!r} before the "
                            "fraction); measure=number needs one")

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        [gold] = self._reader.read(question.answer)
        found = self._reader.read(answer)
        if len(found) != 1:
            facts = {UNSCORED: "more than one number in the answer"} if found else {}
            return Verdict(False, facts=facts)
        said = found[0]
        return Verdict(_same_unit(said.unit, gold.unit) and any(self._near(a, b) for a, b in _readings(said, gold)))

    def _near(self, said: Decimal, gold: Decimal) -> bool:
        return abs(said - gold) <= max(self._absolute, self._relative * abs(gold))


def _readings(said: Quantity, gold: Quantity) -> list[tuple[Decimal, Decimal]]:
    """What may be compared: the values as they stand; where one alone is a percentage, the other may be a share."""
    as_said = [(said.value, gold.value)]
    if said.percent == gold.percent:
        return as_said
    return [*as_said, (said.value / 100, gold.value) if said.percent else (said.value * 100, gold.value)]


def _same_unit(said: str, gold: str) -> bool:
    if not gold or not said or said == gold:
        return True
    return min(len(said), len(gold)) > _LONG and said.lower().removesuffix("s") == gold.lower().removesuffix("s")
