"""What can be known before anything is spent, checked for every cell of a command before the first one runs.

Loads no weights and no torch. Each distinct thing is looked at once, however many cells need it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fireact.cli import Config, explain, resolved
from fireact.errors import ConfigError
from fireact.runs.preflight.check import Check
from fireact.runs.preflight.to_act import ACTING
from fireact.runs.preflight.to_tune import AHEAD, ON_THIS_MACHINE, TUNING
from fireact.trajectories.storage.download import WouldFetch
from fireact.trajectories.storage.reading import printable

_passed: set[str] = set()  # the cases that this process found well


@dataclass(frozen=True)
class Job:
    """Something that is going to run: the run folder it is for, its configuration and what it needs."""

    folder: str
    cfg: Config
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Problem:
    """Why a job can't run, or with ``fatal=False`` might not, in a sentence; ``folder`` is the first that it meets."""

    folder: str
    sentence: str
    fatal: bool = True


def tuning(cfg: Config, here: bool = True, ahead: bool = True) -> Job:
    """What a composed ``train.py`` configuration needs for its tuning; ``here`` if this is the machine for it.

    ``ahead`` also looks whether its trajectories make rows, which takes a tokenizer and a second or two.
    """
    return Job(cfg.run_dir, cfg, (*(ON_THIS_MACHINE if here else ()), *TUNING, *(AHEAD if ahead else ())))


def acting(cfg: Config, folder: str | None = None) -> Job:
    """What a composed ``evaluate.py`` or ``generate.py`` configuration needs."""
    return Job(folder or cfg.run_dir, cfg, ACTING)


def problems(jobs: Iterable[Job]) -> Iterator[Problem]:
    """Everything that stands in the way, each under the first job that meets it."""
    met: set[str] = set()
    for job in jobs:
        plain = resolved(job.cfg)
        for check in job.checks:
            case = _case(check, plain)
            if case not in _passed | met:
                met.add(case)
                found = _look(check, job)
                if found is None:
                    _passed.add(case)
                elif found.sentence not in met:
                    met.add(found.sentence)
                    yield found


def refuse(jobs: Sequence[Job]) -> None:
    """Let nothing begin that can't come to its end; says in a line what only might not.

    Raises:
        ConfigError: in the first problem's sentence, with its cell where there are several.
    """
    several = len({job.folder for job in jobs}) > 1
    for problem in problems(jobs):
        if problem.fatal:
            named = f"{problem.folder}: {problem.sentence} (nothing was run)"
            raise ConfigError(named if several else problem.sentence)
        print(printable(problem.sentence), flush=True)


def _look(check: Check, job: Job) -> Problem | None:
    try:
        line = check.look(job.cfg)
    except WouldFetch as fetch:
        return Problem(job.folder, str(fetch), fatal=False)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        return Problem(job.folder, sentence)
    return Problem(job.folder, line, fatal=False) if line else None


def _case(check: Check, plain: dict[str, Any]) -> str:
    """What decides a check's outcome, as text; seeds never do."""
    return json.dumps([check.look.__name__, *(_without_seeds(_at(plain, key)) for key in check.reads)], sort_keys=True)


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(below) for key, below in value.items() if key != "seed"}
    return [_without_seeds(each) for each in value] if isinstance(value, list) else value
