"""check(f, *inputs): accepts right gradients, and names a wrong one with both numbers."""

from __future__ import annotations

import doctest
import math

import pytest

from hornbook.autograd import MLP, GradientError, Value, check, checking, compiler, squared_error


def wrong_sine(x: Value) -> Value:
    out = Value(math.sin(x.data), (x,), "sin")

    def _backward() -> None:
        x.grad += math.sin(x.data) * out.grad  # should be the cosine

    out._backward = _backward
    return out


def test_a_wrong_gradient_is_named_with_both_numbers() -> None:
    check(lambda a: a.sin(), 0.5)
    with pytest.raises(GradientError) as error:
        check(lambda a, b: a * wrong_sine(b), Value(2.0), Value(0.5, label="angle"))
    message = str(error.value)
    assert "input 1 ('angle') at 0.5" in message
    assert repr(2 * math.sin(0.5)) in message  # what backward() said
    assert f"{2 * math.cos(0.5):.6f}"[:-1] in message  # what is right


def test_the_gradients_come_back_and_values_keep_their_state() -> None:
    x, outside = Value(3.0), Value(2.0)
    x.grad, outside.grad = 5.0, 6.0
    assert check(lambda x, y: x * y * outside, x, 4.0) == [8.0, 6.0]
    assert (x.data, x.grad, outside.grad) == (3.0, 5.0, 6.0)
    with pytest.raises(GradientError):
        check(wrong_sine, x)
    assert (x.data, x.grad) == (3.0, 5.0)


def test_a_models_parameters_can_be_checked() -> None:
    model = MLP(3, [4, 4, 1], activation="tanh", output="tanh", seed=3)
    xs, ys = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5]], [1.0, -1.0]
    gradients = check(lambda *_: squared_error([model(x) for x in xs], ys), *model.parameters())
    assert any(abs(g) > 0.01 for g in gradients)


def test_a_kink_cannot_be_checked() -> None:
    with pytest.raises(GradientError, match="or f has a kink there"):
        check(lambda x: x.relu(), 0.0)


def test_a_function_that_returns_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ends in one Value, not in a 'float': .* return one"):
        check(lambda x: x.data, 1.0)


def test_the_examples_of_the_docstrings_are_right() -> None:
    for module in (checking, compiler):
        tried = doctest.testmod(module)
        assert tried.attempted
        assert not tried.failed
