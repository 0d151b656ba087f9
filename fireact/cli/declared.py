"""What a class or a function declares of its arguments; the one place where a key's type and range are said."""

from __future__ import annotations

import functools
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Importing these takes seconds, and they check what they are given; our own classes come without.
_HEAVY = ("lightning.", "torch.", "transformers.", "fireact.training.csv_logger.")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Declared:
    """The arguments of a ``_target_``.

    ``hints`` maps each to its annotation, or to Any; ``required`` are those without a default; ``is_open`` says that
    there may be others.
    """

    hints: Mapping[str, Any]
    required: frozenset[str]
    is_open: bool


UNKNOWN = Declared({}, frozenset(), is_open=True)


@functools.cache
def declared(target: str, at_any_cost: bool = False) -> Declared:
    """What ``target`` takes; ``UNKNOWN`` where that can't be told, or, unless ``at_any_cost``, not in a moment.

    Arguments that it hands on (``**options``) are those of its base class, or of the class that a function returns.
    """
    if target.startswith(_HEAVY) and not at_any_cost:
        return UNKNOWN
    try:
        return _declared(pkgutil.resolve_name(target))
    except (ImportError, AttributeError, NameError, TypeError, ValueError):  # what is amiss, instantiating says better
        return UNKNOWN


def _declared(found: Any) -> Declared:
    if inspect.isclass(found):
        return _of_calls([vars(base)["__init__"] for base in found.__mro__[:-1] if "__init__" in vars(base)])
    own, made = _of_calls([found]), typing.get_type_hints(found).get("return")
    if not own.is_open or not inspect.isclass(made):
        return own
    its = _declared(made)  # of which the function may give some by itself
    return Declared({**its.hints, **own.hints}, own.required, its.is_open)


def _of_calls(calls: Sequence[Callable[..., Any]]) -> Declared:
    """What the first one takes, and while there is ``**``, what the next one does."""
    hints: dict[str, Any] = {}
    required: set[str] = set()
    for call in calls:
        parameters, annotations = inspect.signature(call).parameters, typing.get_type_hints(call, include_extras=True)
        for name, parameter in parameters.items():
            if parameter.kind in _NAMED and name not in {*hints, "self"}:
                hints[name] = annotations.get(name, Any)
                required |= {name} if parameter.default is inspect.Parameter.empty else set()
        if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            return Declared(hints, frozenset(required), is_open=False)
    return Declared(hints, frozenset(required), is_open=bool(calls))
