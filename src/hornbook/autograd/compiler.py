"""`compile(f)`: a just-in-time compiler for functions of Values, the idea of torch.compile and JAX.

f runs once normally and once with Symbols in place of floats, followed by `backward()` of its result.
The tape that this records becomes one straight-line Python function, which computes the value and
all gradients with local variables only. f is traced again only for arguments of another structure.

Not supported: loops in the generated code, higher derivatives, threads during a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import update_wrapper
from math import isfinite
from typing import Any

from hornbook.autograd.functions import is_number
from hornbook.autograd.node import graph
from hornbook.autograd.tape import Symbol, Tape, TraceError
from hornbook.autograd.value import Value


class Compiled:
    """A compiled function, called like the original. It has one `Trace` for each argument structure."""

    def __init__(self, function: Callable[..., Value]) -> None:
        """Wraps `function`, which is traced at the first call."""
        self.function = function
        self.traces: dict[Hashable, Trace] = {}
        update_wrapper(self, function, updated=())

    def __call__(self, *arguments: Any) -> Value:
        """The result of `function(*arguments)`, as one operation whose derivatives are known."""
        if Trace.running:  # called inside another compiled function
            return self.function(*arguments)
        numbers: list[float] = []
        values: dict[Value, int] = {}
        structure = _structure(arguments, numbers, values)
        trace = self.traces.get(structure)
        if trace is None:
            trace = self.traces[structure] = Trace(self.function, arguments, len(numbers), values)
        operands = (*values, *trace.parameters)
        try:
            data, *derivatives = trace.run(*numbers, *[v.data for v in operands])
        except (ValueError, ArithmeticError):  # the original names the operand
            return self.function(*arguments)
        if not isfinite(sum(derivatives, data)):  # so it does here
            return self.function(*arguments)
        result = Value(data, operands, "compiled")
        result._derivatives = tuple(derivatives)
        return result


def compile(function: Callable[..., Value]) -> Compiled:
    """Compiles `function` at its first call: same result and gradients, much faster.

    Arguments are positional: numbers (data, without a gradient), Values, and nested lists and tuples
    of them. Any other hashable argument, such as a bool or a model, is a constant of the trace.
    Values from outside, such as a model's parameters, are read at each call and get gradients.
    Everything else from outside keeps the state it had during the trace: plain numbers, random
    choices, and which Value a name refers to. `function` runs twice per trace. It returns one Value,
    and must not change the .data or .grad of others.

    Raises TraceError when `function` compares or converts a number that it is given, or changes a
    Value's .data or .grad, and TypeError for an argument or a result that it cannot use.

    >>> w = Value(3.0)
    >>> loss = compile(lambda x: (w * x - 1.0) ** 2)
    >>> result = loss(2.0)
    >>> result.backward()
    >>> result.data, w.grad
    (25.0, 20.0)
    """
    return Compiled(function)


class Trace:
    """The straight-line function for one argument structure.

    Attributes:
        run: takes the numbers, the data of the argument Values and the data of the parameters, and
            returns the result and its derivative with respect to each of those Values.
        source: the code of `run`.
        parameters: the Values from outside that the result depends on.
    """

    running = False

    def __init__(
        self,
        function: Callable[..., Value],
        arguments: Any,
        n_numbers: int,
        values: Iterable[Value],
    ) -> None:
        """Traces `function` on these arguments, which hold `n_numbers` numbers and `values`."""
        tape = Tape()
        symbols = [tape.input() for _ in range(n_numbers)]
        stand_in = {v: Value(tape.input()) for v in values}
        own = {v: v.data for v in stand_in.values()}
        unset = tape.input()  # in place of every gradient; nothing may use it
        Trace.running, before = True, []
        try:
            # A Value in the graphs of both runs existed before them: a parameter, whose data may
            # differ at the next call. A Value in the second graph alone is a constant of the trace.
            first_run = graph(function(*arguments))
            unknown = own | {v: tape.input() for v in first_run}
            before = [(v, v.data, v.grad, v._left, v._children, v._waits) for v in unknown]
            for v, symbol in unknown.items():  # becomes a leaf of unknown data
                v.data, v.grad, v._left, v._children, v._waits = symbol, unset, None, (), None
            root = function(*_replace(arguments, iter(symbols), stand_in))
            for v, symbol in unknown.items():
                if v.data is not symbol or v.grad is not unset:
                    raise TraceError("compile(f): f changes .data or .grad; do that outside of f")
                v.grad = 0.0
            self.parameters = tuple([v for v in graph(root) if v in unknown and v not in own])
            root.backward()
            leaves = [*own, *self.parameters]
            inputs = [*symbols, *[unknown[v] for v in leaves]]
            self.source = tape.source(inputs, [root.data, *[v.grad for v in leaves]])
        finally:
            Trace.running = False
            for v, data, grad, left, children, waits in before:
                v.data, v.grad, v._left, v._children, v._waits = data, grad, left, children, waits
        self.run = tape.function(self.source)


def _structure(x: Any, numbers: list[float], values: dict[Value, int]) -> Hashable:
    """What a trace depends on: nesting, lengths and kinds. Collects the numbers and Values in x."""
    if type(x) in (list, tuple):
        return type(x), tuple([_structure(y, numbers, values) for y in x])
    if _is_data(x):
        numbers.append(float(x))
        return "number"
    if isinstance(x, Value):  # the same Value twice is one input
        return "Value", values.setdefault(x, len(values))
    if x.__hash__ is None:
        raise TypeError(
            f"compile(f): an argument is a {type(x).__name__!r}, expected numbers, Values, "
            "nested lists and tuples of them, or something hashable; try .tolist() or tuple()"
        )
    return "constant", type(x), x


def _replace(x: Any, symbols: Iterator[Symbol], stand_in: Mapping[Value, Value]) -> Any:
    """x with a Symbol for each number, in the order of `_structure`, and a stand-in for each Value."""
    if type(x) in (list, tuple):
        return type(x)([_replace(y, symbols, stand_in) for y in x])
    if _is_data(x):
        return next(symbols)
    return stand_in[x] if isinstance(x, Value) else x


def _is_data(x: Any) -> bool:
    return type(x) is float or (is_number(x) and not isinstance(x, bool))
