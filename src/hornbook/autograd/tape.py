"""The tape of `compile`: every step of arithmetic once, written as Python code.

A `Symbol` stands where a float will stand. Its arithmetic is written down instead of done; so
running the engine's own operations and its own `backward()` on Symbols writes down exactly their
arithmetic, in their order. That is why the compiled function gives the same bits: steps are
merged, folded and dropped, but none is rounded differently.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hornbook.autograd import functions as fn

NAME = re.compile(r"\b[a-z]\w*")  # of a step or a function, in the code of a step
LONGEST = 300  # characters of one expression: Python's parser allows about 100 nested brackets

# A call costs more than the step itself: these are written out, all other functions are called.
WRITTEN_OUT: dict[Callable[..., float], str] = {
    fn.divide: "{} / {}",
    fn.relu: "0.0 if {0} < 0.0 else {0}",
    fn.step: "1.0 if {0} > 0.0 else 0.0",
}


class TraceError(TypeError):
    """What `compile` cannot trace: code that depends on a number not known yet."""


def _operator(template: str, neutral: str = "") -> Callable[[Symbol, Any], Any]:
    """An operator of Symbol that writes itself down; + and * have a neutral second operand."""

    def operator(x: Symbol, y: Any) -> Any:
        if not isinstance(y, (Symbol, float, int)):
            return NotImplemented
        operands = [_code(x), _code(y)]
        if operands[1] == neutral:
            return x
        if neutral:  # in either order: x + y and y + x are one step
            operands.sort()
        return x.tape.record(template.format(*operands))

    return operator


class Symbol(fn.Symbolic):
    """An unknown number: what a step of the tape will give."""

    __slots__ = ("name", "tape")

    def __init__(self, tape: Tape, name: str) -> None:
        """Made by the tape."""
        self.tape, self.name = tape, name

    def call(self, function: Callable[..., float], numbers: Sequence[Any]) -> Any:
        """Write a function call down."""
        name, operands = function.__name__, [_code(x) for x in numbers]
        if function in WRITTEN_OUT:
            return self.tape.record(WRITTEN_OUT[function].format(*operands))
        self.tape.known[name] = function
        return self.tape.record(f"{name}({', '.join(operands)})")

    __add__ = __radd__ = _operator("{} + {}", neutral="0.0")
    __mul__ = __rmul__ = _operator("{} * {}", neutral="1.0")
    __sub__, __rsub__ = _operator("{} - {}"), _operator("{1} - {0}")
    __truediv__, __rtruediv__ = _operator("{} / {}"), _operator("{1} / {0}")
    __pow__, __rpow__ = _operator("{} ** {}"), _operator("{1} ** {0}")

    def __neg__(self) -> Any:
        return self.tape.record(f"-{self.name}")

    def __abs__(self) -> Any:
        return self.call(fn.absolute, [self])

    def _refuse(self, *_: Any) -> NoReturn:
        raise TraceError(
            "compile(f): f compares a number or asks for its value (if, while, max(), float(), "
            "an index), but compiled code is one straight line for all numbers; use the relu, "
            "max or abs of a Value, or do it outside of f"
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __bool__ = __float__ = __int__ = __index__ = __round__ = __trunc__ = _refuse
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _refuse


class Tape:
    """Steps of arithmetic: the code of each, and the name of what it gives, as {"t0 * t1": "t2"}.

    A name never changes its meaning; so equal code is the same step, and is written once.
    """

    def __init__(self) -> None:
        """An empty tape."""
        self.steps: dict[str, str] = {}
        self.known: dict[str, Any] = {"inf": math.inf, "nan": math.nan}  # what the code may name

    def input(self) -> Symbol:
        """A number that the compiled function is called with: a step that gives itself."""
        return self.record(f"t{len(self.steps)}")

    def record(self, code: str) -> Symbol:
        """The result of a step, which is new only if no earlier one has the same code."""
        return Symbol(self, self.steps.setdefault(code, f"t{len(self.steps)}"))

    def source(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
        """Python code: a function of the inputs that returns the list of outputs.

        A step used once is written into the expression that uses it: half the bytecode, and its
        result is freed at once. One used more often gets a local variable.
        """
        results = ", ".join([_code(x) for x in outputs])
        uses = Counter(NAME.findall(results))
        for code, name in reversed(self.steps.items()):
            if name in uses:  # what nothing needs is dropped
                uses.update(NAME.findall(code))

        variables = [f"v{i}" for i in range(len(inputs))]
        written = dict(zip([x.name for x in inputs], variables, strict=True))

        def write(code: str) -> str:
            return NAME.sub(lambda name: written.get(name[0], name[0]), code)

        lines: list[str] = []
        for code, name in self.steps.items():
            if name not in uses or name in written:
                continue
            if code == name:  # an input that is none of `inputs`
                raise TraceError(
                    "compile(f): f reads a .grad, or the data of a Value that an earlier run of f "
                    "left behind; do that outside of f"
                )
            expression = write(code)
            if uses[name] == 1 and len(expression) < LONGEST:
                written[name] = f"({expression})"
            else:
                written[name] = f"v{len(inputs) + len(lines)}"
                lines.append(f"    {written[name]} = {expression}")
        called = [f"{name}={name}" for name in self.known if name in uses]
        head = f"def compiled({', '.join(variables + called)}):"
        return "\n".join([head, *lines, f"    return [{write(results)}]", ""])

    def function(self, source: str) -> Any:
        """The function of `source`: the only code this engine ever executes."""
        names = {"__builtins__": {}, **self.known}
        exec(source, names)
        return names["compiled"]


def _code(x: Any) -> str:
    """A number as the tape writes it."""
    code = x.name if isinstance(x, Symbol) else repr(float(x))
    return f"({code})" if code.startswith("-") else code
