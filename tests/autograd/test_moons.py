"""The two moons: seeded half circles that a small network separates."""

from __future__ import annotations

import math

import pytest

from hornbook.autograd import MLP, Adam, compile, hinge, two_moons


def test_moons_are_seeded_and_lie_on_two_half_circles() -> None:
    assert two_moons(20, seed=5) == two_moons(20, seed=5) != two_moons(20, seed=6)
    points, labels = two_moons(100, noise=0.0)
    assert labels.count(1.0) == labels.count(-1.0) == 50
    for (x, y), label in zip(points, labels, strict=True):
        centre = (1.0, 0.5) if label > 0 else (0.0, 0.0)
        assert math.dist((x, y), centre) == pytest.approx(1.0)
        assert (y <= 0.5) if label > 0 else (y >= 0.0)


def test_a_small_network_separates_the_moons() -> None:
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
