"""Value: its numbers and gradients are torch's, its graphs can be long, and are freed."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import hornbook.autograd.value
from hornbook.autograd import Value, check
from tests.autograd.programs import OPERATIONS, Program, programs


def torch_gradients(program: Program, backwards: int = 1) -> tuple[list[float], list[float]]:
    inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in program.inputs]
    values = program.all_values(inputs)
    for v in values:
        if v.requires_grad:
            v.retain_grad()
    for _ in range(backwards):
        values[-1].backward(retain_graph=True)
    gradients = [0.0 if v.grad is None else v.grad.item() for v in values]
    return [v.item() for v in values], gradients


def assert_close(found: list[float], expected: list[float]) -> None:
    scale = max(1.0, *map(abs, expected))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


@settings(max_examples=150, deadline=None)
@given(programs())
def test_forward_and_backward_equal_torch(program: Program) -> None:
    values = program.all_values([Value(x) for x in program.inputs])
    values[-1].backward()
    data, gradients = torch_gradients(program)
    assert_close([v.data for v in values], data)
    assert_close([v.grad for v in values], gradients)


@settings(max_examples=100, deadline=None)
@given(programs())
def test_repeated_backward_accumulates_as_torch_does(program: Program) -> None:
    values = program.all_values([Value(x) for x in program.inputs])
    for _ in range(3):
        values[-1].backward()
    assert_close([v.grad for v in values], torch_gradients(program, backwards=3)[1])


@settings(max_examples=100, deadline=None)
@given(programs())
def test_gradients_equal_differences(program: Program) -> None:
    smooth = [s for s in program.steps if s[0] not in ("relu", "max", "abs")]
    if len(smooth) == len(program.steps):
        check(program, *program.inputs, tolerance=1e-4)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_operation_equals_torch_and_differences(name: str) -> None:
    program = Program((0.7, -1.3), ((name, 0, 1),))
    x, y = Value(0.7), Value(-1.3)
    out = program(x, y)
    out.backward()
    data, gradients = torch_gradients(program)
    assert [x.data, y.data, out.data] == pytest.approx(data, rel=1e-14)
    assert [x.grad, y.grad, out.grad] == pytest.approx(gradients, rel=1e-14)
    check(program, 0.7, -1.3)


@pytest.mark.parametrize("name", ["relu", "abs", "max"])
def test_kinks_follow_torch(name: str) -> None:
    for inputs in ((0.0, 0.0), (2.0, 2.0), (-0.0, 0.0)):
        program = Program(inputs, ((name, 0, 1),))
        x, y = map(Value, inputs)
        program(x, y).backward()
        assert [x.grad, y.grad, 1.0] == torch_gradients(program)[1]


def test_two_results_that_share_a_part_get_torch_gradients() -> None:
    a, b = Value(2.0), Value(-3.0)
    shared = (a * b).tanh() + a
    first, second = shared * 2, shared**2
    first.backward()
    second.backward()
    ta, tb = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (2.0, -3.0))
    t_shared = (ta * tb).tanh() + ta
    t_shared.retain_grad()
    (t_shared * 2).backward(retain_graph=True)
    (t_shared**2).backward()
    assert [a.grad, b.grad, shared.grad] == pytest.approx(
        [ta.grad.item(), tb.grad.item(), t_shared.grad.item()], rel=1e-14
    )


def test_backward_of_a_leaf() -> None:
    x = Value(5.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0


@pytest.mark.parametrize(
    "program",
    [
        lambda a, tiny: (a * a) * 0.0,
        lambda a, tiny: (1.0 / tiny) * 0.0,
        lambda a, tiny: tiny * a * a * a * tiny,
        lambda a, tiny: (tiny * 0.0 + tiny * tiny * 0.0 + 1e-300) * a * a,
        lambda a, tiny: (tiny**2).exp().log() * a * a,
        lambda a, tiny: (a - a) * a,
    ],
)
def test_finite_numbers_give_finite_gradients_or_an_error(program) -> None:
    a, tiny = Value(1e200, label="a"), Value(1e-200, label="tiny")
    try:
        program(a, tiny).backward()
    except OverflowError:
        pass
    else:
        assert all(math.isfinite(v.grad) for v in (a, tiny))


def test_a_gradient_that_overflows_names_its_value() -> None:
    x = Value(1e-300, label="x")
    y = x * 1e200 * 1e200
    assert y.data == pytest.approx(1e100)
    with pytest.raises(OverflowError, match=r"gradient of 1e-300 \(label 'x'\) is too large"):
        y.backward()


def test_infinity_that_a_program_puts_in_goes_on_as_in_torch() -> None:
    x, limit = Value(2.0), Value(math.inf)
    out = (x * limit).relu() + limit
    out.backward()
    assert (out.data, x.grad) == (math.inf, math.inf)
    assert math.isnan((limit - limit).data)


def living_values() -> int:
    return sum(type(x) is Value for x in gc.get_objects())


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_chain_of_a_million_nodes_is_built_differentiated_and_freed() -> None:
    x = Value(1.0)
    out = x
    for _ in range(1_000_000):
        out = out + x
    out.backward()
    assert (out.data, x.grad) == (1_000_001.0, 1_000_001.0)
    del out  # CPython must not recurse into the chain when it frees it


@pytest.mark.usefixtures("no_collector")
def test_a_graph_is_freed_with_its_result_and_without_the_collector() -> None:
    x = Value(0.5)
    before = living_values()
    loss = sum(((x * k).tanh() ** 2 for k in range(20)), Value(0.0))
    loss.backward()
    loss.backward()
    assert living_values() > before + 60
    del loss
    assert living_values() == before


@pytest.mark.usefixtures("no_collector")
def test_retain_graph_false_frees_at_once_and_backward_still_accumulates() -> None:
    x, y = Value(0.5), Value(-2.0)
    before = living_values()
    kept = x * y
    loss = (kept.tanh() + x) * x * y
    loss.backward()
    once = x.grad, y.grad
    loss.backward(retain_graph=False)
    assert living_values() == before + 2  # kept, loss
    loss.backward()
    assert (x.grad, y.grad) == pytest.approx((3 * once[0], 3 * once[1]), rel=1e-15)
    assert loss.grad == 3.0
    assert loss._prev == {x, y}
    x.grad = 0.0
    kept.backward()  # what the caller holds keeps its own graph
    assert x.grad == -2.0


def test_an_interrupted_backward_leaves_nothing_behind() -> None:
    x = Value(2.0)
    inner = x * 3
    fragile = Value(inner.data, (inner,), "fragile")

    def interrupt() -> None:
        raise KeyboardInterrupt

    fragile._backward = interrupt
    out = fragile + inner
    with pytest.raises(KeyboardInterrupt):
        out.backward()
    fragile._backward = lambda: setattr(inner, "grad", inner.grad + fragile.grad)
    for v in (x, inner, fragile, out):
        v.grad = 0.0
    out.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize("number", [3, True, Fraction(3, 2), np.float32(1.5), np.int64(2)])
def test_every_real_number_is_an_operand(number: float) -> None:
    x = Value(2.0)
    for out in (x * number, number * x, x + number, number - x, x**number, number**x, number / x):
        assert isinstance(out, Value)
        assert type(out.data) is float
    assert (number - x).data == float(number) - 2.0
    assert Value(number).data == float(number)


@pytest.mark.parametrize("operation", ["+", "-", "*", "/", "**", "<", ">="])
@pytest.mark.parametrize("other", ["'a'", "[1.0]", "None", "1j"])
def test_an_unsupported_operand_names_both_types(operation: str, other: str) -> None:
    for text in (f"Value(1.0) {operation} {other}", f"{other} {operation} Value(1.0)"):
        with pytest.raises(TypeError) as error:
            eval(text)
        assert "'Value'" in str(error.value)
        assert f"'{type(eval(other)).__name__}'" in str(error.value)


def test_the_readable_core_stays_under_200_lines() -> None:
    source = Path(hornbook.autograd.value.__file__).read_text(encoding="utf-8")
    assert source.count("\n") < 200


def test_the_engine_needs_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import hornbook.autograd; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) - {"hornbook"} <= sys.stdlib_module_names
