"""`compile(f)`: a just-in-time compiler for functions of Values, the idea of torch.compile and JAX.

f runs once as it is, then on Symbols instead of floats, and so does its result's `backward()`. The
tape of both becomes one straight-line Python function, which computes the value and all gradients with
local variables only. Nothing is traced again until the arguments change their structure.

Left out on purpose: loops in the generated code, higher derivatives, threads during a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import update_wrapper
from typing import Any

from hornbook.autograd.functions import is_number
from hornbook.autograd.node import graph
from hornbook.autograd.tape import Symbol, Tape, TraceError
from hornbook.autograd.value import Value


class Compiled:
    """A traced function, called as the original is; one `Trace` for each structure it has met."""

    def __init__(self, function: Callable[..., Value]) -> None:
        """Wrap `function`; it is traced when it is first called."""
        self.function = function
        self.traces: dict[Hashable, Trace] = {}
        update_wrapper(self, function, updated=())

    def __call__(self, *arguments: Any) -> Value:
        """What `function(*arguments)` gives, as one operation with its gradients ready."""
        if Trace.running:  # part of another compiled function
            return self.function(*arguments)
        numbers: list[float] = []
        found: dict[Value, int] = {}
        structure = _structure(arguments, numbers, found)
        trace = self.traces.get(structure)
        if trace is None:
            trace = self.traces[structure] = Trace(self.function, arguments, len(numbers), found)
        operands = (*found, *trace.parameters)
        try:
            data, *derivatives = trace.run(*numbers, *[v.data for v in operands])
        except (ValueError, ArithmeticError):  # the plain function knows which number, and its name
            return self.function(*arguments)
        result = Value(data, operands, "compiled")
        result._derivatives = tuple(derivatives)
        return result


def compile(function: Callable[..., Value]) -> Compiled:
    """`function` compiled when it is first called: same result, same gradients, much faster.

    Arguments, without names, are numbers (data, without gradient), Values, and nested lists and
    tuples of them; anything else hashable, a bool or a model for instance, is a constant of the
    trace. Values that `function` finds elsewhere, such as a model's parameters, are read anew at
    each call and get gradients. All else that it finds elsewhere is frozen as it was when traced:
    plain numbers, random choices, which Value a name stands for. `function` runs twice per trace,
    once plainly and once to be written down; it returns one Value and leaves the .data and .grad
    of others alone.

    Raises TraceError when `function` compares or converts a number it is given, or changes a
    Value's .data or .grad, and TypeError for an argument or a result it cannot use.

    >>> w = Value(3.0)
    >>> loss = compile(lambda x: (w * x - 1.0) ** 2)
    >>> result = loss(2.0)
    >>> result.backward()
    >>> result.data, w.grad
    (25.0, 20.0)
    """
    return Compiled(function)


class Trace:
    """The straight-line function for one structure of arguments.

    `run` takes the numbers, the argument Values' data and the parameters' data, and returns the
    result and the derivative for each of those Values; `source` is its code.
    """

    running = False

    def __init__(
        self, function: Callable[..., Value], arguments: Any, numbers: int, found: Iterable[Value]
    ) -> None:
        """Trace `function` on arguments of this structure, with so many numbers and Values."""
        tape = Tape()
        symbols = [tape.input() for _ in range(numbers)]
        stand_in = {v: Value(tape.input()) for v in found}
        own = {v: v.data for v in stand_in.values()}
        unset = tape.input()  # stands for every gradient; nothing may use it
        Trace.running, before = True, []
        try:
            # A Value that two runs both meet was there before them: a parameter, whose number may
            # differ at the next call. What only the second run meets, it made: a constant.
            met = graph(function(*arguments))
            unknown = own | {v: tape.input() for v in met}
            before = [(v, v.data, v.grad, v._left, v._children, v._waits) for v in unknown]
            for v, symbol in unknown.items():  # a leaf of unknown data
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


def _structure(x: Any, numbers: list[float], found: dict[Value, int]) -> Hashable:
    """What a trace depends on: nesting, lengths and kinds. Collects the numbers and Values."""
    if type(x) in (list, tuple):
        return type(x), tuple([_structure(y, numbers, found) for y in x])
    if _is_data(x):
        numbers.append(float(x))
        return "number"
    if isinstance(x, Value):  # one that is given twice is one Value
        return "Value", found.setdefault(x, len(found))
    if x.__hash__ is None:
        raise TypeError(
            f"compile(f): an argument is a {type(x).__name__!r}, expected numbers, Values, "
            "nested lists and tuples of them, or something hashable; try .tolist() or tuple()"
        )
    return "constant", type(x), x


def _replace(x: Any, symbols: Iterator[Symbol], stand_in: Mapping[Value, Value]) -> Any:
    """x with a Symbol for each number, in the order of `_structure`, and its stand-in for a Value."""
    if type(x) in (list, tuple):
        return type(x)([_replace(y, symbols, stand_in) for y in x])
    if _is_data(x):
        return next(symbols)
    return stand_in[x] if isinstance(x, Value) else x


def _is_data(x: Any) -> bool:
    return type(x) is float or (is_number(x) and not isinstance(x, bool))
