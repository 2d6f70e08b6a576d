"""A node: compared by its data, distinguished by identity, walked without recursion."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hornbook.autograd import MLP, Adam, Value, compile, draw
from hornbook.autograd.node import graph, in_order, is_larger


def test_values_compare_by_data_and_are_distinguished_by_identity() -> None:
    a, b = Value(2.0), Value(2.0)
    assert a == b == 2
    assert a != 3
    assert a <= b < 3.5
    assert 4 > a >= b > Value(-1)
    assert a != "2"
    assert len({a, b}) == 2
    assert a in {a: 1}
    assert max([Value(1.0), Value(7.0), Value(3.0)]).data == 7.0
    assert (float(a), bool(a), bool(Value(0.0))) == (2.0, True, False)
    assert math.sqrt(Value(4.0)) == 2.0


def test_repr_shows_data_gradient_and_label() -> None:
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"
    v = Value(2.0, label="x") * 3
    v.label = "x3"
    v.backward()
    assert str(v) == "Value(data=6.0, grad=1.0, label='x3')"


def test_a_value_is_displayed_unless_its_graph_is_too_large_to_read() -> None:
    result = Value(2.0, label="a") * 3.0 + 1.0
    assert result._repr_svg_() == draw(result).svg()
    long = Value(0.0)
    for _ in range(300_000):
        long = long + 1.0
    assert long._repr_svg_() is None


def test_only_a_value_is_drawn() -> None:
    with pytest.raises(TypeError, match="not in a 'list': pass one Value"):
        draw([Value(1.0)])


def test_a_graph_has_each_node_once() -> None:
    a, b = Value(2.0), Value(3.0)
    shared = a * b
    root = shared + shared.tanh() * a
    nodes = graph(root)
    assert nodes[0] is root
    assert len(nodes) == len(set(nodes)) == 6
    assert {id(v) for v in nodes} >= {id(a), id(b), id(shared)}
    assert not is_larger(root, 6)
    assert is_larger(root, 5)


def test_operands_of_a_node_made_by_hand_are_its_children() -> None:
    a, b = Value(2.0), Value(3.0)
    leaf, made = Value(1.0), Value(6.0, (a, b), "times")
    assert leaf._prev == set()
    assert made._prev == {a, b}
    made._backward = lambda: None
    made.backward()
    assert (a.grad, b.grad, made.grad) == (0.0, 0.0, 1.0)


def test_a_backward_set_on_an_operation_replaces_its_derivatives() -> None:
    a = Value(2.0)
    square = a * a
    square._backward = lambda: setattr(a, "grad", a.grad + 10.0 * square.grad)
    (square * 3.0).backward()
    assert a.grad == 30.0
    assert square._prev == {a}


def pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


copies = pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, pickled, lambda x: pickle.loads(pickle._dumps(x, 0))],  # type: ignore[attr-defined]
    ids=["deepcopy", "pickle", "pickle in Python, protocol 0"],
)


@copies
def test_a_graph_deeper_than_the_stack_is_copied(copied: Callable[[Any], Any]) -> None:
    x = Value(1.0, label="x")
    out = x
    for _ in range(5_000):
        out = out + x * 0.5
    (x_copy, out_copy) = copied((x, out))
    out_copy.backward()
    assert (out_copy.data, x_copy.grad, x_copy.label) == (out.data, 2501.0, "x")
    assert (x.grad, out.grad) == (0.0, 0.0)  # nothing is shared
    assert len(graph(out_copy)) == len(graph(out))


@copies
def test_copies_share_what_the_originals_share(copied: Callable[[Any], Any]) -> None:
    model = MLP(2, [3, 1], activation="tanh", seed=0)
    loss = (model([1.0, 2.0]) - 1.0) ** 2
    once = compile(lambda x: x * model.parameters()[0])(2.0)
    loss.note = model.parameters()[1] * 3.0
    everything = {"loss": loss, "model": model, "adam": Adam(model.parameters()), "once": once}
    found = copied(everything)
    parameters = found["model"].parameters()
    assert all(a is b for a, b in zip(found["adam"].parameters, parameters, strict=True))
    found["loss"].backward()
    loss.backward()
    assert [p.grad for p in parameters] == [p.grad for p in model.parameters()]
    found["once"].backward()
    assert parameters[0].grad == model.parameters()[0].grad + 2.0
    assert parameters[1] in found["loss"].note._prev
    assert not {*parameters} & {*model.parameters()}


def test_a_shallow_copy_has_the_same_operands() -> None:
    x = Value(2.0)
    square = copy.copy(x * x)
    square.backward()
    assert x.grad == 4.0


@copies
def test_a_backward_made_by_hand_is_not_copied(copied: Callable[[Any], Any]) -> None:
    x = Value(2.0)
    made = Value(6.0, (x,), "triple")
    made._backward = lambda: setattr(x, "grad", x.grad + 3.0 * made.grad)
    with pytest.raises(
        TypeError, match=r"made by hand \(no label, from 'triple'\) cannot be copied"
    ):
        copied(made + 1.0)
    assert copied(x).data == 2.0


def test_operands_come_before_results() -> None:
    a, b = Value(2.0), Value(3.0)
    shared = a * b
    root = shared.tanh() + shared * a
    order = {v: i for i, v in enumerate(in_order(root))}
    assert len(order) == 6
    assert all(order[operand] < order[v] for v in order for operand in v._prev)


def test_a_value_is_formatted_as_its_data() -> None:
    value = Value(2.34567, label="loss")
    assert f"{value:.2f} {value:>8.1e}|{value!s:.5}" == "2.35  2.3e+00|Value"
    assert f"{value}" == str(value)
