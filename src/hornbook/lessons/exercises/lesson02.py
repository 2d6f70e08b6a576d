"""The exercises of lesson 2: parameters, losses and gradient descent on scalars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch

from hornbook.autograd import MLP, SGD, Value, squared_error
from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

XOR = [([0.0, 0.0], -1.0), ([0.0, 1.0], 1.0), ([1.0, 0.0], 1.0), ([1.0, 1.0], -1.0)]


def count_parameters(n_in: int, sizes: list[int]) -> int:
    """Each neuron has a weight for each of its inputs, and a bias."""
    return sum(n_out * (n + 1) for n, n_out in pairwise([n_in, *sizes]))


def hinge_loss(scores: list[Value], labels: list[float]) -> Value:
    """The mean of max(0, 1 - label * score)."""
    total = Value(0.0)
    for score, label in zip(scores, labels, strict=True):
        total = total + (1 - label * score).relu()
    return total / len(scores)


def gradient_descent(
    f: Callable[[list[Value]], Value], xs: list[Value], learning_rate: float, steps: int
) -> list[float]:
    """Forward, zero, backward, update, again and again."""
    losses = []
    for _ in range(steps):
        loss = f(xs)
        for x in xs:
            x.grad = 0.0
        loss.backward()
        for x in xs:
            x.data -= learning_rate * x.grad
        losses.append(loss.data)
    return losses


def momentum_step(
    parameters: list[Value], velocities: list[float], learning_rate: float, momentum: float
) -> None:
    """The velocity first, then the parameter by the new velocity."""
    for i, p in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + p.grad
        p.data -= learning_rate * velocities[i]


def train_xor(seed: int) -> MLP:
    """A hidden layer of tanh is wide enough that some of it fits, whatever the seed."""
    model = MLP(2, [8, 1], activation="tanh", bias="uniform", seed=seed)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(200):
        loss = squared_error([model(x) for x, _ in XOR], [y for _, y in XOR])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def _check_count_parameters(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n_in, *sizes = torch.randint(1, 20, (4,), generator=generator).tolist()
    layers = []
    for n, n_out in pairwise([n_in, *sizes]):
        layers.append(torch.nn.Linear(n, n_out))
    expected = sum(p.numel() for layer in layers for p in layer.parameters())
    weights = sum(layer.weight.numel() for layer in layers)
    mistakes = {
        "the biases are missing: one for each neuron": weights,
        "one bias for each layer is too few: one for each neuron": weights + len(sizes),
        "only the first layer sees the n_in inputs; a later one sees the outputs before it": sum(
            n * (n_in + 1) for n in sizes
        ),
        "inputs have no bias; only neurons have": expected + n_in,
    }
    found = candidate(n_in, sizes)
    yield compare(f"an MLP({n_in}, {sizes})", found, expected, mistakes=mistakes, rtol=0, atol=0)


def _check_hinge_loss(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    numbers = 2 * torch.randn(6, generator=generator, dtype=torch.float64)
    labels = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    numbers[0], numbers[1] = 1.5, 0.3  # one beyond the margin, one on the wrong side
    numbers.requires_grad_()
    margins = 1 - labels * numbers
    expected = margins.clamp(min=0).mean()
    expected.backward()  # type: ignore[no-untyped-call]
    scores = [Value(x) for x in numbers.tolist()]
    found = candidate(scores, labels.tolist())
    mistakes = {
        "this is the sum; the loss is the mean": margins.clamp(min=0).sum().item(),
        "a point beyond the margin costs 0, not less: relu is missing": margins.mean().item(),
        "the margin is missing: 1 - label * score, not -label * score": (margins - 1)
        .clamp(min=0)
        .mean()
        .item(),
        "the sign: 1 - label * score": (2 - margins).clamp(min=0).mean().item(),
    }
    yield compare("the loss", found, expected.item(), mistakes=mistakes)
    is_value = isinstance(found, Value)
    kind = type(found).__name__
    yield holds(
        "its type", is_value, f"found a {kind}, expected a Value: use relu and sums of Values"
    )
    found.backward()
    assert numbers.grad is not None
    grads = [score.grad for score in scores]
    yield compare("the gradients of the scores", grads, numbers.grad.tolist())


def _check_gradient_descent(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    a, b = (torch.rand(2, generator=generator, dtype=torch.float64) + 0.5).tolist()
    start = torch.randn(2, generator=generator, dtype=torch.float64)
    rate, steps = 0.1, 6

    def run(zero: bool) -> tuple[list[float], list[float]]:
        point = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([point], lr=rate)
        losses = []
        for _ in range(steps):
            loss = a * point[0] ** 2 + b * (point[1] - point[0]) ** 2
            if zero:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, point.tolist()

    expected, end = run(zero=True)
    xs = [Value(x) for x in start.tolist()]
    losses = candidate(lambda v: a * v[0] ** 2 + b * (v[1] - v[0]) ** 2, xs, rate, steps)
    yield compare("how many losses", len(losses), steps)
    mistakes = {
        "the gradients are not set to zero before each backward": run(zero=False)[0],
        "nothing moves: set the gradients to zero before backward, not after it, and change x.data": (
            [expected[0]] * steps
        ),
    }
    what = "the loss before each step"
    if len(losses) > 1 and abs(losses[0] - expected[1]) < 1e-9:
        yield holds(what, False, "the first is the loss after a step; compute it before the update")
    if len(losses) > 1 and losses[-1] > losses[0]:
        yield holds(what, False, "it grows: move against the gradient")
    yield compare(what, losses, expected, mistakes=mistakes)
    unmoved = {"these are the numbers of the start: change x.data of each": start.tolist()}
    yield compare("xs in the end", [x.data for x in xs], end, mistakes=unmoved)


def _check_momentum_step(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    start = torch.randn(3, generator=generator, dtype=torch.float64)
    grads = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    rate, momentum = 0.1, 0.8
    point = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([point], lr=rate, momentum=momentum)
    parameters, velocities = [Value(x) for x in start.tolist()], [0.0] * 3
    plain, averaged, v = start.clone(), start.clone(), torch.zeros(3, dtype=torch.float64)
    for step, grad in enumerate(grads, start=1):
        point.grad = grad.clone()
        optimizer.step()
        for p, g in zip(parameters, grad.tolist(), strict=True):
            p.grad = g
        candidate(parameters, velocities, rate, momentum)
        plain = plain - rate * grad
        v = momentum * v + (1 - momentum) * grad
        averaged = averaged - rate * v
        mistakes = {
            "the momentum has no effect: are the new velocities kept in the list?": plain.tolist(),
            "the gradient is added whole, not times 1 - momentum": averaged.tolist(),
            "nothing has changed: change p.data, by the new velocity": start.tolist(),
        }
        data = [p.data for p in parameters]
        yield compare(f"parameters after step {step}", data, point.tolist(), mistakes=mistakes)
    buffer = optimizer.state[point]["momentum_buffer"]
    yield compare("velocities in the end", velocities, buffer.tolist())


def _check_train_xor(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    seed = int(torch.randint(0, 10_000, (1,), generator=generator))
    model = candidate(seed)
    kind = type(model).__name__
    yield holds("its type", isinstance(model, MLP), f"found a {kind}, expected an autograd.MLP")
    for x, label in XOR:
        score = float(model(x))
        yield holds(
            f"{x}, seed {seed}",
            label * score >= 0.5,
            f"found a score of {score:.2f}, expected "
            f"{'0.5 or more' if label > 0 else '-0.5 or less'}",
        )


EXERCISES = [
    Exercise(
        "2.1",
        "count_parameters",
        title="How many parameters",
        hint="A layer of n neurons that see m inputs has n * (m + 1) parameters. The inputs of a layer "
        "are the outputs of the one before it.",
        solution=count_parameters,
        check=_check_count_parameters,
    ),
    Exercise(
        "2.2",
        "hinge_loss",
        title="The hinge loss",
        hint="Begin with Value(0.0), add (1 - label * score).relu() for each pair, and divide by their "
        "number at the end.",
        solution=hinge_loss,
        check=_check_hinge_loss,
    ),
    Exercise(
        "2.3",
        "gradient_descent",
        title="Gradient descent",
        hint="The four parts of the lesson: loss = f(xs); every x.grad = 0.0; loss.backward(); every "
        "x.data -= learning_rate * x.grad. Append loss.data in each step.",
        solution=gradient_descent,
        check=_check_gradient_descent,
    ),
    Exercise(
        "2.4",
        "momentum_step",
        title="Momentum",
        hint="Go through the positions with enumerate, so that you can write velocities[i] = ...; a "
        "loop variable that you assign to is forgotten.",
        solution=momentum_step,
        check=_check_momentum_step,
    ),
    Exercise(
        "2.5",
        "train_xor",
        title="XOR",
        hint='MLP(2, [8, 1], activation="tanh", bias="uniform", seed=seed) is wide enough. Minimize '
        "squared_error for some hundred steps; momentum makes it faster. Look at the loss for a few "
        "seeds: if it gets stuck with one, take more neurons.",
        solution=train_xor,
        check=_check_train_xor,
    ),
]
