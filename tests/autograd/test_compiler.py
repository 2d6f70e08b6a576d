"""compile(f): the same bits as f and its backward(), by straight-line code, or a clear refusal."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings

from hornbook.autograd import (
    MLP,
    TraceError,
    Value,
    compile,
    cross_entropy,
    hinge,
    squared_error,
)
from tests.autograd.programs import Program, programs

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def outcome(f: Callable[..., Value], arguments: list[Any], watched: list[Value]) -> list[float]:
    """The result and the gradients of one call."""
    for v in watched:
        v.grad = 0.0
    result = f(*arguments)
    result.backward()
    return [result.data, *[v.grad for v in watched]]


@settings(max_examples=150, deadline=None)
@given(programs())
@example(Program((0.0,), (("relu", 0, 0), ("abs", 0, 0), ("max", 1, 2), ("square", 3, 3))))
def test_compiled_equals_backward_to_the_last_bit(program: Program) -> None:
    inputs = [Value(x) for x in program.inputs]
    compiled = compile(program)
    expected = outcome(program, inputs, inputs)
    assert outcome(compiled, inputs, inputs) == expected
    for v in inputs:  # and with other numbers, by the same code
        v.data = v.data * 0.75 + 0.1
    try:
        expected = outcome(program, inputs, inputs)
    except OverflowError:
        return
    assert outcome(compiled, inputs, inputs) == expected
    assert len(compiled.traces) == 1


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_a_network_trains_to_the_same_bits(activation: str) -> None:
    def train(loss_of: Callable[..., Value], model: MLP) -> list[float]:
        losses = []
        for k in range(15):
            model.zero_grad()
            loss = loss_of(XS, YS)
            loss.backward()
            for p in model.parameters():
                p.data -= (0.1 - 0.001 * k) * p.grad
            losses.append(loss.data)
        return losses + [p.data for p in model.parameters()]

    results = []
    for wrap in (lambda f: f, compile):
        model = MLP(3, [4, 4, 1], activation=activation, output="tanh", seed=2)

        def loss_of(xs: Any, ys: Any, model: MLP = model) -> Value:
            data_loss = squared_error([model(x) for x in xs], ys)
            return data_loss + 1e-3 * sum(p * p for p in model.parameters())

        results.append(train(wrap(loss_of), model))
    assert results[0] == results[1]


def test_everything_may_be_closed_over() -> None:
    model = MLP(3, [3, 1], activation="tanh", seed=1)
    parameters = model.parameters()

    def loss() -> Value:
        return hinge([model(x) for x in XS], YS)

    compiled = compile(loss)
    for _ in range(3):
        assert outcome(compiled, [], parameters) == outcome(loss, [], parameters)
        for p in parameters:
            p.data -= 0.1 * p.grad


def test_a_model_may_be_an_argument() -> None:
    def loss(model: MLP, x: list[float]) -> Value:
        return cross_entropy(model(x), 1)

    compiled = compile(loss)
    for seed in (1, 2):
        model = MLP(2, [3, 3], seed=seed)
        watched = model.parameters()
        for x in ([0.3, -0.4], [1.0, 2.0]):
            assert outcome(compiled, [model, x], watched) == outcome(loss, [model, x], watched)
    assert len(compiled.traces) == 2


def test_a_new_structure_is_traced_anew_and_an_old_one_is_not() -> None:
    calls = []

    def f(xs: Any, factor: Any = 1.0, flag: bool = True) -> Value:
        calls.append(len(xs))
        w = Value(0.0) + factor
        return sum((w * x for x in xs), Value(0.0)) if flag else w * 2

    compiled = compile(f)
    arguments: list[tuple[Any, ...]] = [
        ([1.0, 2.0],),
        ((1.0, 2.0),),
        ([1.0, 2.0, 3.0],),
        ([Value(1.0), 2.0],),
        ([2.0, Value(1.0)],),
        ([1.0, 2.0], 3.0),
        ([1.0, 2.0], Value(3.0)),
        ([1.0, 2.0], 3.0, False),
        ([[]], 3.0, False),
    ]
    for count, xs in enumerate(arguments, start=1):
        for _ in range(2):
            assert compiled(*xs).data == f(*xs).data
            assert len(compiled.traces) == count
    traced = len(calls)
    compiled([5.0, 6.5])
    assert len(calls) == traced
    assert compiled([5, 6.5]).data == 11.5  # whole numbers are numbers


def test_one_value_given_twice_is_one_value() -> None:
    compiled = compile(lambda x, y: x * y + x)
    a, b = Value(3.0), Value(5.0)
    assert outcome(compiled, [a, a], [a]) == [12.0, 7.0]
    assert outcome(compiled, [a, b], [a, b]) == [18.0, 6.0, 3.0]
    assert outcome(compiled, [a, a], [a]) == [12.0, 7.0]


def test_the_result_is_one_operation_of_a_larger_graph() -> None:
    x, w = Value(0.5), Value(2.0)
    compiled = compile(lambda h: (h * w).tanh())
    for f in (compiled, compiled.function):
        x.grad = w.grad = 0.0
        hidden = x.exp()
        out = f(hidden) * f(hidden + 1) + hidden
        out.backward()
        out.backward()
        if f is compiled:
            found = out.data, x.grad, w.grad, hidden.grad
    assert found == pytest.approx((out.data, x.grad, w.grad, hidden.grad), rel=1e-15)
    assert {v._op for v in out._prev} == {"*", "exp"}


def test_a_value_computed_outside_passes_its_gradient_on() -> None:
    w = Value(0.5)
    scale = w.exp()
    compiled = compile(lambda x: scale * x)
    assert outcome(compiled, [3.0], [w, scale]) == outcome(lambda x: scale * x, [3.0], [w, scale])


def test_tracing_leaves_values_as_they_were() -> None:
    w, x = Value(2.0, label="w"), Value(3.0)
    w.grad = x.grad = 7.0
    kept = w * 3
    compiled = compile(lambda x: kept * x)
    compiled(x)
    assert (w.data, w.grad, x.data, x.grad, kept.data) == (2.0, 7.0, 3.0, 7.0, 6.0)
    assert kept._prev == {w} | kept._prev
    with pytest.raises(TraceError):
        compile(lambda x: kept if x > 1 else w)(x)
    assert (w.data, w.grad, w._waits, kept.data, len(kept._prev)) == (2.0, 7.0, None, 6.0, 2)


def test_other_things_that_cannot_be_compiled_are_named() -> None:
    with pytest.raises(TypeError, match=r"ends in one Value, not in a 'list': .* return one"):
        compile(lambda x: [x])(Value(1.0))
    with pytest.raises(TypeError, match="an argument is a 'dict', expected numbers, Values"):
        compile(lambda x: x)({"a": 1.0})
    w = Value(1.0)

    def changes_data() -> Value:
        loss = w * 2
        w.data = w.data - 0.1
        return loss

    with pytest.raises(TraceError, match=r"f changes \.data or \.grad; do that outside of f"):
        compile(changes_data)()
    with pytest.raises(TraceError, match="an index"):
        compile(lambda n: Value(1.0) * [1, 2][n])(1)


def test_a_failure_names_the_node_as_the_plain_function_does() -> None:
    x, y = Value(2.0, label="x"), Value(1.0, label="y")
    compiled = compile(lambda x, y: (x - 1.0).log() / y)
    assert compiled(x, y).data == 0.0
    y.data = 0.0
    with pytest.raises(ZeroDivisionError, match="label 'y'"):
        compiled(x, y)
    x.data = 0.5
    with pytest.raises(ValueError, match=r"log of -0.5 \(no label, from '-'\)"):
        compiled(x, y)


def test_deep_and_wide_functions_compile() -> None:
    def deep(x: Value) -> Value:
        for _ in range(3000):
            x = x * 0.999 + 0.001
        return x

    def wide(xs: list[Value]) -> Value:
        return sum((x * x for x in xs), Value(0.0))

    x, xs = Value(0.5), [Value(random.Random(k).random()) for k in range(3000)]
    assert outcome(compile(deep), [x], [x]) == outcome(deep, [x], [x])
    assert outcome(compile(wide), [xs], xs) == outcome(wide, [xs], xs)


def test_constants_and_bare_inputs_are_functions_too() -> None:
    x = Value(4.0)
    assert outcome(compile(lambda x: x), [x], [x]) == [4.0, 1.0]
    assert outcome(compile(lambda x: Value(2.0)), [x], [x]) == [2.0, 0.0]
    assert outcome(compile(lambda x: Value(float("inf")) * x), [x], [x]) == [float("inf")] * 2
    assert outcome(compile(lambda n: x**n), [3], [x]) == [64.0, 48.0]
    assert outcome(compile(lambda n: x.data * Value(n)), [3], [x]) == [12.0, 0.0]


def test_a_compiled_function_may_call_another() -> None:
    w = Value(0.5)
    inner = compile(lambda x: (w * x).tanh())
    inner(1.0)
    x = Value(2.0)
    outer = compile(lambda x, k: inner(x) * inner(k) + w)
    plain = outcome(lambda x, k: (w * x).tanh() * (w * k).tanh() + w, [x, 3.0], [x, w])
    assert outcome(outer, [x, 3.0], [x, w]) == plain
    assert outcome(inner, [3.0], [w]) == outcome(inner.function, [3.0], [w])


def test_plain_arithmetic_on_data_gives_the_same_bits() -> None:
    def f(x: Value, k: float) -> Value:
        scale = -(x.data**2) + 2.0 / (k - 0.3) - 1.1**k + abs(-k) ** 1.5
        return x * scale + Value(scale * 1.0) / k

    for number in (0.1, 0.7, 1.3, 2.9):
        x = Value(number)
        assert outcome(compile(f), [x, number + 0.5], [x]) == outcome(f, [x, number + 0.5], [x])


def test_a_compiled_function_keeps_its_name() -> None:
    def my_loss(x: Value) -> Value:
        """Its words."""
        return x

    assert (compile(my_loss).__name__, compile(my_loss).__doc__) == ("my_loss", "Its words.")


@pytest.mark.parametrize("f", [lambda x: x * x, lambda x: (x**2) * 0.0, lambda x: x * 1e9 * 1e9])
def test_an_overflow_is_the_error_of_the_original(f: Callable[[Value], Value]) -> None:
    compiled, x = compile(f), Value(2.0)
    compiled(x).backward()
    x.data = 1e300
    errors = []
    for function in (f, compiled):
        with pytest.raises(OverflowError, match="too large for a float") as error:
            function(x).backward()
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_a_gradient_of_nan_or_infinity_stays_one() -> None:
    def f(x: Value, y: Value) -> Value:
        return x.relu() * (y * y)

    watched = [Value(-1.0), Value(float("inf"))]  # put there by the program itself
    plain = outcome(f, watched, watched)
    assert any(math.isnan(g) for g in plain)
    assert list(map(repr, outcome(compile(f), watched, watched))) == list(map(repr, plain))


def test_what_changes_gradients_is_refused_and_leaves_plain_numbers() -> None:
    model = MLP(2, [2, 1], seed=0)
    x = Value(2.0)

    def learns(x: Value) -> Value:
        loss: Value = (model([x, 2.0]) - 1.0) ** 2
        loss.backward()
        return loss

    def forgets(x: Value) -> Value:
        model.zero_grad()
        return model([x, x]) * 1.0

    def clears(x: Value) -> Value:
        x.grad = 0.0
        return x * 2

    kept: list[Value] = []

    def keeps(x: Value) -> Value:
        kept.append(x * 2.0)
        return kept[-1] * kept[0].data

    for f in (keeps, lambda x: x * x.grad):
        with pytest.raises(TraceError, match=r"f reads a .grad, or the data of a Value"):
            compile(f)(x)
    for f in (learns, forgets, clears):
        with pytest.raises(TraceError, match=r"f changes .data or .grad"):
            compile(f)(x)
    for p in [*model.parameters(), x]:
        assert (type(p.data), type(p.grad), p._waits) == (float, float, None)


def test_an_argument_and_the_same_value_from_outside_are_distinguished() -> None:
    w, u = Value(3.0), Value(5.0)
    compiled = compile(lambda x: x * w)
    assert outcome(compiled, [w], [w]) == [9.0, 6.0]
    assert outcome(compiled, [u], [u, w]) == [15.0, 3.0, 5.0]
    assert len(compiled.traces) == 1


def test_minus_is_nested_and_kept_with_its_constant() -> None:
    def negate(x: Value) -> Value:
        for _ in range(1001):
            x = -x
        return x

    x = Value(2.0)
    assert outcome(compile(negate), [x], [x]) == [-2.0, -1.0]
    power = compile(lambda k: Value(1.0) * (-1.5) ** k)
    assert power(2).data == 2.25
    assert math.copysign(1.0, compile(lambda k: (-0.0) ** k * Value(1.0))(2.0).data) == 1.0
