"""What was read of files of rows, and what was refused and why: the report at the end of ``show``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from fireact.errors import DataError
from fireact.trajectories.records import FINISH, Trajectory

# What tells two refusals of one reason apart; a quoted word, such as a field's name, is part of the reason.
_PARTICULAR = re.compile(r"'(?!\w+')(?:[^'\\]|\\.)*'|\"[^\"]*\"|\d+")
_MOST = 20  # reasons that are listed
_IGNORED, _ERROR = "ignored_field ", "tool_error "


class Summary:
    """Counts over rows, and the first refusal of each reason.

    Attributes:
        first: the first refusal; None where there is none.
        refused: how many rows are refused.
    """

    def __init__(self) -> None:
        self.first: DataError | None = None
        self.refused = 0
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._fields: Counter[str] = Counter()
        self._messages: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._steps: Counter[str] = Counter()
        self._systems: Counter[str] = Counter()

    def refuse(self, where: str, error: DataError) -> None:
        """Count a row, or the rest of a file, that is refused."""
        self.first = self.first or error
        self.refused += 1
        reason = _PARTICULAR.sub("…", str(error).replace(where, "", 1))
        self._reasons[reason] += 1
        self._examples.setdefault(reason, str(error))

    def add(self, trajectory: Trajectory, fields: tuple[str, ...]) -> None:
        """Count a row that is learnt, whose own ``fields`` had these names."""
        self._fields.update(fields)
        steps, system = trajectory.steps, trajectory.question.system
        if system:
            self._systems[system] += 1
        self._messages["system"] += bool(system)
        self._messages["user"] += 1
        self._messages["assistant"] += sum(1 for step in steps if not step.continues)
        self._messages["results"] += sum(1 for step in steps if step.observation is not None and step.action != FINISH)
        self._calls.update(step.action for step in steps if step.action not in ("", FINISH))
        self._steps["learnt"] += sum(1 for step in steps if step.learnt)
        self._steps["context"] += sum(1 for step in steps if not step.learnt)

    def lines(self, counts: Mapping[str, int]) -> Iterator[str]:
        """The report, line by line; ``counts`` is what was counted while the rows were read."""
        read = {name: n for name, n in self._fields.items() if f"{_IGNORED}{name.lower()}" not in counts}
        ignored = {name.removeprefix(_IGNORED): n for name, n in counts.items() if name.startswith(_IGNORED)}
        errors = {name.removeprefix(_ERROR): n for name, n in counts.items() if name.startswith(_ERROR)}
        calls = [f"{name} {n}" + (f" ({errors[name]} failed)" if errors.get(name) else "")
                 for name, n in self._calls.most_common()]  # fmt: skip
        systems = {"rows": self._systems.total(), "different": len(self._systems)}
        shown = {
            "messages": _listed(self._messages), "steps": _listed(self._steps), "calls": ", ".join(calls),
            "system texts": _listed(systems), "fields read": _listed(read), "fields ignored": _listed(ignored),
        }  # fmt: skip
        yield from (f"{name}: {said}" for name, said in shown.items() if said)
        for reason, number in self._reasons.most_common(_MOST):
            yield f"refused {number}: {self._examples[reason]}"
        if len(self._reasons) > _MOST:
            yield f"refused for {len(self._reasons) - _MOST} other reasons; cure these first"


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number)
