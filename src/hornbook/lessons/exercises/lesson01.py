"""The exercises of lesson 1: gradients, numerically, by hand and by backpropagation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from hornbook.autograd import Value
from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

Graph = dict[str, list[str]]  # for each name the names of its operands


def numerical_gradient(
    f: Callable[[list[float]], float], xs: list[float], h: float = 1e-4
) -> list[float]:
    """The differences on both sides, one input at a time."""
    found = []
    for i, x in enumerate(xs):
        up, down = [*xs], [*xs]
        up[i], down[i] = x + h, x - h
        found.append((f(up) - f(down)) / (2 * h))
    return found


def gradient_by_hand(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Of f(a, b, c) = -a^3 + sin(3 b) - 1/c + b^2.5 - sqrt(a)."""
    return -3 * a**2 - 0.5 / a**0.5, 3 * math.cos(3 * b) + 2.5 * b**1.5, 1 / c**2


def topological_order(root: str, operands: Graph) -> list[str]:
    """Depth first: a name is appended after its operands."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in ordered:
            for operand in operands[name]:
                visit(operand)
            ordered.append(name)

    visit(root)
    return ordered


def gradients(root: str, operands: Graph, slopes: dict[str, list[float]]) -> dict[str, float]:
    """From the root backward, in the reverse of a topological order."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in ordered:
            for operand in operands[name]:
                visit(operand)
            ordered.append(name)

    visit(root)
    grads = dict.fromkeys(ordered, 0.0)
    grads[root] = 1.0
    for name in reversed(ordered):
        for operand, slope in zip(operands[name], slopes[name], strict=True):
            grads[operand] += slope * grads[name]
    return grads


def softmax_loss(logits: list[Value], target: int) -> Value:
    """log(sum of exp) - logit of the target, with the largest logit subtracted from each."""
    largest = max(logit.data for logit in logits)
    exps = [(logit - largest).exp() for logit in logits]
    total = exps[0]
    for term in exps[1:]:
        total = total + term
    return total.log() - (logits[target] - largest)


def _check_numerical_gradient(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    a, b, c = torch.randn(3, generator=generator, dtype=torch.float64).tolist()
    xs = (2 * torch.rand(2, generator=generator, dtype=torch.float64) + 0.5).tolist()
    x, y = xs

    def f(point: list[float]) -> float:
        return float(a * point[0] ** 3 + b * point[0] * point[1] + c * math.exp(point[1]))

    expected = [3 * a * x**2 + b * y, b * x + c * math.exp(y)]
    h = 1e-4
    one_sided = [(f([x + h, y]) - f(xs)) / h, (f([x, y + h]) - f(xs)) / h]
    mistakes = {
        "this is twice the gradient: x + h and x - h are 2h apart": [2 * g for g in expected],
        "this is half of the gradient: divide a one-sided difference by h alone": [
            g / 2 for g in one_sided
        ],
        "all inputs move at once: each derivative moves one and keeps the others": [
            sum(expected) for _ in xs
        ],
        "this is almost 0: copy xs for each side, and write / (2 * h), not / 2 * h": [0.0, 0.0],
    }
    given = [*xs]
    found = candidate(f, given)
    yield compare("the gradient", found, expected, mistakes=mistakes, atol=1e-2, rtol=1e-2)
    yield compare("xs afterwards", given, xs, mistakes={})
    off = max(abs(g - e) for g, e in zip(found, expected, strict=True))
    precise = off < 0.1 * max(abs(g - e) for g, e in zip(one_sided, expected, strict=True))
    yield holds(
        "its precision", precise, "as imprecise as a one-sided difference; use f(x + h) - f(x - h)"
    )


def _check_gradient_by_hand(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    point = torch.rand(3, generator=generator, dtype=torch.float64) + 0.5
    point.requires_grad_()
    a, b, c = point
    (-(a**3) + torch.sin(3 * b) - 1 / c + b**2.5 - a**0.5).backward()
    assert point.grad is not None
    da, db, dc = point.grad.tolist()
    a_, b_, c_ = point.tolist()
    found = candidate(a_, b_, c_)
    three = isinstance(found, (tuple, list)) and len(found) == 3
    count = len(found) if isinstance(found, (tuple, list)) else type(found).__name__
    yield holds("how many derivatives", three, f"found {count}, expected 3, in a tuple or a list")
    yield compare(
        "df/da",
        found[0],
        da,
        mistakes={
            "the sign of the term with the square root is wrong": -3 * a_**2 + 0.5 / a_**0.5,
            "the term with the square root is missing": -3 * a_**2,
            "the square root is a^0.5, and its slope is 0.5 a^-0.5": -3 * a_**2 - 0.5 * a_**0.5,
        },
    )
    yield compare(
        "df/db",
        found[1],
        db,
        mistakes={
            "the chain rule: sin(3b) also has the slope of 3b": math.cos(3 * b_) + 2.5 * b_**1.5,
            "the slope of sin at 3b is cos(3b), not cos(3)": 3 * math.cos(3) + 2.5 * b_**1.5,
            "the slope of sin at 3b is cos(3b), not cos(b)": 3 * math.cos(b_) + 2.5 * b_**1.5,
            "the term b^2.5 is missing": 3 * math.cos(3 * b_),
        },
    )
    yield compare(
        "df/dc",
        found[2],
        dc,
        mistakes={"the sign: -1/c is -c^-1, and -1 times -1 is 1": -1 / c_**2},
    )


def _random_graph(generator: torch.Generator) -> tuple[str, Graph, dict[str, list[float]]]:
    """A graph of two inputs and six results, the last of which is the root; one name that it does not
    need; and slopes. The names are no hint at the order."""
    letters = [chr(97 + i) for i in torch.randperm(26, generator=generator)[:9].tolist()]
    operands: Graph = {letters[0]: [], letters[1]: []}
    for i in range(2, 8):
        others = torch.randint(0, i - 1, (1,), generator=generator).tolist()
        operands[letters[i]] = [*(letters[j] for j in others), letters[i - 1]]
    operands[letters[3]] = [letters[2], letters[2]]  # a + a
    operands[letters[8]] = [letters[0]]
    slopes = {
        name: [round(s, 2) for s in torch.randn(len(of), generator=generator).tolist()]
        for name, of in operands.items()
    }
    return letters[7], operands, slopes


def _check_topological_order(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    root, operands, _ = _random_graph(generator)
    needed = set(topological_order(root, operands))
    found = candidate(root, operands)
    kind = f"found a {type(found).__name__}, expected a list of names"
    if found is None:
        kind = "found None, expected a list of names; does the function return its result?"
    yield holds("the type", isinstance(found, list), kind)
    twice = sorted({name for name in found if found.count(name) > 1})
    yield holds("each name once", not twice, f"found more than once: {', '.join(twice)}")
    missing = sorted(needed - set(found))
    yield holds("all that the root needs", not missing, f"missing: {', '.join(missing)}")
    surplus = sorted(set(found) - needed)
    yield holds("nothing else", not surplus, f"{root} does not need {', '.join(surplus)}")
    for name in found:
        late = [x for x in operands[name] if found.index(x) > found.index(name)]
        if late:
            yield holds("the order", False, f"{name} stands before its operand {late[0]}")
    yield holds("the order", True, "")


def _check_gradients(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    root, operands, slopes = _random_graph(generator)
    # by torch: each name is the sum of its operands times their slopes
    values: dict[str, torch.Tensor] = {}
    for name in topological_order(root, operands):
        terms = [values[x] * s for x, s in zip(operands[name], slopes[name], strict=True)]
        value = sum(terms, torch.zeros((), dtype=torch.float64)).requires_grad_()
        value.retain_grad()
        values[name] = value
    values[root].backward()  # type: ignore[no-untyped-call]
    found = candidate(root, operands, slopes)
    yield holds(
        "the type", isinstance(found, dict), f"found a {type(found).__name__}, expected a dict"
    )
    yield compare("the gradient of the root", found.get(root), 1.0)
    overwritten: dict[str, float] = {root: 1.0}
    for name in reversed(list(values)):
        for x, slope in zip(operands[name], slopes[name], strict=True):
            overwritten[x] = slope * overwritten[name]
    early = dict.fromkeys(values, 0.0) | {root: 1.0}  # handed on before it is complete

    def hand_on(name: str) -> None:
        for x, slope in zip(operands[name], slopes[name], strict=True):
            early[x] += slope * early[name]
            hand_on(x)

    hand_on(root)
    for name, value in reversed(values.items()):
        assert value.grad is not None
        mistakes = {
            "it is used more than once: add its gradients up (+=)": overwritten[name],
            "a gradient was handed on before it was complete: go through the topological order "
            "from its end": early[name],
            "nothing reached it: go from the root backward, not from the inputs": 0.0,
        }
        yield compare(
            f"the gradient of {name}", found.get(name), value.grad.item(), mistakes=mistakes
        )


def _check_softmax_loss(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    for words, scale, shift in (("", 1.0, 0.0), (" of large logits", 1.0, 1000.0)):
        numbers = torch.randn(4, generator=generator, dtype=torch.float64) * scale + shift
        numbers.requires_grad_()
        target = int(torch.randint(0, 4, (1,), generator=generator))
        expected = torch.nn.functional.cross_entropy(numbers[None], torch.tensor([target]))
        expected.backward()  # type: ignore[no-untyped-call]
        logits = [Value(x) for x in numbers.tolist()]
        loss = candidate(logits, target)
        probability = math.exp(-expected.item())
        mistakes = {
            "this is the probability; the loss is its -log": probability,
            "this is the log of the probability; the loss is -log": -expected.item(),
        }
        yield compare(f"the loss{words}", loss, expected.item(), mistakes=mistakes)
        yield holds(
            "its type",
            isinstance(loss, Value),
            f"found a {type(loss).__name__}, expected a Value: use logit.exp(), not math.exp",
        )
        loss.backward()
        assert numbers.grad is not None
        grads = [logit.grad for logit in logits]
        yield compare(f"the gradients{words}", grads, numbers.grad.tolist())


EXERCISES = [
    Exercise(
        "1.1",
        "numerical_gradient",
        title="The gradient, numerically",
        hint="For each position i make two copies of xs, one with xs[i] + h and one with xs[i] - h, "
        "and divide the difference of f by 2 * h. Do not change xs: the next derivative needs it.",
        solution=numerical_gradient,
        check=_check_numerical_gradient,
    ),
    Exercise(
        "1.2",
        "gradient_by_hand",
        title="The gradient, by hand",
        hint="Take one variable at a time; terms without it have derivative 0. sin(3b) is a chain: the "
        "slope of sin at 3b, times the slope of 3b. The square root of a is a^0.5.",
        solution=gradient_by_hand,
        check=_check_gradient_by_hand,
    ),
    Exercise(
        "1.3",
        "topological_order",
        title="A topological order",
        hint="Write an inner function visit(name): if the name is not in the list yet, visit each of "
        "its operands, and only then append the name.",
        solution=topological_order,
        check=_check_topological_order,
    ),
    Exercise(
        "1.4",
        "gradients",
        title="Backpropagation",
        hint="Begin with 0 for every name and 1 for the root. Go through the topological order from "
        "its end, and add slope * gradient to each operand's gradient.",
        solution=gradients,
        check=_check_gradients,
    ),
    Exercise(
        "1.5",
        "softmax_loss",
        title="Softmax and a loss",
        hint="Subtracting one constant m from all logits does not change the probabilities: the factor "
        "exp(-m) is above and below the fraction. Take the largest logit's data as m.",
        solution=softmax_loss,
        check=_check_softmax_loss,
    ),
]
