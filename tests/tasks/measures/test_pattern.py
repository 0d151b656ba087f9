"""Regular expressions, within bounds of time and memory."""

from __future__ import annotations

import time

import pytest

from fireact.errors import ConfigError, DataError
from fireact.tasks.measures.base import UNSCORED
from fireact.tasks.measures.pattern import Regex
from tests.tasks.measures.conftest import Ask

SLOW = r"(.*?,){25}P"  # takes years on 3,000 commas


def test_the_row_s_answer_is_the_pattern(verdict: Ask) -> None:
    assert verdict(Regex(), r"(19|20)\d\d", " 1984 ").right
    assert not verdict(Regex(), r"(19|20)\d\d", "in 1984").right
    assert verdict(Regex(whole=False), r"\b(19|20)\d\d\b", "in 1984").right
    assert verdict(Regex(ignore_case=True), "nile", "NILE").right
    assert not verdict(Regex(), ".*", " ").right  # no answer is never right


def test_one_pattern_for_all_rows(verdict: Ask) -> None:
    assert verdict(Regex(pattern="[A-Z]{2}-[0-9]+"), "(no pattern", "AB-12").right
    with pytest.raises(ConfigError, match=r"measure.pattern: the pattern '\(' does not compile: missing \)"):
        Regex(pattern="(")


def test_a_pattern_that_never_ends_does(verdict: Ask) -> None:
    began = time.monotonic()
    found = verdict(Regex(timeout_s=0.2), SLOW, "1," * 3000)
    assert time.monotonic() - began < 5
    assert (found.right, found.facts) == (False, {UNSCORED: "the pattern took more than 0.2 s"})


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("[", "the pattern '.' does not compile: unterminated character set at position 1"),
        ("(?:a{1000}){1000}", "takes 1,002,000 steps with its repeats written out; 50,000 are allowed"),
        ("(?:(?:(?:[)]{99}){99}){99}){99}", "takes 98,019,999 steps"),
        ("a" * 4001, "the pattern has 4,001 characters; 4,000 are allowed"),
        ("(" * 3999, "does not compile"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_refused_at_once(verdict: Ask, pattern: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        verdict(Regex(), pattern, "a")


def test_patterns_that_people_write_are_within_bounds(verdict: Ask) -> None:
    assert verdict(Regex(), r"(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?", "127.0.0.1:80").right
    assert verdict(Regex(), r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}", "a.b@c.example.org").right
