"""The tape of `compile`: each step of arithmetic once, as Python code.

A `Symbol` takes the place of a float and records its arithmetic instead of doing it. The engine's own
operations and `backward()`, run on Symbols, thus record exactly their arithmetic in their order.
Steps are merged, folded and dropped, but none is rounded differently, so that the compiled function
returns the same bits.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hornbook.autograd import functions as fn

NAME = re.compile(r"\b[a-z]\w*")  # a name of a step or function in code
MAX_EXPRESSION_LENGTH = 300  # characters; Python's parser allows about 100 nested brackets

# A call costs more than these steps themselves, so they are inlined; other functions are called.
INLINED: dict[Callable[..., float], str] = {
    fn.divide: "{} / {}",
    fn.relu: "0.0 if {0} < 0.0 else {0}",
    fn.step: "1.0 if {0} > 0.0 else 0.0",
}


class TraceError(TypeError):
    """`compile` cannot trace a function, for instance because it branches on a number."""


def _operator(template: str, neutral: str = "") -> Callable[[Symbol, Any], Any]:
    """An operator of Symbol that is recorded; + and * have a neutral second operand."""

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
    """An unknown number: the result of a step on the tape."""

    __slots__ = ("name", "tape")

    def __init__(self, tape: Tape, name: str) -> None:
        """Only the tape makes Symbols."""
        self.tape, self.name = tape, name

    def call(self, function: Callable[..., float], numbers: Sequence[Any]) -> Any:
        """Records a function call."""
        name, operands = function.__name__, [_code(x) for x in numbers]
        if function in INLINED:
            return self.tape.record(INLINED[function].format(*operands))
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
            "compile(f): f compares a number or converts it (if, while, max(), float(), an "
            "index), but compiled code is one straight line for all numbers; use the relu, max or "
            "abs of a Value, or do it outside of f"
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __bool__ = __float__ = __int__ = __index__ = __round__ = __trunc__ = _refuse
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _refuse


class Tape:
    """Steps of arithmetic, from the code of each to the name of its result: {"t0 * t1": "t2"}.

    A name keeps its value, so equal code is the same step and is recorded once.
    """

    def __init__(self) -> None:
        """Makes an empty tape."""
        self.steps: dict[str, str] = {}
        self.known: dict[str, Any] = {
            "inf": math.inf,
            "nan": math.nan,
        }  # names that the code may use

    def input(self) -> Symbol:
        """An input of the compiled function: a step whose code is its own name."""
        return self.record(f"t{len(self.steps)}")

    def record(self, code: str) -> Symbol:
        """The result of a step; of the earlier one where its code is already recorded."""
        return Symbol(self, self.steps.setdefault(code, f"t{len(self.steps)}"))

    def source(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
        """Python code of a function from the inputs to the list of outputs.

        A step that is used once is inlined in the expression that uses it, which halves the bytecode
        and frees its result at once. A step that is used more often gets a local variable.
        """
        results = ", ".join([_code(x) for x in outputs])
        uses = Counter(NAME.findall(results))
        for code, name in reversed(self.steps.items()):
            if name in uses:  # dead code is dropped
                uses.update(NAME.findall(code))

        variables = [f"v{i}" for i in range(len(inputs))]
        written = dict(zip([x.name for x in inputs], variables, strict=True))

        def write(code: str) -> str:
            return NAME.sub(lambda name: written.get(name[0], name[0]), code)

        lines: list[str] = []
        for code, name in self.steps.items():
            if name not in uses or name in written:
                continue
            if code == name:  # an input that is not in `inputs`
                raise TraceError(
                    "compile(f): f reads a .grad, or the data of a Value that an earlier run of f "
                    "made; do that outside of f"
                )
            expression = write(code)
            if uses[name] == 1 and len(expression) < MAX_EXPRESSION_LENGTH:
                written[name] = f"({expression})"
            else:
                written[name] = f"v{len(inputs) + len(lines)}"
                lines.append(f"    {written[name]} = {expression}")
        called = [f"{name}={name}" for name in self.known if name in uses]
        head = f"def compiled({', '.join(variables + called)}):"
        return "\n".join([head, *lines, f"    return [{write(results)}]", ""])

    def function(self, source: str) -> Any:
        """The function that `source` defines: the only code that this engine executes."""
        names = {"__builtins__": {}, **self.known}
        exec(source, names)
        return names["compiled"]


def _code(x: Any) -> str:
    """The code of a number."""
    code = x.name if isinstance(x, Symbol) else repr(float(x))
    return f"({code})" if code.startswith("-") else code
