"""Whether a value is what an annotation says, by pydantic, and what it may be, in words."""

from __future__ import annotations

import collections.abc
import functools
import json
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from fireact.overrides import written

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", type(None): "null", str: "text",
          Path: "text", list: "a list", dict: "a mapping", Any: "anything"}  # fmt: skip
_UNIONS = (typing.Union, types.UnionType)
_LISTS = (collections.abc.Sequence, list, tuple, set, frozenset)
_MAPPINGS = (collections.abc.Mapping, dict)


def fault(key: str, value: Any, hint: Any) -> str | None:
    """A sentence where ``value`` is not what ``hint`` says; None where it is, or where that can't be told.

    Strict, but as JSON is read: a whole number will do for a number and a list for a tuple, while ``true`` is no
    number, and ``"2"`` neither.
    """
    if _fits(value, _checkable(hint)):
        return None
    inside = (fault(place, part, its) for place, part, its in _parts(key, value, hint))
    shown = value if isinstance(value, str) else written(value)
    return next(filter(None, inside), None) or f"{key}={shown} must be {_wanted(value, hint)}"


def said(hint: Any) -> str:
    """What a value may be, in words.

    >>> said(Annotated[int, Interval(ge=1, le=9)] | None)
    'a whole number from 1 to 9 or null'
    """
    call = collections.abc.Callable  # which no configuration can write down
    options = (option for option in _options(hint) if call not in (option, typing.get_origin(option)))
    words = list(dict.fromkeys(map(_said, options)))
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(strict=True))


def _fits(value: Any, hint: Any) -> bool:
    try:
        _adapter(hint).validate_json(json.dumps(value))
    except ValidationError:
        return False
    except TypeError:  # no JSON, such as an object that a resolver made
        return True
    return True


@functools.cache
def _checkable(hint: Any) -> Any:
    """``hint`` with Any in the place of each class that pydantic knows nothing of; a union does without those."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return Annotated[(_checkable(arguments[0]), *arguments[1:])]
    if origin in _UNIONS:
        known = [option for option in map(_checkable, arguments) if option is not Any]
        return typing.Union[tuple(known)] if known else Any  # noqa: UP007 - of a list
    if origin in (*_LISTS, *_MAPPINGS):
        return origin[tuple(below if below is ... else _checkable(below) for below in arguments)]
    try:
        _adapter(hint)
    except (PydanticUserError, TypeError):
        return Any
    return hint


def _options(hint: Any) -> Iterator[Any]:
    """What a union is of, what a Literal lists, or ``hint`` itself, without what pydantic can't check."""
    hint = _checkable(hint)
    if typing.get_origin(hint) in _UNIONS:
        for option in typing.get_args(hint):
            yield from _options(option)
    elif typing.get_origin(hint) is Literal:
        yield from (Literal[choice] for choice in typing.get_args(hint))
    else:
        yield hint


def _said(option: Any) -> str:
    origin, arguments = typing.get_origin(option), typing.get_args(option)
    if origin is Annotated:
        finite = any(getattr(limit, "lt", None) == math.inf for limit in arguments[1:])
        word = _said(arguments[0]).replace("a number", "a finite number" if finite else "a number")
        return word + "".join(map(_bound, arguments[1:]))
    if origin is Literal:
        return arguments[0] if isinstance(arguments[0], str) else written(arguments[0])
    if origin in _LISTS:
        return f"a list of {said(arguments[0])}"
    if origin in _MAPPINGS:
        names = "" if arguments[0] is str else f" of {said(arguments[0])}"
        return f"a mapping{names} to {said(arguments[1])}"
    return _WORDS.get(option, getattr(option, "__name__", str(option)))


def _bound(limit: Any) -> str:
    """The end of what is said of an annotated type; nothing for metadata that pydantic doesn't read either."""
    ge, gt, le, lt = (getattr(limit, name, None) for name in ("ge", "gt", "le", "lt"))
    low = f"from {_number(ge)}" if ge is not None else f"above {_number(gt)}" if gt is not None else ""
    if le is not None:
        high = f"to {_number(le)}" if ge is not None else f"up to {_number(le)}"
    elif lt is not None and lt != math.inf:
        high = f"to below {_number(lt)}" if ge is not None else f"below {_number(lt)}"
    else:
        high = "on" if ge is not None else ""
    between = " and " if gt is not None and high else " "
    return f" {low}{between if low else ''}{high}".rstrip()


def _number(bound: Any) -> str:
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def _parts(key: str, value: Any, hint: Any) -> Iterator[tuple[str, Any, Any]]:
    """The entries of a list or a mapping, each by its key and with what it should be."""
    for option in _options(hint):
        option = typing.get_args(option)[0] if typing.get_origin(option) is Annotated else option
        origin, arguments = typing.get_origin(option), typing.get_args(option)
        if origin in _LISTS and isinstance(value, list):
            yield from ((f"{key}[{place}]", part, arguments[0]) for place, part in enumerate(value))
        elif origin in _MAPPINGS and isinstance(value, dict):
            yield from ((f"{key}.{name}", part, arguments[1]) for name, part in value.items())


def _wanted(value: Any, hint: Any) -> str:
    words = said(hint)
    if value in ("", [], {}):
        return f"{words}, and not empty"
    is_unquoted = isinstance(value, int | float) and "number" not in words and "text" in map(_said, _options(hint))
    return f"{words}; put quotes round it to make it text" if is_unquoted else words
