"""Networks, losses and optimisers: the notes' problem is solved, torch agrees on every number."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from hornbook.autograd import (
    MLP,
    SGD,
    Adam,
    Layer,
    Neuron,
    Value,
    check,
    compile,
    cross_entropy,
    hinge,
    squared_error,
    two_moons,
)

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]  # the notes'
YS = [1.0, -1.0, -1.0, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_the_notes_four_points_are_learned(seed: int) -> None:
    n = MLP(3, [4, 4, 1], activation="tanh", output="tanh", seed=seed)
    for _ in range(300):  # the notes' loop
        ypred = [n(x) for x in XS]
        loss = sum((yout - ygt) ** 2 for ygt, yout in zip(YS, ypred, strict=True))
        for p in n.parameters():
            p.grad = 0.0
        loss.backward()
        for p in n.parameters():
            p.data += -0.05 * p.grad
    assert loss.data < 0.05
    assert all((y > 0) == (out.data > 0) for y, out in zip(YS, ypred, strict=True))


def test_the_notes_own_classes_run_on_value() -> None:
    class Neuron:
        def __init__(self, nin: int) -> None:
            self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
            self.b = Value(random.uniform(-1, 1), label="b")

        def __call__(self, x: list[float]) -> Value:
            act = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)  # noqa: B905
            return act.tanh()

    random.seed(3)
    n = Neuron(3)
    for _ in range(50):
        loss = sum((n(x) - y) ** 2 for x, y in zip(XS, YS, strict=True))
        for p in [*n.w, n.b]:
            p.grad = 0.0
        loss.backward()
        for p in [*n.w, n.b]:
            p.data += -0.1 * p.grad
    assert loss.data < 0.1


def test_two_moons_are_told_apart() -> None:
    points, labels = two_moons(60, noise=0.1, seed=1)
    model = MLP(2, [8, 1], activation="tanh", seed=1)
    optimizer = Adam(model.parameters(), lr=0.05)
    loss_of = compile(lambda points, labels: hinge([model(x) for x in points], labels))
    for _ in range(300):
        loss = loss_of(points, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = [(model(x) > 0) == (y > 0) for x, y in zip(points, labels, strict=True)]
    assert sum(right) >= 57


def test_moons_are_seeded_and_lie_on_two_half_circles() -> None:
    assert two_moons(20, seed=5) == two_moons(20, seed=5) != two_moons(20, seed=6)
    points, labels = two_moons(100, noise=0.0)
    assert labels.count(1.0) == labels.count(-1.0) == 50
    for (x, y), label in zip(points, labels, strict=True):
        centre = (1.0, 0.5) if label > 0 else (0.0, 0.0)
        assert math.dist((x, y), centre) == pytest.approx(1.0)
        assert (y <= 0.5) if label > 0 else (y >= 0.0)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
def test_a_network_equals_the_same_network_in_torch(activation: str) -> None:
    model = MLP(3, [5, 4, 2], activation=activation, output="tanh", seed=7)
    for layer in model.layers:
        for neuron in layer.neurons:
            neuron.b.data = 0.1
    modules: list[torch.nn.Module] = []
    for layer, name in zip(model.layers, [activation, activation, "tanh"], strict=True):
        linear = torch.nn.Linear(len(layer.neurons[0].w), len(layer.neurons)).double()
        with torch.no_grad():
            for weight, bias, n in zip(linear.weight, linear.bias, layer.neurons, strict=True):
                weight.copy_(torch.tensor([w.data for w in n.w], dtype=torch.float64))
                bias.copy_(torch.tensor(n.b.data, dtype=torch.float64))
        modules += [linear, getattr(torch, name) if name != "linear" else torch.nn.Identity()]
    x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    for module in modules:
        x = module(x)
    outs = model([0.5, -1.0, 2.0])
    (outs[0] * 3 - outs[1]).backward()
    (x[0] * 3 - x[1]).backward()
    assert [v.data for v in outs] == pytest.approx(x.tolist(), rel=1e-12)
    linears = [m for m in modules if isinstance(m, torch.nn.Linear)]
    for layer, linear in zip(model.layers, linears, strict=True):
        for i, neuron in enumerate(layer.neurons):
            expected = [*linear.weight.grad[i].tolist(), linear.bias.grad[i].item()]
            assert [p.grad for p in neuron.parameters()] == pytest.approx(expected, rel=1e-12)


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    def weights(**options: int) -> list[float]:
        return [p.data for p in MLP(2, [3, 1], **options).parameters()]

    random.seed(9)
    state = random.getstate()
    assert weights(seed=4) == weights(seed=4) != weights(seed=5)
    assert random.getstate() == state
    first = weights()
    random.seed(9)
    assert weights() == first
    assert all(-1 <= w <= 1 for w in first)


def test_shapes_of_calls() -> None:
    assert isinstance(Layer(2, 1)([1.0, 2.0]), Value)
    assert len(Layer(2, 3)([1.0, Value(2.0)])) == 3
    assert isinstance(MLP(2, [1, 3, 1])((1.0, 2.0)), Value)  # through a layer of one
    model = MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    model.zero_grad()
    assert all(p.grad == 0.0 for p in model.parameters())


def test_mistakes_with_networks_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"ReLUNeuron\(3\): called with 2 inputs, expected 3"):
        MLP(3, [2, 1])([1.0, 2.0])
    with pytest.raises(ValueError, match="activation='gelu': expected one of linear, relu, sig"):
        Neuron(3, activation="gelu")
    for sizes in ([], [3, 0]):
        with pytest.raises(ValueError, match=r"MLP sizes .*: expected two or more, each"):
            MLP(2, sizes)


numbers = st.floats(-8, 8)


@given(st.lists(st.tuples(numbers, st.sampled_from([-1.0, 1.0])), min_size=1, max_size=6))
def test_losses_of_lists_equal_torch(pairs: list[tuple[float, float]]) -> None:
    targets = [y for _, y in pairs]
    for ours, theirs in (
        (squared_error, lambda x, y: ((x - y) ** 2).sum()),
        (hinge, lambda x, y: (1 - y * x).relu().mean()),
    ):
        scores = [Value(x) for x, _ in pairs]
        tensor = torch.tensor([x for x, _ in pairs], dtype=torch.float64, requires_grad=True)
        loss = ours(scores, targets)
        expected = theirs(tensor, torch.tensor(targets, dtype=torch.float64))
        loss.backward()
        expected.backward()
        assert loss.data == pytest.approx(expected.item(), rel=1e-12)
        assert [s.grad for s in scores] == pytest.approx(tensor.grad.tolist(), rel=1e-12)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6), st.data())
def test_cross_entropy_equals_torch_however_large_the_logits(numbers, data) -> None:
    target = data.draw(st.integers(0, len(numbers) - 1))
    logits = [Value(x) for x in numbers]
    loss = cross_entropy(logits, target)
    loss.backward()
    tensor = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    expected = functional.cross_entropy(tensor, torch.tensor(target))
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    assert [x.grad for x in logits] == pytest.approx(tensor.grad.tolist(), rel=1e-9, abs=1e-12)


def test_losses_are_differentiated_rightly() -> None:
    check(lambda *x: cross_entropy(x, 1), 0.3, -1.2, 2.0)
    check(lambda a, b: hinge([a, b], [1, -1]), 0.3, -0.2)
    check(lambda a, b: squared_error([a, b], [1.0, b * 0.5]), 0.3, -0.2)


def test_losses_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="hinge: 1 predictions for 2 targets"):
        hinge([Value(1.0)], [1, -1])
    with pytest.raises(ValueError, match="squared_error: 0 predictions for 0 targets"):
        squared_error([], [])
    for target in (-1, 2):
        with pytest.raises(ValueError, match=f"target={target}, expected an index from 0 to 1"):
            cross_entropy([Value(1.0), Value(2.0)], target)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (lambda p: SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (lambda p: Adam(p, 0.1), lambda p: torch.optim.Adam(p, 0.1)),
        (
            lambda p: Adam(p, 0.02, betas=(0.7, 0.8), eps=1e-3),
            lambda p: torch.optim.Adam(p, 0.02, betas=(0.7, 0.8), eps=1e-3),
        ),
    ],
)
def test_optimizers_take_torchs_steps(ours, theirs) -> None:
    x, y = Value(1.5), Value(-0.5)
    t = torch.tensor([1.5, -0.5], dtype=torch.float64, requires_grad=True)
    optimizer, reference = ours([x, y]), theirs([t])
    for _ in range(20):
        optimizer.zero_grad()
        (x**4 + (x * y - 1) ** 2).backward()
        optimizer.step()
        reference.zero_grad()
        (t[0] ** 4 + (t[0] * t[1] - 1) ** 2).backward()
        reference.step()
        assert [x.data, y.data] == pytest.approx(t.tolist(), rel=1e-10)


def test_optimizers_refuse_bad_settings() -> None:
    for make in (SGD, Adam):
        with pytest.raises(ValueError, match=f"{make.__name__}: no parameters"):
            make([], 0.1)
        with pytest.raises(ValueError, match="lr=0, expected a number above 0"):
            make([Value(1.0)], 0)
    with pytest.raises(ValueError, match="momentum=1"):
        SGD([Value(1.0)], 0.1, momentum=1)
    with pytest.raises(ValueError, match="betas="):
        Adam([Value(1.0)], betas=(0.9, 1.0))
