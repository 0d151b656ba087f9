"""How numbers are read out of what is said, and when two are near enough."""

from __future__ import annotations

import pytest

from fireact.errors import DataError
from fireact.tasks.measures.base import UNSCORED
from fireact.tasks.measures.number import Number, NumberReader
from tests.tasks.measures.conftest import Ask


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The answer is 42.", ["42"]), ("1,234.5", ["1234.5"]), ("1 000 000", ["1000000"]), ("1'234", ["1234"]),
        ("1\u202f234", ["1234"]), ("-3", ["-3"]), ("−3", ["-3"]), ("+3", ["3"]), (".5", ["0.5"]), ("1e-3 m", ["0.001"]),
        ("$5 million", ["5000000"]), ("£-5", ["-5"]), ("covid-19", ["19"]), ("H2O", []), ("none", []), ("", []),
        ("3-5", ["3", "5"]), ("1,5", ["1", "5"]), ("1.2.3", ["1.2", "0.3"]), ("2024-01-02", ["2024", "1", "2"]),
        ("1,234,56", ["1234", "56"]), ("12 of 30", ["12", "30"]),
    ],
)  # fmt: skip
def test_numbers_in_a_text(text: str, numbers: list[str]) -> None:
    assert [f"{quantity.value.normalize():f}" for quantity in NumberReader().read(text)] == numbers


def test_a_comma_may_be_the_decimal_sign() -> None:
    (quantity,) = NumberReader(",").read("1.234,5 kg")
    assert (str(quantity.value), quantity.unit) == ("1234.5", "kg")


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("1234", "It is 1,234 km.", True),  # no unit is asked for
        ("5 km", "5", True), ("5 km", "5 km", True), ("5 km", "5 miles", False), ("5 km", "5 km/h", False),
        ("5 apples", "5 Apple", True), ("5 mW", "5 MW", False), ("$5", "$5.00", True), ("$5", "€5", False),
        ("45 %", "45", True), ("45 %", "0.45", True), ("45", "45 percent", True), ("0.45", "45%", True),
        ("45 %", "45 per cent", True), ("45 %", "46%", False), ("45 %", "0.45 %", False), ("-5", "5", False),
        ("1.2 million", "1,200,000", True), ("3", "three", False), ("3", "", False),
    ],
)  # fmt: skip
def test_signs_units_and_percentages(verdict: Ask, gold: str, answer: str, right: bool) -> None:
    assert verdict(Number(), gold, answer).right is right


def test_the_wider_tolerance_holds_to_the_last_digit(verdict: Ask) -> None:
    assert verdict(Number(absolute=0.05, relative=0.0), "1.0", "1.05").right  # as binary fractions they are not
    assert not verdict(Number(absolute=0.05, relative=0.0), "1.0", "1.0500001").right
    assert verdict(Number(absolute=0.05, relative=0.01), "1000", "1010").right
    assert not verdict(Number(absolute=0.05, relative=0.01), "1000", "1010.1").right
    assert verdict(Number(relative=0.0), "0.1", ".10").right


def test_several_numbers_are_wrong_and_counted_by_name(verdict: Ask) -> None:
    found = verdict(Number(), "12", "12 of 30")
    assert (found.right, found.facts) == (False, {UNSCORED: "more than one number in the answer"})
    assert verdict(Number(), "12", "no idea").facts == {}


def test_an_answer_that_is_no_number_is_refused(verdict: Ask) -> None:
    for gold, what in (("a dozen", "no number"), ("3-5", "2 numbers"), ("1,5", "2 numbers")):
        with pytest.raises(DataError, match=f"the answer '{gold}' holds {what} .*; measure=number needs one"):
            verdict(Number(), gold, "3")
    assert verdict(Number(decimal=","), "1,5", "1,50").right
