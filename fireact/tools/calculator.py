"""A calculator: arithmetic read by Python's parser and carried out by us, never by ``eval``."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from fireact.errors import ToolError
from fireact.trajectories.tool_schema import ToolSchema

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LONGEST, _DIGITS, _EXPONENT = 500, 300, 10_000
Number = int | float
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.UAdd: operator.pos, ast.USub: operator.neg,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "round": round, "min": min, "max": max, "sqrt": math.sqrt, "floor": math.floor, "ceil": math.ceil,
    "log": math.log, "log10": math.log10, "exp": math.exp, "sin": math.sin, "cos": math.cos, "tan": math.tan,
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e}


class Calculator:
    """Evaluates an expression of numbers, ``+ - * / // % **``, brackets, ``pi``, ``e`` and common functions.

    ``^`` is a power, ``×`` and ``÷`` are read, and commas between thousands are dropped
    where no function is called. Results of more than 300
    digits are refused, so that no expression takes long.
    """

    schema = ToolSchema(
        "calculator",
        "Evaluates an arithmetic expression, such as (3 + 4) * 2.5 or sqrt(2), and returns the number.",
        '{"properties": {"expression": {"type": "string"}}, "required": ["expression"], "type": "object"}',
    )
    idempotent = True

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See ``Tool``.

        Raises:
            ToolError: it is no arithmetic, has no value, or one too large.
        """
        return evaluated(arguments["expression"])

    async def aclose(self) -> None:
        """Nothing is held."""


def evaluated(expression: str) -> str:
    """The value of an expression as text: whole numbers without a point, others with up to 12 digits.

    Raises:
        ToolError: see ``Calculator``.

    >>> evaluated("2^10 / 3")
    '341.333333333'
    """
    text = _plain(expression)
    if not text or len(text) > _LONGEST:
        raise ToolError(f"the calculator takes an expression of 1 to {_LONGEST} characters")
    try:
        value = _value(ast.parse(text, mode="eval").body)
        if isinstance(value, float) and not math.isfinite(value):
            raise OverflowError
        return _said(value)
    except (SyntaxError, RecursionError, MemoryError):
        raise ToolError(f"{expression[:80]!r} is no arithmetic expression") from None
    except ZeroDivisionError:
        raise ToolError("division by zero") from None
    except OverflowError:
        raise ToolError(f"the result has more than {_DIGITS} digits") from None
    except (ValueError, TypeError) as error:
        raise ToolError(f"{expression[:80]!r} has no value: {error}") from None


def _plain(expression: str) -> str:
    for sign, plain in {"^": "**", "×": "*", "÷": "/", "−": "-"}.items():
        expression = expression.replace(sign, plain)
    expression = expression.strip()
    if any(sign.isalpha() for sign in expression):  # a comma may stand between the arguments of a function
        return expression
    return _THOUSANDS.sub("", expression)


def _value(node: ast.AST) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _bounded(_OPERATORS[type(node.op)](_value(node.operand)))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(_value(node.left), _value(node.right))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _bounded(_OPERATORS[type(node.op)](_value(node.left), _value(node.right)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id not in _FUNCTIONS:
            raise SyntaxError
        return _bounded(_FUNCTIONS[node.func.id](*map(_value, node.args)))
    raise SyntaxError


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > _EXPONENT or abs(base) > 1 and abs(exponent) * math.log10(abs(base)) > _DIGITS:
        raise OverflowError
    return _bounded(base**exponent)


def _bounded(value: Any) -> Number:
    if isinstance(value, complex):
        raise ValueError("it is no real number")
    if isinstance(value, int) and abs(value) >= 10**_DIGITS:
        raise OverflowError
    return value


def _said(value: Number) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return str(value) if isinstance(value, int) else f"{value:.12g}"
