"""Measures that compare words."""

from __future__ import annotations

import pytest

from fireact.errors import DataError
from fireact.tasks.measures.text import F1, Contains, ExactMatch, Letter, YesNo
from tests.tasks.measures.conftest import Ask

CHOICES = ("cat", "the dog", "bird")


def test_exact_match_is_that_of_the_questions_of_a_file(verdict: Ask) -> None:
    assert verdict(ExactMatch(), "The Nile", "nile.").right
    assert not verdict(ExactMatch(), "The Nile", "the river Nile").right


def test_f1_is_a_share_and_right_from_where_it_is_said(verdict: Ask) -> None:
    half = verdict(F1(), "white nile", "blue nile")
    assert (half.value, half.right) == (0.5, True)
    assert not verdict(F1(right_from=0.6), "white nile", "blue nile").right
    none = verdict(F1(right_from=0.0), "white nile", "Amazon")
    assert (none.value, none.right) == (0.0, False)  # no word in common is never right


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("Nile", "It is the Nile, I think.", True),
        ("the Blue Nile", "the blue   nile!", True),
        ("Nile", "Juvenile", False),  # words, not letters
        ("blue nile", "nile blue", False),
        ("Nile", "", False),
    ],
)
def test_contains(verdict: Ask, gold: str, answer: str, right: bool) -> None:
    assert verdict(Contains(), gold, answer).right is right


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("yes", "Yes.", True), ("true", "yes", True), ("no", "False, since it is not", True), ("No", "no", True),
        ("yes", "yesterday", False), ("no", "none", False), ("yes", "I say yes", False), ("no", "", False),
        ("no", "maybe", False), ("no", "yes", False),
    ],
)  # fmt: skip
def test_yes_or_no(verdict: Ask, gold: str, answer: str, right: bool) -> None:
    assert verdict(YesNo(), gold, answer).right is right


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("A", "a", True), ("A", "(A)", True), ("A", "A. cat", True), ("A", "A) whatever", True), ("A", "A cat", True),
        ("A", "A bird", False), ("B", "b the dog", True), ("B", "B: no", True), ("B", "A", False), ("B", "dog", False),
        ("B", "Bird", False), ("C", "", False), ("C", "(C", True),
    ],
)  # fmt: skip
def test_the_letter_of_a_choice(verdict: Ask, gold: str, answer: str, right: bool) -> None:
    assert verdict(Letter(), gold, answer, CHOICES).right is right


def test_what_cannot_be_scored_is_refused(verdict: Ask) -> None:
    with pytest.raises(DataError, match="the answer is 'maybe'; measure=yes_no expects one of yes, true, no, false"):
        verdict(YesNo(), "maybe", "yes")
    with pytest.raises(DataError, match="there are no choices; measure=letter needs them"):
        verdict(Letter(), "A", "A")
    with pytest.raises(DataError, match="the answer is 'D'; measure=letter expects one of A, B, C"):
        verdict(Letter(), "D", "D", CHOICES)
    with pytest.raises(DataError, match="the answer is 'The', of which normalising leaves nothing to look for"):
        verdict(Contains(), "The", "the")
