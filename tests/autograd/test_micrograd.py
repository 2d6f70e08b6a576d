"""Programs written for micrograd run unchanged: the same source, with either library's names."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import micrograd.engine
import micrograd.nn
import pytest

import hornbook.autograd as hornbook_names

MICROGRAD = SimpleNamespace(**(vars(micrograd.engine) | vars(micrograd.nn)))


def expression(library: Any) -> tuple[Any, ...]:
    """Its test suite's manner: many operations, each result used more than once."""
    p = library.Value(-3.5)
    q = 2 * p - 1 + p**2
    r = q.relu() + p * q + (1 - p) / 4
    s = (r * r).relu() - 3 / r
    s += -p + (s - q)
    t = s**-1 + 5 * s + sum([p, q, r])
    t.backward()
    return t.data, p.grad


def steps_by_hand(library: Any) -> tuple[Any, ...]:
    """Backpropagation node by node, as the lecture does it before it writes backward()."""
    a, b = library.Value(2.0), library.Value(-3.0)
    c = a * b
    d = c + 10.0
    e = d.relu()
    e.grad = 1.0
    for node in (e, d, c):
        node._backward()
    return e.data, d.grad, c.grad, a.grad, b.grad


def own_operation(library: Any) -> tuple[Any, ...]:
    """The lecture's way to add an operation."""
    import math

    def square_root(x: Any) -> Any:
        out = library.Value(math.sqrt(x.data), (x,), "sqrt")

        def _backward() -> None:
            x.grad += 0.5 / out.data * out.grad

        out._backward = _backward
        return out

    x = library.Value(9.0)
    y = square_root(x + 7) * x + square_root(x)
    y.backward()
    return y.data, x.grad


def trace(library: Any) -> tuple[Any, ...]:
    """The drawing code of its notebooks, which walks _prev and reads _op."""
    x = library.Value(1.0)
    y = (x * 2 + 1).relu() ** 2
    y.backward()
    nodes, edges = set(), set()

    def build(v: Any) -> None:
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(y)
    return sorted((v._op, float(v.data), float(v.grad)) for v in nodes), len(edges)


def classifier(library: Any) -> tuple[Any, ...]:
    """Its demo: a max-margin classifier of two moons, minibatches, a decaying learning rate."""
    random.seed(1337)
    points, labels = hornbook_names.two_moons(24, seed=3)
    model = library.MLP(2, [5, 5, 1])
    losses = []
    for k in range(6):
        chosen = random.sample(range(24), 12)
        inputs = [list(map(library.Value, points[i])) for i in chosen]
        scores = list(map(model, inputs))
        margins = [(1 + -labels[i] * score).relu() for i, score in zip(chosen, scores, strict=True)]
        loss = sum(margins) * (1.0 / len(margins))
        loss = loss + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        lr = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= lr * p.grad
            p.velocity = (
                0.9 * getattr(p, "velocity", 0.0) + p.grad
            )  # an attribute that a program adds
        losses.append(loss.data)
    return *losses, *[p.velocity for p in model.parameters()]


@pytest.mark.parametrize(
    "program",
    [expression, steps_by_hand, own_operation, trace, classifier],
    ids=lambda f: f.__name__,
)
def test_a_program_written_for_micrograd_runs_unchanged(program: Any) -> None:
    ours, theirs = program(hornbook_names), program(MICROGRAD)
    for x, y in zip(ours, theirs, strict=True):
        if isinstance(y, list):
            assert x == y
        else:
            assert x == pytest.approx(y, rel=1e-12)


def test_modules_look_as_micrograds_do() -> None:
    for make in ("Neuron(3)", "Neuron(3, nonlin=False)", "Layer(2, 2)", "MLP(3, [2, 1])"):
        ours = repr(eval(make, vars(hornbook_names)))
        assert ours == repr(eval(make, vars(MICROGRAD)))
    model = hornbook_names.MLP(3, [4, 4, 1])
    assert isinstance(model, hornbook_names.Module)
    assert len(model.parameters()) == 41
