"""`check(f, *inputs)`: compares gradients with central differences, as torch's `gradcheck`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbook.autograd.node import graph
from hornbook.autograd.value import Value


class GradientError(ValueError):
    """A gradient that central differences contradict."""


def check(
    f: Callable[..., Value],
    *inputs: Any,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> list[float]:
    """Compares d f / d input with (f(x + h) - f(x - h)) / 2h for every input; returns the gradients.

    Args:
        inputs: numbers or Values, for instance a model's parameters: `check(loss,
            *model.parameters())`. All Values keep their data and grad.
        step: h is `step * max(1, |x|)`; the error of the difference is of order h^2.
        tolerance: relative to the larger of the two numbers, or absolute where both are below 1.

    Raises GradientError that names the input and both numbers. At a kink (relu or abs at 0, equal
    arguments of max) f has no derivative, so check it at another input.

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
