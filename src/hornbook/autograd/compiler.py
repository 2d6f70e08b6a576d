"""`compile(f)`: a just-in-time compiler for functions of Values, the idea of torch.compile and JAX.

f runs once more on Symbols instead of floats, and so does its result's `backward()`. The tape of
both becomes one straight-line Python function, which computes the value and all gradients with
local variables only. Nothing is traced again until the arguments change their structure.

Left out on purpose: loops in the generated code, higher derivatives, threads during a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import update_wrapper
from typing import Any

from hornbook.autograd.functions import is_number
from hornbook.autograd.node import graph
from hornbook.autograd.tape import Symbol, Tape, TraceError, function_of
from hornbook.autograd.value import Value

Found = dict[int, tuple[int, Value]]  # argument Values by id, each once, with its position


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
        found: Found = {}
        structure = _structure(arguments, numbers, found)
        values = [v for _, v in found.values()]
        trace = self.traces.get(structure)
        if trace is None:
            trace = self.traces[structure] = Trace(self.function, arguments, len(numbers), found)
        inputs = [*numbers, *[v.data for v in values], *[v.data for v in trace.parameters]]
        try:
            data, derivatives = trace.run(inputs)
        except (ValueError, ArithmeticError):  # the plain function knows which number, and its name
            return self.function(*arguments)
        result = Value(data, (*values, *trace.parameters), "compiled")
        result._derivatives = derivatives
        return result


def compile(function: Callable[..., Value]) -> Compiled:
    """`function` compiled when it is first called: same result, same gradients, much faster.

    Arguments are numbers (data, without gradient), Values, and nested lists and tuples of them;
    anything else hashable, a bool or a model for instance, is a constant of the trace. Values
    that `function` finds elsewhere, such as a model's parameters, are read anew at each call and
    get gradients. All else that it finds elsewhere is frozen as it was when traced: plain numbers,
    random choices, which Value a name stands for. `function` runs twice per trace and returns one
    Value.

    Raises TraceError when `function` compares or converts a number it is given, and TypeError for
    an argument or a result it cannot use.

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

    `run` takes numbers, argument Values' data and parameters' data in one list, and returns the
    result and the derivative for each of those Values; `source` is its code.
    """

    running = False

    def __init__(
        self, function: Callable[..., Value], arguments: tuple[Any, ...], numbers: int, found: Found
    ) -> None:
        """Trace `function` on arguments of this structure, with so many numbers and Values."""
        Trace.running, tape = True, Tape()
        symbols = [tape.input() for _ in range(numbers)]
        values = {key: Value(tape.input(), label=v.label) for key, (_, v) in found.items()}
        before = []
        try:
            # A Value that two runs both meet was there before them: a parameter, whose number may
            # differ at the next call. What only the second run meets, it made: a constant.
            own = set(values.values())
            met = graph(_run(function, arguments, symbols, values))
            stand_in = {v: tape.input() for v in met if v not in own}
            before = [(v, v.data, v.grad, v._left, v._children, v._waits) for v in stand_in]
            for v, symbol in stand_in.items():  # a leaf of unknown data
                v.data, v.grad, v._left, v._children, v._waits = symbol, 0.0, None, (), None
            root = _run(function, arguments, symbols, values)
            self.parameters = tuple(v for v in graph(root) if v in stand_in)
            if any(v.data is not stand_in[v] for v in self.parameters):
                raise TraceError("compile(f): f assigns to .data; do that outside of f")
            root.backward()
            result, wanted = root.data, [*values.values(), *self.parameters]
            inputs = [*symbols, *[v.data for v in wanted]]
            self.source = tape.source(inputs, result, [v.grad for v in wanted])
        finally:
            Trace.running = False
            for v, data, grad, left, children, waits in before:
                v.data, v.grad, v._left, v._children, v._waits = data, grad, left, children, waits
        self.run = function_of(self.source)


def _run(
    function: Callable[..., Value],
    arguments: tuple[Any, ...],
    symbols: list[Symbol],
    values: dict[int, Value],
) -> Value:
    """One run on Symbols in the place of numbers, in `_structure`'s order."""
    unused = iter(symbols)

    def replace(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)([replace(y) for y in x])
        if isinstance(x, Value):
            return values[id(x)]
        return x if _is_constant(x) else next(unused)

    result = function(*[replace(x) for x in arguments])
    if not isinstance(result, Value):
        raise TypeError(
            f"compile(f): f returned a {type(result).__name__!r}, expected one Value; "
            "compute anything else outside of f"
        )
    return result


def _structure(x: Any, numbers: list[float], found: Found) -> Hashable:
    """What a trace depends on: nesting, lengths and kinds. Collects the numbers and Values."""
    if isinstance(x, (list, tuple)):
        if set(map(type, x)) == {float}:
            numbers += x
            return type(x), len(x)
        return type(x), tuple([_structure(y, numbers, found) for y in x])
    if isinstance(x, Value):
        return "Value", found.setdefault(id(x), (len(found), x))[0]
    if not _is_constant(x):
        numbers.append(float(x))
        return "number"
    if x.__hash__ is None:
        raise TypeError(
            f"compile(f): an argument is a {type(x).__name__!r}, expected numbers, Values, "
            "nested lists and tuples of them, or something hashable; try .tolist() or tuple()"
        )
    return "constant", type(x), x


def _is_constant(x: Any) -> bool:
    return isinstance(x, bool) or not is_number(x)
