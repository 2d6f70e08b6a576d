"""`check(f, *inputs)`: are the gradients right? Compared with central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbook.autograd.node import graph
from hornbook.autograd.value import Value


class GradientError(ValueError):
    """A gradient that is not what the function's own differences say."""


def check(
    f: Callable[..., Value],
    *inputs: Any,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> list[float]:
    """Compare d f / d input with (f(x + h) - f(x - h)) / 2h, for every input; the gradients.

    Inputs are numbers or Values, a model's parameters too: `check(loss, *model.parameters())`;
    all Values keep their data and grad. h is `step * max(1, |x|)`; its error is of order h^2, and
    `tolerance` is relative to the larger of the two, or to 1 where both are smaller.

    Raises GradientError naming the input and both numbers. At a kink (relu or abs at 0, equal
    arguments of max) no difference is right: move the input.

    >>> check(lambda a, b: a * b.tanh(), 2.0, 0.0)
    [0.0, 2.0]
    """
    values = [x if isinstance(x, Value) else Value(x) for x in inputs]
    result = f(*values)
    before = {v: (v.data, v.grad) for v in (*values, *graph(result))}
    try:
        for v in before:
            v.grad = 0.0
        result.backward()
        gradients = [v.grad for v in values]
        for position, (v, gradient) in enumerate(zip(values, gradients, strict=True)):
            x, h = v.data, step * max(1.0, abs(v.data))
            v.data = x + h
            above = f(*values).data
            v.data = x - h
            below = f(*values).data
            v.data = x
            difference = (above - below) / (2 * h)
            scale = max(1.0, abs(gradient), abs(difference))
            if not abs(gradient - difference) <= tolerance * scale:
                name = f"input {position}" + (f" ({v.label!r})" if v.label else "")
                raise GradientError(
                    f"check: d f / d {name} at {x!r} is {gradient!r} by backward(), but "
                    f"{difference!r} by central differences; the derivative beside one of f's "
                    "operations is wrong, or f has a kink there"
                )
    finally:
        for v, (data, grad) in before.items():
            v.data, v.grad = data, grad
    return gradients
