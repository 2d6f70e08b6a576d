"""Networks: the notes' problem is solved, and torch agrees on every number."""

from __future__ import annotations

import random

import pytest
import torch

from hornbook.autograd import (
    MLP,
    Layer,
    Neuron,
    Value,
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
