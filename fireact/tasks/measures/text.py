"""Measures that compare words: exact match, F1, contained, yes or no, the letter of a choice."""

from __future__ import annotations

import re
from string import ascii_uppercase

from fireact.errors import DataError, quoted
from fireact.ranges import Fraction
from fireact.tasks.measures.base import Verdict
from fireact.trajectories.metrics import exact_match, f1_score, normalize_answer
from fireact.trajectories.records import EM, F1_NAME, Question

_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_WORD = re.compile(r"\w+")
_LETTER = re.compile(r"\(?([A-Za-z])(?:[).:,]+|$|(?=\s))\s*(.*)", re.DOTALL)


class ExactMatch:
    """HotpotQA's exact match of the normalised texts, which is what questions of a file are scored by anyway."""

    name, about = EM, "EM is the exact match of the normalised texts."

    def check(self, question: Question) -> None:
        """See ``Measure``; there is no answer that it can't compare."""

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        return Verdict(exact_match(answer, question.answer) == 1.0)


class F1:
    """Token F1 of the normalised texts (SQuAD, HotpotQA), a share of each answer; ``right_from`` says from which F1 on
    an answer counts as right where one must choose: what ``generate.py`` keeps, what the page marks."""

    name = F1_NAME

    def __init__(self, right_from: Fraction = 0.5) -> None:
        self._right_from = right_from
        self.about = f"F1 is the mean over answers; one counts as right from {right_from:g} on."

    def check(self, question: Question) -> None:
        """See ``Measure``; there is no answer that it can't compare."""

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        f1 = f1_score(answer, question.answer)
        return Verdict(f1 >= self._right_from and f1 > 0, f1)


class Contains:
    """Right where the words of the gold answer stand in the answer, next to each other, both normalised.

    An answer that lists everything is right too, so this is for short answers.
    """

    name, about = "contains", "contains is the share of answers in which the gold answer's words stand in a row."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: nothing is left of the gold answer when it is normalised, so every answer would hold it.
        """
        if not normalize_answer(question.answer):
            raise DataError(f"the answer is {quoted(question.answer)}, of which normalising leaves nothing to look "
                            "for; choose measure=exact_match")

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        return Verdict(f" {normalize_answer(question.answer)} " in f" {normalize_answer(answer)} ")


class YesNo:
    """Right where the first word is the gold one: yes or true, no or false, in either case."""

    name, about = "yes/no", "yes/no is the share of answers whose first word, yes or true, no or false, is right."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: the gold answer is none of the four words.
        """
        if question.answer.strip().lower() not in _YES_NO:
            raise DataError(f"the answer is {quoted(question.answer)}; measure=yes_no expects one of "
                            f"{', '.join(_YES_NO)}")

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        first = _WORD.search(answer.lower())
        said = _YES_NO.get(first[0]) if first else None
        return Verdict(said is not None and said is _YES_NO[question.answer.strip().lower()])


class Letter:
    """Right where the letter of the right choice is said: alone, with a bracket, full stop, colon or comma, or before
    its choice's own text. ``A`` before other words is an article, and no letter."""

    name, about = "letter", "letter is the share of answers that say the letter of the right choice."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: the question has no choices, or none with the gold letter.
        """
        letters = ascii_uppercase[: len(question.choices)]
        if not letters:
            raise DataError("there are no choices; measure=letter needs them (task.columns.choices)")
        if question.answer.strip().upper() not in [*letters]:
            raise DataError(f"the answer is {quoted(question.answer)}; measure=letter expects one of "
                            f"{', '.join(letters)}")

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        gold, said = question.answer.strip().upper(), _LETTER.match(answer.strip())
        if said is None or said[1].upper() != gold:
            return Verdict(False)
        alone = answer.strip().lstrip("(")[1:2]  # what follows the letter
        choice = question.choices[ascii_uppercase.index(gold)]
        return Verdict(not alone.isspace() or normalize_answer(said[2]) == normalize_answer(choice))
