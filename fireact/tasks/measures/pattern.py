"""A regular expression that the answer must match, within bounds: it can neither hang nor fill the memory."""

from __future__ import annotations

import re
from functools import lru_cache

import regex

from fireact.errors import ConfigError, DataError, quoted
from fireact.ranges import Seconds, Text
from fireact.tasks.measures.base import UNSCORED, Verdict
from fireact.trajectories.records import Question

_LARGEST = 50_000  # of a pattern with its counted repeats written out, which is how it is compiled
_LONGEST = 4_000  # characters
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(\d*)(?:,(\d*))?\}|.", re.DOTALL)


class Regex:
    """Right where the pattern matches: the row's answer, or ``pattern`` for all rows where one is given.

    Args:
        whole: the whole answer must match, less white space around it; else a part of it is enough.
        ignore_case: whether case makes no difference.
        timeout_s: for one answer; one that takes longer counts as wrong, and is counted by name.

    Raises:
        ConfigError: ``pattern`` does not compile.
    """

    name = "regex"

    def __init__(
        self, pattern: Text | None = None, whole: bool = True, ignore_case: bool = False, timeout_s: Seconds = 1.0
    ) -> None:
        self._pattern, self._whole, self._timeout_s = pattern, whole, timeout_s
        self._flags = regex.IGNORECASE if ignore_case else 0
        if pattern is not None:
            try:
                compiled(pattern, self._flags)
            except DataError as error:
                raise ConfigError(f"measure.pattern: {error}") from None
        by = "the row's pattern" if pattern is None else quoted(pattern)
        self.about = f"regex is the share of answers that {by} matches{'' if whole else ', in part at least'}."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            DataError: the row's pattern does not compile, or is too large.
        """
        if self._pattern is None:
            compiled(question.answer, self._flags)

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        pattern = compiled(question.answer if self._pattern is None else self._pattern, self._flags)
        if not answer.strip():  # no answer is never right
            return Verdict(False)
        look = pattern.fullmatch if self._whole else pattern.search
        try:
            return Verdict(look(answer.strip(), timeout=self._timeout_s) is not None)
        except TimeoutError:
            return Verdict(False, facts={UNSCORED: f"the pattern took more than {self._timeout_s:g} s"})


@lru_cache(maxsize=10_000)
def compiled(pattern: str, flags: int) -> regex.Pattern[str]:
    """The pattern, compiled.

    Raises:
        DataError: it does not compile, or would take too much memory.
    """
    if len(pattern) > _LONGEST:
        raise DataError(f"the pattern has {len(pattern):,} characters; {_LONGEST:,} are allowed")
    if (size := _written_out(pattern)) > _LARGEST:
        raise DataError(f"the pattern {quoted(pattern)} takes {size:,} steps with its repeats written out; "
                        f"{_LARGEST:,} are allowed, so repeat less")
    try:
        return regex.compile(pattern, flags)
    except regex.error as error:
        raise DataError(f"the pattern {quoted(pattern)} does not compile: {error}") from None
    except (RecursionError, OverflowError, ValueError):
        raise DataError(f"the pattern {quoted(pattern)} does not compile: it is nested too deeply, or its flags "
                        "exclude each other") from None


def _written_out(pattern: str) -> int:
    """About how many parts the pattern has when each counted repeat, as in ``(ab){20}``, is written out."""
    sizes, last = [0], 0  # of every open group, and of what a repeat would be of
    for token in _TOKEN.finditer(pattern):
        if token[0] == "(":
            sizes.append(0)
            last = 0
            continue
        if token[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
        elif token[1] or token[2]:  # {3}, {3,}, {3,5}
            sizes[-1] -= last
            last *= max(int(number) for number in (token[1], token[2]) if number)
        else:
            last = 1
        sizes[-1] += last
    return sum(sizes)
