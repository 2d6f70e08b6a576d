"""Random programs over all operations, that run on Values, on torch tensors and compiled alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st

from hornbook.autograd import Value

# Each takes two operands; those with a domain get operands inside of it.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y * y + 0.5),
    "negate": lambda x, y: -x,
    "reflected add": lambda x, y: 2 + x,
    "reflected subtract": lambda x, y: 1.5 - x,
    "reflected multiply": lambda x, y: 3 * x,
    "reflected divide": lambda x, y: 2.0 / (x * x + 0.5),
    "reflected power": lambda x, y: 1.7**x,
    "square": lambda x, y: x**2,
    "cube": lambda x, y: x**3,
    "power": lambda x, y: (x * x + 0.5) ** -1.3,
    "value power": lambda x, y: (x * x + 0.5) ** y,
    "tanh": lambda x, y: x.tanh(),
    "exp": lambda x, y: x.exp(),
    "relu": lambda x, y: x.relu(),
    "log": lambda x, y: (x * x + 0.5).log(),
    "sigmoid": lambda x, y: x.sigmoid(),
    "sqrt": lambda x, y: (x * x + 0.5).sqrt(),
    "sin": lambda x, y: x.sin(),
    "cos": lambda x, y: x.cos(),
    "max": lambda x, y: x.max(y) if isinstance(x, Value) else torch.maximum(x, y),
    "abs": lambda x, y: abs(x),
}


@dataclass(frozen=True)
class Program:
    """Steps over a growing list of numbers, which starts as the inputs; the last is the result."""

    inputs: tuple[float, ...]
    steps: tuple[tuple[str, int, int], ...]

    def __call__(self, *inputs: Any) -> Any:
        return self.all_values(inputs)[-1]

    def all_values(self, inputs: Sequence[Any]) -> list[Any]:
        values = list(inputs)
        for name, i, j in self.steps:
            values.append(OPERATIONS[name](values[i], values[j]))
        return values


@st.composite
def programs(draw: Callable[..., Any]) -> Program:
    """Programs whose operands all stay below 20: of a larger number they use the tanh."""
    inputs = draw(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=4))
    values = [Value(x) for x in inputs]
    steps: list[tuple[str, int, int]] = []
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(sorted(OPERATIONS)))
        small = [k for k, v in enumerate(values) if abs(v.data) < 20]
        i, j = draw(st.sampled_from(small)), draw(st.sampled_from(small[-3:]))
        for step in ((name, i, j), ("tanh", len(values), 0)):
            steps.append(step)
            values.append(OPERATIONS[step[0]](values[step[1]], values[step[2]]))
            if abs(values[-1].data) < 20:
                break
    return Program(tuple(inputs), tuple(steps))
