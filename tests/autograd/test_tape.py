"""The tape: each step of arithmetic once, as straight-line code that refuses what it cannot trace."""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import Any

import pytest

from hornbook.autograd import MLP, TraceError, Value, compile, squared_error
from hornbook.autograd.tape import MAX_EXPRESSION_LENGTH, Tape

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def test_the_code_is_straight_and_uses_local_variables_only() -> None:
    model = MLP(3, [4, 1], activation="tanh", output="sigmoid", seed=0)
    compiled = compile(lambda xs, ys: squared_error([model(x) for x in xs], ys))
    compiled(XS, YS)
    (trace,) = compiled.traces.values()
    operations = {i.opname for i in dis.get_instructions(trace.run)}
    assert not {
        name for name in operations if "GLOBAL" in name or "JUMP" in name or "DEREF" in name
    }
    assert trace.run.__globals__["__builtins__"] == {}


def source(f: Callable[..., Value], *arguments: Any) -> str:
    compiled = compile(f)
    compiled(*arguments)
    (trace,) = compiled.traces.values()
    return trace.source


def test_common_steps_are_merged_constants_folded_and_dead_gradients_dropped() -> None:
    x = Value(0.3)
    assert source(lambda x: (x * 2).tanh() * (2 * x).tanh(), x).count("tanh(") == 1
    assert "6.0" in source(lambda x: x * (Value(2.0) * 3.0), x)
    assert source(lambda x: 1 * x + 0, x).count("*") == 0
    with_gradient = source(lambda a, b: (a * b).tanh(), x, Value(2.0))
    without = source(lambda a, b: (a * b).tanh(), x, 2.0)  # b is data
    assert without.count("*") < with_gradient.count("*")
    assert "exp" not in source(lambda x: x * Value(1.0) + 0 * Value(1.0).exp(), x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x > 0 else -x,
        lambda x: x if x else -x,
        lambda x: x * (x.data > 0),
        lambda x: x * float(x),
        lambda x: x * int(x.data),
        lambda x: max(x, x + 1),
        lambda x: x if x == 1 else -x,
        lambda x: x * round(x.data),
        lambda x: x if x in [1.0, 2.0] else -x,
        lambda x: x * (x.data % 2),
        lambda x: x * (7 // x.data),
        lambda x: x * {1.0: 2.0}[x.data],
    ],
)
def test_what_depends_on_a_number_is_refused(f: Callable[[Value], Value]) -> None:
    with pytest.raises(TraceError, match=r"compares a number .* one straight line .* use the relu"):
        compile(f)(Value(1.0))
    w = Value(1.0)
    with pytest.raises(TraceError):  # a parameter's number is not known either
        compile(lambda: f(w * 1))()


def test_equal_steps_are_recorded_once_in_either_order() -> None:
    tape = Tape()
    x, y = tape.input(), tape.input()
    assert (x + y).name == (y + x).name
    assert (x * y).name == (x * y).name
    assert (x - y).name != (y - x).name
    assert (x + 0.0).name == (1.0 * x).name == x.name
    assert len(tape.steps) == 6  # two inputs, +, *, and both differences


def test_the_function_of_a_tape_does_its_arithmetic() -> None:
    tape = Tape()
    x, y = tape.input(), tape.input()
    shared = x / y
    run = tape.function(tape.source([x, y], [shared * shared - 2.0, -(y**x), abs(-x)]))
    for a, b in ((3.0, 4.0), (-2.0, 0.7)):
        assert run(a, b) == [(a / b) * (a / b) - 2.0, -(b**a), abs(a)]


def test_an_expression_is_split_before_the_parser_gives_up() -> None:
    tape = Tape()
    x = y = tape.input()
    for _ in range(5000):
        y = y * 0.5 + 1.0
    source = tape.source([x], [y])
    assert max(map(len, source.splitlines())) < 2 * MAX_EXPRESSION_LENGTH
    assert tape.function(source)(7.0) == [2.0]


def test_an_input_that_the_function_does_not_have_is_refused() -> None:
    tape = Tape()
    x, unset = tape.input(), tape.input()
    with pytest.raises(TraceError, match=r"f reads a \.grad"):
        tape.source([x], [x + unset])


def test_one_step_serves_both_orders_of_operands() -> None:
    code = source(lambda a, b: (a * b + b * a) * (a + b) * (b + a), Value(0.3), Value(0.7))
    body = code.split("return")[0]
    assert body.count("v0 * v1") + body.count("v1 * v0") == 1
    assert body.count("v0 + v1") + body.count("v1 + v0") == 1
