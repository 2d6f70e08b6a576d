"""The functions behind the operations: their values, their slopes, and errors that name operands."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hornbook.autograd import Value
from hornbook.autograd import functions as fn


def test_sigmoid_is_stable_far_out() -> None:
    for x in (-745.0, -40.0, 40.0, 800.0):
        expected = torch.tensor(x, dtype=torch.float64).sigmoid().item()
        assert Value(x).sigmoid().data == pytest.approx(expected, rel=1e-12)
    assert Value(400.0).tanh().data == 1.0  # the notes' formula overflows from 355 on


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x.log()", ValueError, r"log of -2.0 \(label 'x'\): log needs a number above 0"),
        ("zero.log()", ValueError, r"log of 0.0 \(label 'zero'\)"),
        ("x.sqrt()", ValueError, r"sqrt of -2.0 \(label 'x'\): .* not real"),
        ("zero.sqrt()", ZeroDivisionError, r"\(label 'zero'\): sqrt has an infinite slope at 0"),
        ("x ** 0.5", ValueError, r"power of -2.0 \(label 'x'\) and 0.5 .*: .* whole exponents"),
        ("x ** Value(2.0)", ValueError, r"power of -2.0 \(label 'x'\)"),
        ("(-2.0) ** Value(0.5, label='p')", ValueError, r"and 0.5 \(label 'p'\)"),
        ("zero ** -1", ZeroDivisionError, r"\(label 'zero'\).*division by zero"),
        ("zero ** 0.5", ZeroDivisionError, r"\(label 'zero'\).*infinite slope at 0"),
        ("x / zero", ZeroDivisionError, r"-2.0 \(label 'x'\) and 0.0 \(label 'zero'\): division"),
        ("1 / zero", ZeroDivisionError, r"label 'zero'"),
        ("x / 0", ZeroDivisionError, r"label 'x'"),
        ("(x * zero) / (x - x)", ZeroDivisionError, r"-0.0 \(no label, from '\*'\) and 0.0"),
        ("(x * -500).exp()", OverflowError, r"exp of 1000.0 .*too large for a float"),
        ("(x * -500) ** 200", OverflowError, r"power of 1000.0 .*too large"),
        (
            "big * big",
            OverflowError,
            r"multiply of 1e\+200 \(label 'big'\).* its result is too large",
        ),
        ("big + big * 1e108 + big * 1e108", OverflowError, r"add of .* its result is too large"),
        ("-big * 1e108 - big * 1e108", OverflowError, r"subtract of .* its result is too large"),
        ("big ** 2", OverflowError, r"power of 1e\+200 \(label 'big'\): its result"),
        ("big / Value(1e-200)", OverflowError, r"divide of .* its result is too large"),
        ("1.0 / Value(1e-200)", OverflowError, r"divide of 1.0 .* and 1e-200 .* its slope is too"),
        ("Value(1e-310).log()", OverflowError, r"log of 1e-310 .* its slope is too large"),
        ("Value(1e-200) ** -1", OverflowError, r"power of 1e-200"),
    ],
)
def test_a_result_that_is_not_real_raises_and_names_the_operand(text, error, message) -> None:
    names = {"x": Value(-2.0, label="x"), "zero": Value(0.0, label="zero"), "Value": Value}
    names["big"] = Value(1e200, label="big")
    with pytest.raises(error, match=message):
        eval(text, names)


def test_an_unsupported_method_operand_or_data_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"'Value' .* not a 'str'"):
        Value(1.0).max("a")
    with pytest.raises(TypeError, match=r"not a 'list': take its elements one by one"):
        Value([1.0])
    with pytest.raises(TypeError, match="not a 'Value': it is one already"):
        Value(Value(1.0))


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (np.array([1.0, 2.0]), "not a 'ndarray': take its elements one by one"),
        (np.array(1.0), r"not a 'ndarray': convert it with float\(\)"),
        (torch.ones(2), "not a 'Tensor': take its elements one by one"),
        (torch.tensor(1.0), r"not a 'Tensor': convert it with float\(\)"),
        (Decimal(1), r"not a 'Decimal': convert it with float\(\)"),
        ("1.0", r"not a 'str': convert it with float\(\)"),
        (None, "not a 'NoneType': pass a number"),
        (1j, "not a 'complex': pass a number"),
        ({1.0: 2.0}, "not a 'dict': take its elements one by one"),
    ],
)
def test_what_is_no_number_is_told_how_to_become_one(data, advice) -> None:
    with pytest.raises(TypeError, match=advice):
        Value(data)


def test_powers_at_zero_that_have_a_slope() -> None:
    for exponent, slope in ((0, 0.0), (1, 1.0), (1.5, 0.0), (2, 0.0), (3, 0.0)):
        x = Value(0.0)
        (x**exponent).backward()
        assert x.grad == slope
    base, exponent = Value(0.0), Value(2.0)
    (base**exponent).backward()
    assert (base.grad, exponent.grad) == (0.0, 0.0)


@given(st.floats(-1e150, 1e150))
def test_functions_of_one_number_equal_torch(x: float) -> None:
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    for function, slope, reference in (
        (fn.relu, fn.step, torch.relu), (fn.absolute, fn.sign, torch.abs),
    ):  # fmt: skip
        tensor.grad = None
        expected = reference(tensor)
        expected.backward()
        assert function(x) == expected.item()
        assert slope(x) == tensor.grad.item()
    if x > 0.0:
        expected = tensor.sqrt()
        tensor.grad = None
        expected.backward()
        assert fn.sqrt(x) == pytest.approx(expected.item(), rel=1e-15)
        assert fn.sqrt_slope(x) == pytest.approx(tensor.grad.item(), rel=1e-14)


@given(st.floats(0.01, 20), st.one_of(st.floats(-5, 5), st.sampled_from([0.0, 1.0, 2.0, 3.0])))
def test_power_and_its_slopes_equal_torch(x: float, n: float) -> None:
    base, exponent = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, n))
    expected = base**exponent
    expected.backward()
    assert fn.power(x, n) == pytest.approx(expected.item(), rel=1e-12)
    assert fn.power_slope(x, n) == pytest.approx(base.grad.item(), rel=1e-12, abs=1e-300)
    assert fn.power_log(x, n) == pytest.approx(exponent.grad.item(), rel=1e-12, abs=1e-300)


def test_the_larger_of_two_propagates_nan_as_torch_does() -> None:
    for x, y in ((1.0, 2.0), (2.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (-math.inf, 0.0)):
        expected = torch.maximum(torch.tensor(x), torch.tensor(y)).item()
        assert fn.larger(x, y) == pytest.approx(expected, nan_ok=True)


def test_what_counts_as_a_number() -> None:
    for data in (1, True, 0.5, Fraction(1, 2), np.float32(0.5), np.int64(1)):
        assert fn.is_number(data)
        assert fn.operand(data) == float(data)
    for data in ("1", [1.0], None, 1j):
        assert not fn.is_number(data)
        with pytest.raises(TypeError, match="real numbers, not a"):
            fn.operand(data)
    assert fn.operand(torch.tensor(1.0)) is None  # torch's own operators are tried then
