"""Which of a teacher's trajectories are worth training on, and files of them that other trainers read."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from fireact.errors import ConfigError, DataError
from fireact.ranges import Count, Fraction
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.exporters.rows import row_of
from fireact.trajectories.metrics import normalize_answer
from fireact.trajectories.records import Ending, Question, Trajectory
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import write_json, write_lines

_EXPORTS = {"alpaca": ("trajectories.alpaca.json", "alpaca"), "chat": ("trajectories.chat.jsonl", "react")}


class Rules:
    """What a kept trajectory must be.

    Args:
        right: only those that the task scores as right; otherwise failed ones may be kept too.
        min_f1: at least this token F1, in 0…1.
        max_rounds: actions at most; any number if None.
        max_chars: of the question, the turns and the observations together; any number if None.
        similarity: a trajectory that does the same actions with the same arguments as a kept one is a near-duplicate if
            the words of the questions are this much alike (Jaccard, in 0…1); None keeps such, though never the same
            question (normalised as answers are) twice.
    """

    def __init__(
        self,
        right: bool = True,
        min_f1: Fraction = 0.0,
        max_rounds: Count | None = None,
        max_chars: Count | None = None,
        similarity: Annotated[float, Interval(gt=0, le=1)] | None = 0.8,
    ) -> None:
        if not 0 <= min_f1 <= 1:
            raise ConfigError(f"select.min_f1={min_f1} is no F1; choose one in 0…1")
        if similarity is not None and not 0 < similarity <= 1:
            raise ConfigError(f"select.similarity={similarity} is no likeness; choose one above 0 and up to 1, or null")
        self.similarity = similarity
        self._right, self._min_f1 = right, min_f1
        self._max_rounds = _most("max_rounds", max_rounds)
        self._max_chars = _most("max_chars", max_chars)

    def fault(self, trajectory: Trajectory) -> str:
        """Why it is not to be kept, in a word; empty if it is."""
        if self._right and not trajectory.score.correct:
            return "wrong" if trajectory.ending == Ending.FINISH else trajectory.ending.value
        if trajectory.score.f1 < self._min_f1:
            return "low_f1"
        if trajectory.rounds > self._max_rounds:
            return "too_many_rounds"
        return "too_long" if _chars(trajectory) > self._max_chars else ""


class Selection:
    """Picks trajectories by ``rules`` in the order of the questions, whoever finishes first, until ``target`` are kept.

    So what is kept depends on the questions and their trajectories alone. ``dropped`` counts the others by reason;
    ``surplus`` are those that were under way when the target was reached.
    """

    def __init__(self, questions: Sequence[Question], rules: Rules, target: int | None = None) -> None:
        self.kept: list[Trajectory] = []
        self.dropped: Counter[str] = Counter()
        self._rules, self._target = rules, target
        self._order, self._early = iter(questions), dict[str, Trajectory]()
        self._promising = 0  # of those that wait
        self._next = next(self._order, None)
        self._questions: set[str] = set()
        self._alike: defaultdict[tuple[Any, str], list[frozenset[str]]] = defaultdict(list)

    def __call__(self, trajectory: Trajectory) -> None:
        """Take in one finished trajectory."""
        self._early[trajectory.question.id] = trajectory
        self._promising += not self._rules.fault(trajectory)
        while self._next is not None and self._next.id in self._early:
            judged = self._early.pop(self._next.id)
            self._promising -= not self._rules.fault(judged)
            self._judge(judged)
            self._next = next(self._order, None)

    def enough(self) -> bool:
        """Whether the target is reached."""
        return self._target is not None and len(self.kept) >= self._target

    def seems_enough(self) -> bool:
        """Whether it will be, if nothing that waits for an older question to be judged proves a near-duplicate."""
        return self._target is not None and len(self.kept) + self._promising >= self._target

    def counts(self) -> dict[str, Any]:
        """What became of the trajectories so far."""
        return {"kept": len(self.kept), "dropped": self.dropped.total(), "dropped_by_reason": dict(self.dropped)}

    def summary(self) -> str:
        """The same as part of a sentence."""
        kept, reasons = len(self.kept), ", ".join(f"{n} {reason}" for reason, n in self.dropped.most_common())
        short = "" if self._target is None or self.enough() else f", {self._target - kept} fewer than the target"
        dropped = f" (dropped {reasons})" if reasons else ""
        return f"kept {kept} of {kept + self.dropped.total()} asked{dropped}{short}"

    def _judge(self, trajectory: Trajectory) -> None:
        reason = "surplus" if self.enough() else self._rules.fault(trajectory) or self._duplicates(trajectory)
        if reason:
            self.dropped[reason] += 1
        else:
            self.kept.append(trajectory)

    def _duplicates(self, trajectory: Trajectory) -> str:
        """Why it adds nothing to what is kept; if it does, it is remembered."""
        question = normalize_answer(trajectory.question.prompt())
        if question in self._questions:
            return "same_question"
        words = frozenset(question.split())
        places = self._places(trajectory, words)
        if any(_jaccard(words, other) >= (self._rules.similarity or 0) for key in places for other in self._alike[key]):
            return "near_duplicate"
        self._questions.add(question)
        for key in places:
            self._alike[key].append(words)
        return ""

    def _places(self, trajectory: Trajectory, words: frozenset[str]) -> list[tuple[Any, str]]:
        """Where near-duplicates share at least one entry: under the same actions, one of the first few words.

        Two sets that are alike to ``similarity`` must share one of their first n - ⌈similarity · n⌉ + 1 words in any
        fixed order (prefix filtering, Chaudhuri et al. 2006); longer words first, as those are rare.
        """
        if self._rules.similarity is None:
            return []
        actions = tuple((step.action, normalize_answer(step.argument)) for step in trajectory.steps)
        first = len(words) - math.ceil(self._rules.similarity * len(words) - 1e-9) + 1
        return [(actions, word) for word in sorted(words, key=lambda word: (-len(word), word))[:first]]


def check_formats(formats: Any) -> None:
    """Refuse what ``export`` could not write.

    Raises:
        ConfigError: there is no such format.
    """
    unknown = [name for name in ([formats] if isinstance(formats, str) else formats) if name not in _EXPORTS]
    if unknown or isinstance(formats, str):
        raise ConfigError(f"export={formats} is unknown; write a list of {', '.join(_EXPORTS)}, as in export=[alpaca]")


def export(formats: Iterable[str], trajectories: Sequence[Trajectory], folder: Path) -> list[Path]:
    """Write ``trajectories.alpaca.json`` (a list of Alpaca rows) or ``trajectories.chat.jsonl`` (ReAct text as OpenAI's
    messages), without metadata.

    What a format can't hold, such as an episode that was broken off, is not in its file; a line says how many are not,
    and why the first one is not.

    Raises:
        ConfigError: there is no such format.
        StorageError: a file can't be written.
    """
    check_formats(formats)
    paths = []
    for name in formats:
        file, to = _EXPORTS[name]
        rows, refused = [], list[str]()
        for trajectory in trajectories:
            try:
                rows.append(row_of(trajectory, to, ["metadata"], Counter()))
            except DataError as error:
                refused.append(f"{trajectory.question.id}: {error}")
        if refused:
            print(f"export={name} leaves out {len(refused)} of {len(trajectories)} trajectories, which it can't hold "
                  f"(trajectories.jsonl does); the first is {printable(refused[0])}")
        paths.append(folder / file)
        (write_json if file.endswith(".json") else write_lines)(paths[-1], rows)
    return paths


def _most(name: str, limit: int | None) -> float:
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"select.{name}={limit} keeps nothing; choose a whole number from 1 on, or null")
    return math.inf if limit is None else limit


def _chars(trajectory: Trajectory) -> int:
    turns = dialogue_of(trajectory).turns
    return len(trajectory.question.prompt()) + sum(len(turn.text) + len(turn.observation or "") for turn in turns)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
