"""The real functions behind `Value`'s operations, on floats, and the messages of their errors.

`compile` writes the same arithmetic into the code that it generates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import cos, sin, tanh
from numbers import Real
from typing import Any

__all__ = ["cos", "exp", "log", "sigmoid", "sin", "sqrt", "tanh"]


NAMES = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}  # of operators, in messages


class Symbolic:
    """An unknown number, which `compile` uses in place of a float."""

    __slots__ = ()

    def call(self, function: Callable[..., float], numbers: Sequence[Any]) -> float:
        """The unknown result of `function(*numbers)`."""
        raise NotImplementedError


def is_number(data: Any) -> bool:
    """Whether `data` is a real number, as Fractions and NumPy scalars are, or a symbolic one."""
    return isinstance(data, (float, int, Symbolic, Real))


def number(data: Any) -> float:
    """`data` as a float; a symbolic number unchanged. Raises TypeError for anything else."""
    if not is_number(data):
        advice = _advice(data)
        raise TypeError(
            f"'Value' takes and works with real numbers, not a {type(data).__name__!r}: {advice}"
        )
    return data if isinstance(data, Symbolic) else float(data)  # type: ignore[return-value]


def _advice(data: Any) -> str:
    """What to do with something that is not a real number."""
    if hasattr(data, "_operands"):
        return "it is one already"
    one = getattr(data, "shape", None) in ((), [])  # an array or a tensor of one number
    if hasattr(data, "__iter__") and not isinstance(data, str | bytes) and not one:
        return "take its elements one by one"
    if isinstance(data, str | bytes) or hasattr(data, "__float__"):
        return "convert it with float() first"
    return "pass a number"


def operand(data: Any) -> float | None:
    """`number(data)`, or None for an object of another library, whose operator Python then tries."""
    if type(data) is float:
        return data
    return number(data) if is_number(data) or type(data).__module__ == "builtins" else None


def call(function: Callable[..., float], left: Any, right: Any = None) -> float:
    """`function` of the operands' data. Its error names the operands."""
    operands = (left,) if right is None else (left, right)
    try:
        return function(left.data) if right is None else function(left.data, right.data)
    except TypeError:  # of a symbolic number
        numbers = [v.data for v in operands]
        for x in numbers:
            if isinstance(x, Symbolic):
                return x.call(function, numbers)
        raise
    except (ValueError, ArithmeticError) as error:
        why = "too large for a float" if isinstance(error, OverflowError) else str(error)
        what = function.__name__.split("_")[0]  # sqrt_slope is reported as sqrt
        raise type(error)(f"{what} of {_found(operands)}: {why}") from None


def check_finite(op: str, data: float, slopes: Sequence[float], left: Any, right: Any) -> None:
    """Raises OverflowError where finite operands have a result or a slope that is not finite.

    Infinity and NaN that a program put in itself go on, as in torch.
    """
    operands = (left,) if right is None else (left, right)
    if not all(math.isfinite(v.data) for v in operands):
        return
    for what, numbers in (("result", (data,)), ("slope", slopes)):
        if not all(map(math.isfinite, numbers)):
            which = NAMES.get(op, "power" if op.startswith("**") else op)
            raise OverflowError(
                f"{which} of {_found(operands)}: its {what} is too large for a float"
            )


def _found(operands: Sequence[Any]) -> str:
    return " and ".join(f"{v.data!r} ({name(v)})" for v in operands)


def name(v: Any) -> str:
    """A Value in messages: its label, else where it comes from."""
    if v.label:
        return f"label {v.label!r}"
    return f"no label, from {v._op!r}" if v._op else "no label, a leaf"


def exp(x: float) -> float:
    """e**x."""
    return math.exp(x)


def log(x: float) -> float:
    """ln x."""
    if x <= 0.0:
        raise ValueError("log needs a number above 0: clamp it, or add a small one first")
    return math.log(x)


def sqrt(x: float) -> float:
    """The square root."""
    if x < 0.0:
        raise ValueError("sqrt of a negative number is not real")
    return math.sqrt(x)


def sqrt_slope(x: float) -> float:
    """d sqrt(x) / dx."""
    if x == 0.0:
        raise ZeroDivisionError("sqrt has an infinite slope at 0: add a small number first")
    return 0.5 / math.sqrt(x)


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), in a form whose exponent is never positive, so that it cannot overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    return math.exp(x) / (1.0 + math.exp(x))


def relu(x: float) -> float:
    """max(0, x)."""
    return 0.0 if x < 0.0 else x


def step(x: float) -> float:
    """d relu(x) / dx; 0 at 0, as in torch."""
    return 1.0 if x > 0.0 else 0.0


def absolute(x: float) -> float:
    """|x|."""
    return abs(x)


def sign(x: float) -> float:
    """d |x| / dx; 0 at 0, as in torch."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0


def larger(x: float, y: float) -> float:
    """max(x, y)."""
    return x if x > y or x != x else y  # propagates NaN


def larger_slope(x: float, y: float) -> float:
    """d max(x, y) / dx; 1/2 for equal arguments, as in torch."""
    return 1.0 if x > y else 0.5 if x == y else 0.0


def divide(x: float, y: float) -> float:
    """x / y."""
    if y == 0.0:
        raise ZeroDivisionError("division by zero: add a small number to the divisor")
    return x / y


def power(x: float, n: float) -> float:
    """x**n, real."""
    if n == 2.0:
        return x * x
    if n == 1.0:
        return x
    if n < 0.0 and x == 0.0:
        raise ZeroDivisionError("a negative power of 0 is a division by zero")
    if not n.is_integer() and x < 0.0:
        raise ValueError("a power of a negative number is real for whole exponents only")
    return math.pow(x, n)


def power_slope(x: float, n: float) -> float:
    """d x**n / dx = n x**(n-1)."""
    if n == 0.0:
        return 0.0
    if n < 1.0 and x == 0.0:
        raise ZeroDivisionError("this power has an infinite slope at 0: add a small number first")
    return n * power(x, n - 1.0)


def power_log(x: float, n: float) -> float:
    """d x**n / dn = x**n ln x; 0 at x = 0, as in torch."""
    if x < 0.0:
        raise ValueError("a Value as exponent needs a base of at least 0: use a plain number")
    return power(x, n) * math.log(x) if x > 0.0 else 0.0
