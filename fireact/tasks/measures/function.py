"""A user's own Python function as a measure."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from fireact.errors import ConfigError, quoted
from fireact.ranges import Fraction, Text
from fireact.tasks.measures.base import Verdict
from fireact.trajectories.records import Question
from fireact.trajectories.storage.digests import digest


class Python:
    """What ``function(question, answer)`` returns: a truth value, or a number in 0…1, which then counts as it is.

    It is given the ``Question`` and the predicted answer ("" if there is none), and is tried on every gold answer
    before any model is asked. It runs in this process, without a limit on its time. A change of its file makes another
    run.

    Args:
        function: ``package.module.function``.
        beside: a folder, or a file in it, where the module is looked for first; then the working directory, then where
            Python finds modules.
        right_from: from which number on an answer counts as right where one must choose.

    Raises:
        ConfigError: there is no such function, its module can't be imported, or another module has its name.
    """

    def __init__(self, function: Text, beside: Text | None = None, right_from: Fraction = 0.5) -> None:
        self._path, self._right_from = function, right_from
        self._function = _function(function, beside)
        self.name = function.rpartition(".")[2]
        file = inspect.getsourcefile(inspect.unwrap(self._function))
        self.sha256 = digest(file) if file else ""
        self.about = f"{self.name} is what measure.function={function} says of each answer, its mean."

    def check(self, question: Question) -> None:
        """See ``Measure``.

        Raises:
            ConfigError: the function fails on the gold answer.
        """
        self._call(question, question.answer)

    async def verdict(self, question: Question, answer: str) -> Verdict:
        """See ``Measure``."""
        found = self._call(question, answer)
        if isinstance(found, bool):
            return Verdict(found)
        return Verdict(found >= self._right_from and found > 0, float(found))

    def _call(self, question: Question, answer: str) -> bool | float:
        at = f"measure.function={self._path} failed on the answer {quoted(answer)} to question {question.id}"
        fix = "repair it, and run again in another run_dir with this run's journal.path, which asks no model twice"
        try:
            found = self._function(question, answer)
        except Exception as error:  # somebody else's code
            raise ConfigError(f"{at} with {type(error).__name__}: {error}; {fix}") from error
        if isinstance(found, bool) or isinstance(found, int | float) and 0 <= found <= 1:
            return found
        raise ConfigError(f"{at}: it returned {quoted(found)}, which is neither a truth value nor a number in 0…1; "
                          f"{fix}")


def _function(path: str, beside: str | None) -> Callable[[Question, str], Any]:
    name, _, attribute = path.rpartition(".")
    if not name or not all(part.isidentifier() for part in path.split(".")):
        raise ConfigError(f"measure.function={path} is no dotted path; write it like package.module.function")
    found = getattr(_module(name, path, _folders(beside)), attribute, None)
    if not callable(found):
        what = "is no function" if found is not None else "is not there"
        raise ConfigError(f"measure.function={path}: {attribute} {what} in {name}; correct the path")
    if inspect.iscoroutinefunction(found):
        raise ConfigError(f"measure.function={path} is asynchronous; make it a plain function")
    return found


def _folders(beside: str | None) -> list[str]:
    near = [] if beside is None else [Path(beside) if Path(beside).is_dir() else Path(beside).parent]
    return list(dict.fromkeys(str(folder.resolve()) for folder in [*near, Path()]))


def _module(name: str, path: str, folders: list[str]) -> Any:
    head = name.partition(".")[0]
    own = PathFinder.find_spec(head, folders)
    try:
        with _first(folders):
            module = importlib.import_module(name)
    except Exception as error:  # whatever importing somebody else's file may raise
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"measure.function={path}: there is no module {error.name} in {' or '.join(folders)}, "
                              "and Python finds none elsewhere; correct the path, or set "
                              "measure.beside=FOLDER") from None
        raise ConfigError(f"measure.function={path}: importing {name} failed with {type(error).__name__}: {error}; "
                          "repair it") from error
    loaded = getattr(sys.modules[head], "__file__", None)
    if own is not None and own.origin is not None and loaded != own.origin:
        raise ConfigError(f"measure.function={path}: another module is called {head} ({loaded}), so {own.origin} can't "
                          "be imported; give it another name")
    return module


@contextmanager
def _first(folders: list[str]) -> Iterator[None]:
    """Let modules in ``folders`` be found first, and later, for what a function imports when it is called, last."""
    before = list(sys.path)
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = [*before, *(folder for folder in folders if folder not in before)]
