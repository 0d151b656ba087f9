"""What a class, a function or a section of the schema declares of its keys: types, ranges, defaults, effects."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fireact.ranges import Incidental

# Importing these takes seconds, and they check what they are given; our own classes come without.
HEAVY = ("lightning.", "torch.", "transformers.", "fireact.training.csv_logger.")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Declared:
    """The arguments of a ``_target_``, or the keys of a section.

    ``hints`` maps each to its annotation, or to Any; ``marks`` holds those that shape no result, ``defaults`` those
    that may be left out; ``is_open`` says that there may be others, ``is_ours`` that none lacks its mark.
    """

    hints: Mapping[str, Any]
    marks: Mapping[str, Incidental]
    defaults: Mapping[str, Any]
    is_open: bool
    is_ours: bool = False

    @property
    def required(self) -> frozenset[str]:
        """The arguments without a default."""
        return frozenset(self.hints.keys() - self.defaults.keys())

    def section(self, name: str) -> Any:
        """The dataclass of the schema that declares what is below ``name``; None where none does."""
        hint = self.hints.get(name)
        return hint if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None


UNKNOWN = Declared({}, {}, {}, is_open=True)


@functools.cache
def declared(target: str, at_any_cost: bool = False) -> Declared:
    """What ``target`` takes; ``UNKNOWN`` where that can't be told, or, unless ``at_any_cost``, not in a moment.

    Arguments that it hands on (``**options``) are those of its base class, or of the class that a function returns.
    """
    if target.startswith(HEAVY) and not at_any_cost:
        return UNKNOWN
    try:
        return declared_by(pkgutil.resolve_name(target))
    except (ImportError, AttributeError, NameError, TypeError, ValueError):  # instantiating says better what is wrong
        return UNKNOWN


@functools.cache
def declared_by(found: Any) -> Declared:
    """What a class or a function takes."""
    is_ours = found.__module__.startswith("fireact.")
    if inspect.isclass(found):
        return _of_calls([vars(base)["__init__"] for base in found.__mro__[:-1] if "__init__" in vars(base)], is_ours)
    own, hints = _of_calls([found], is_ours), typing.get_type_hints(found)
    if not own.is_open or not inspect.isclass(hints.get("return")):
        return own
    its = declared_by(hints["return"])  # of which the function may give some by itself
    defaults = {name: its.defaults.get(name, inspect.Parameter.empty) for name in its.hints}
    return Declared(
        {**its.hints, **own.hints}, {**its.marks, **own.marks}, {**defaults, **own.defaults}, its.is_open,
        is_ours and its.is_ours,
    )  # fmt: skip


def _of_calls(calls: Sequence[Callable[..., Any]], is_ours: bool) -> Declared:
    """What the first one takes, and while there is ``**``, what the next one does."""
    hints: dict[str, Any] = {}
    marks: dict[str, Incidental] = {}
    defaults: dict[str, Any] = {}
    is_open = bool(calls)
    for call in calls:
        parameters, annotations = inspect.signature(call).parameters, typing.get_type_hints(call, include_extras=True)
        for name, parameter in parameters.items():
            if parameter.kind in _NAMED and name not in {*hints, "self"}:
                hints[name], mark = _unmarked(annotations.get(name, Any))
                marks |= {name: mark} if mark else {}
                if parameter.default is not inspect.Parameter.empty:
                    defaults[name] = parameter.default
        is_open = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
        if not is_open:
            break
    return Declared(hints, marks, defaults, is_open, is_ours)


def _unmarked(hint: Any) -> tuple[Any, Incidental | None]:
    metadata = getattr(hint, "__metadata__", ())
    mark = next((each for each in metadata if isinstance(each, Incidental)), None)
    if mark is None:
        return hint, None
    others = [each for each in metadata if each is not mark]
    return Annotated[(hint.__origin__, *others)] if others else hint.__origin__, mark
