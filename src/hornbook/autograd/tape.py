"""The tape of `compile`: every step of arithmetic once, and the Python code that repeats it.

A `Symbol` stands where a float will stand. Its arithmetic is written down instead of done; so
running the engine's own operations and its own `backward()` on Symbols writes down exactly their
arithmetic, in their order. That is why the compiled function gives the same bits: steps are
merged, folded and dropped, but none is rounded differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NoReturn

from hornbook.autograd import functions as fn

CHOICE, SUM, PRODUCT, SIGN, ATOM = range(5)  # how tightly an expression binds
INFIX = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT}
DEEPEST = 50  # nested operations in one expression: Python's own compiler recurses into them

# The code of a step that is neither an infix operator nor a call.
CODE: dict[Any, tuple[str, int]] = {
    "neg": ("-{0}", SIGN),
    "**": ("{0} ** {1}", SIGN),
    "gate": ("{1} if {0} > 0.0 else 0.0", CHOICE),  # step(x) * gradient, for finite gradients
    fn.step: ("1.0 if {0} > 0.0 else 0.0", CHOICE),
    fn.relu: ("0.0 if {0} < 0.0 else {0}", CHOICE),
    fn.divide: ("{0} / {1}", PRODUCT),
}

# What the code may call. The checks of `functions` are left out where Python raises by itself:
# `compile` then asks the plain function, which says what was wrong.
UNCHECKED: dict[Any, Callable[..., float]] = {
    fn.exp: math.exp,
    fn.log: math.log,
    fn.sqrt: math.sqrt,
    fn.absolute: abs,
}
CALLED: dict[Any, Callable[..., float]] = UNCHECKED | {
    f: f
    for f in (
        *(fn.tanh, fn.sin, fn.cos, fn.sigmoid, fn.sign, fn.larger, fn.larger_slope),
        *(fn.sqrt_slope, fn.power, fn.power_slope, fn.power_log),
    )
}


class TraceError(TypeError):
    """What `compile` cannot trace: code that depends on a number not known yet."""


def _infix(write: Callable[[Tape, Any, Any], Any]) -> Callable[[Symbol, Any], Any]:
    """An operator of Symbol that writes itself down."""

    def operator(x: Symbol, y: Any) -> Any:
        return write(x.tape, x, y) if isinstance(y, (Symbol, float, int)) else NotImplemented

    return operator


class Symbol(fn.Symbolic):
    """An unknown number: what step `index` of a tape will give."""

    __slots__ = ("index", "tape")

    def __init__(self, tape: Tape, index: int) -> None:
        """Made by the tape."""
        self.tape, self.index = tape, index

    def call(self, function: Callable[..., float], numbers: Sequence[Any]) -> Any:
        """Write a function call down."""
        return self.tape.record(function, *numbers)

    __add__ = __radd__ = _infix(lambda tape, x, y: tape.add(x, y))
    __mul__ = __rmul__ = _infix(lambda tape, x, y: tape.multiply(x, y))
    __sub__ = _infix(lambda tape, x, y: tape.record("-", x, y))
    __rsub__ = _infix(lambda tape, x, y: tape.record("-", y, x))
    __truediv__ = _infix(lambda tape, x, y: tape.record("/", x, y))
    __rtruediv__ = _infix(lambda tape, x, y: tape.record("/", y, x))
    __pow__ = _infix(lambda tape, x, y: tape.record("**", x, y))
    __rpow__ = _infix(lambda tape, x, y: tape.record("**", y, x))

    def __neg__(self) -> Any:
        return self.tape.record("neg", self)

    def __abs__(self) -> Any:
        return self.tape.record(fn.absolute, self)

    def _refuse(self, *_: Any) -> NoReturn:
        raise TraceError(
            "compile(f): f compares a number or asks for its value (if, while, max(), float(), "
            "an index), but compiled code is one straight line for all numbers; use the relu, "
            "max or abs of a Value, or do it outside of f"
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __bool__ = __float__ = __int__ = __index__ = __round__ = __trunc__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class Tape:
    """Steps of arithmetic, each written once: (operation, operands).

    An operand is the index of an earlier step, or a constant as Python code.
    """

    def __init__(self) -> None:
        """An empty tape."""
        self.steps: list[tuple[Any, tuple[int | str, ...]]] = []
        self._known: dict[tuple[Any, tuple[int | str, ...]], Symbol] = {}

    def input(self) -> Symbol:
        """A number that the compiled function is called with."""
        self.steps.append(("input", ()))
        return Symbol(self, len(self.steps) - 1)

    def record(self, operation: Any, *numbers: Any) -> Symbol:
        """The result of a step, which is new only if no earlier one computes the same."""
        step = (operation, tuple([code(x) for x in numbers]))
        if step not in self._known:
            self._known[step] = Symbol(self, len(self.steps))
            self.steps.append(step)
        return self._known[step]

    def add(self, x: Any, y: Any) -> Any:
        """x + y; a gradient's first term is added to 0."""
        if not isinstance(y, Symbol) and y == 0.0:
            return x
        return self.record("+", *in_order(x, y))

    def multiply(self, x: Any, y: Any) -> Any:
        """x * y; the derivative of a sum is 1."""
        if not isinstance(y, Symbol) and y in (1.0, -1.0):
            return x if y == 1.0 else -x
        for a, b in ((x, y), (y, x)):
            if isinstance(a, Symbol) and self.steps[a.index][0] is fn.step:
                return self.record("gate", Symbol(self, int(self.steps[a.index][1][0])), b)
        return self.record("*", *in_order(x, y))

    def uses(self, outputs: Sequence[Any]) -> dict[int, int]:
        """How often each step that `outputs` need is used; the others are dead."""
        uses: dict[int, int] = {}
        for index in (x.index for x in outputs if isinstance(x, Symbol)):
            uses[index] = uses.get(index, 0) + 1
        for index in range(len(self.steps) - 1, -1, -1):
            if index in uses:
                operation, operands = self.steps[index]
                for operand in operands:
                    if isinstance(operand, int):  # relu names its operand twice
                        uses[operand] = uses.get(operand, 0) + 1 + (operation is fn.relu)
        return uses

    def source(self, inputs: Sequence[Symbol], result: Any, gradients: Sequence[Any]) -> str:
        """Python code: a function from the list of inputs to the result and its gradients.

        A step used once is written into the expression that uses it, one used more often gets a
        local variable.
        """
        uses = self.uses([result, *gradients])
        written: dict[int | str, tuple[str, int]] = {}  # code, and how tightly it binds
        depth: dict[int | str, int] = {}
        lines, number = [], count()
        for index in sorted(uses):
            operation, operands = self.steps[index]
            if operation == "input":
                written[index], depth[index] = (f"v{next(number)}", ATOM), 0
                continue
            written[index] = expression = express(operation, operands, written)
            depth[index] = 1 + max(depth.get(operand, 0) for operand in operands)
            if uses[index] > 1 or depth[index] > DEEPEST:
                written[index], depth[index] = (f"v{next(number)}", ATOM), 0
                lines.append(f"    {written[index][0]} = {expression[0]}")
        names = ", ".join([written.get(x.index, ("_", ATOM))[0] for x in inputs])
        called = {CALLED[f].__name__ for f in {self.steps[i][0] for i in uses} & CALLED.keys()}
        results = [inside(code(x), CHOICE, written) for x in (result, *gradients)]
        return "\n".join(
            [
                f"def compiled({', '.join(['inputs', *(f'{f}={f}' for f in sorted(called))])}):",
                f"    [{names}] = inputs",
                *lines,
                f"    return {results[0]}, ({', '.join(results[1:])}{',' * (len(results) == 2)})",
                "",
            ]
        )


def function_of(source: str) -> Callable[[list[float]], tuple[float, tuple[float, ...]]]:
    """The function of code that a tape wrote: the only code this engine ever executes."""
    names: dict[str, Any] = {f.__name__: f for f in CALLED.values()}
    names |= {"__builtins__": {}, "inf": math.inf, "nan": math.nan}
    exec(source, names)
    compiled: Callable[[list[float]], tuple[float, tuple[float, ...]]] = names["compiled"]
    return compiled


def express(
    operation: Any, operands: Sequence[int | str], written: Mapping[int | str, tuple[str, int]]
) -> tuple[str, int]:
    """The code of one step, and how tightly it binds."""
    if operation in INFIX:  # from the left: only the right operand needs to bind more tightly
        binds = INFIX[operation]
        left, right = inside(operands[0], binds, written), inside(operands[1], binds + 1, written)
        return f"{left} {operation} {right}", binds
    if operation in CODE:
        template, binds = CODE[operation]
        inner = SUM if binds == CHOICE else ATOM
        return template.format(*[inside(x, inner, written) for x in operands]), binds
    arguments = ", ".join([inside(x, CHOICE, written) for x in operands])
    return f"{CALLED[operation].__name__}({arguments})", ATOM


def inside(operand: int | str, binding: int, written: Mapping[int | str, tuple[str, int]]) -> str:
    """An operand's code where `binding` is needed."""
    expression, binds = written.get(operand, (str(operand), ATOM))
    return expression if binds >= binding else f"({expression})"


def code(x: Any) -> int | str:
    """A number as the tape writes it."""
    if isinstance(x, Symbol):
        return x.index
    return f"({float(x)!r})" if x < 0 else repr(float(x))


def in_order(x: Any, y: Any) -> tuple[Any, Any]:
    """The operands of + or *, so that x + y and y + x are one step: constants last."""
    return (x, y) if not isinstance(y, Symbol) or x.index <= y.index else (y, x)
