"""The exercises of lesson 6 pass with their solutions and say what is wrong with common mistakes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.exercises.lesson06 import batchnorm_step, fold_batchnorm, idle
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", ["6.1", "6.2", "6.3", "6.4", "6.5", "6.6"])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def test_saturated_outputs() -> None:
    def share(h: Tensor) -> float:
        return float((h.abs() > 0.97).float().mean())

    def dead(h: Tensor) -> int:
        return int((h.abs() > 0.97).all(0).sum())

    fails("6.1", lambda h: ((h > 0.97).float().mean(), dead(h)), "take abs()")
    fails("6.1", lambda h: ((h.abs() > 0.97).sum(), dead(h)), "this is a count")
    fails("6.1", lambda h: (100 * share(h), dead(h)), "percentage")
    fails("6.1", lambda h: (1 - share(h), dead(h)), "not saturated")
    fails("6.1", lambda h: (share(h), (h.abs() > 0.97).any(0).sum()), "on some example")
    fails("6.1", lambda h: (share(h), (h.abs() > 0.97).all(1).sum()), "a unit is a column")
    fails("6.1", lambda h: (share(h), (h > 0.97).all(0).sum()), "near -1 on others")
    fails("6.1", lambda h: (share(h), dead(h) / h.shape[1]), "count the units")
    fails("6.1", lambda h: share(h), "expected two numbers")
    fails("6.1", lambda h: idle(h)[::-1])


def test_weights_of_another_size() -> None:
    fails("6.2", lambda w, gain: w * gain / len(w), "not by the fan-in")
    fails("6.2", lambda w, gain: w * gain / w.shape[1] ** 0.5, "the square root of fan_out")
    fails("6.2", lambda w, gain: w / len(w) ** 0.5, "the gain is missing")
    fails("6.2", lambda w, gain: w * gain * len(w) ** 0.5, "do not multiply")
    fails("6.2", lambda w, gain: w / gain / len(w) ** 0.5, "multiply by it")
    fails("6.2", lambda w, gain: w * gain, "divide by the square root of the fan-in")
    fails("6.2", lambda w, gain: w.T * gain / len(w) ** 0.5, "found shape")


def test_what_a_network_of_zeros_learns() -> None:
    def frequencies(Y: Tensor, v: int) -> Tensor:
        return torch.bincount(Y, minlength=v) / len(Y)

    fails("6.3", lambda Y, v: torch.full((v,), 1 / v), "that is the start")
    fails("6.3", lambda Y, v: torch.bincount(Y, minlength=v).float(), "these are counts")
    fails("6.3", lambda Y, v: frequencies(Y, v).log(), "return probabilities")
    fails("6.3", lambda Y, v: frequencies(Y, v).softmax(0), "softmaxes of frequencies")
    fails("6.3", lambda Y, v: F.one_hot(Y.mode()[0], v).float(), "most frequent token")
    fails("6.3", lambda Y, v: torch.bincount(Y, minlength=v), "these are counts")
    fails("6.3", lambda Y, v: torch.bincount(Y, minlength=v) / v, "number of targets")


def test_only_the_last_bias_of_a_network_of_zeros_has_a_gradient() -> None:
    C, W1, b1 = torch.zeros(5, 2), torch.zeros(6, 4), torch.zeros(4)
    W2, b2 = torch.zeros(4, 5), torch.randn(5)
    parameters = [p.requires_grad_() for p in (C, W1, b1, W2, b2)]
    h = torch.tanh(C[torch.randint(0, 5, (9, 3))].view(9, 6) @ W1 + b1)
    F.cross_entropy(h @ W2 + b2, torch.randint(0, 5, (9,))).backward()
    moves = [bool(p.grad is not None and p.grad.any()) for p in parameters]
    assert moves == [False, False, False, False, True]


def test_batchnorm_with_a_part_wrong() -> None:
    def step(
        x: Tensor, gamma: Tensor, beta: Tensor, *rest: object, wrong: str
    ) -> tuple[Tensor, ...]:
        old_mean, old_var, momentum = rest
        assert isinstance(old_mean, Tensor)
        assert isinstance(old_var, Tensor)
        m = float(momentum)  # type: ignore[arg-type]
        dim = 1 if wrong == "rows" else 0
        mean, var = x.mean(dim, keepdim=True), x.var(dim, keepdim=True)
        if wrong == "biased":
            var = x.var(0, correction=0, keepdim=True)
        if wrong == "old":
            mean, var = old_mean, old_var
        scale = var + 1e-5 if wrong == "root" else (var + 1e-5).sqrt()
        normal = (x - mean) / scale
        y = normal * (1 if wrong == "gamma" else gamma) + (0 if wrong == "beta" else beta)
        weight = 1 - m if wrong == "momentum" else m
        keep = 0 if wrong == "newest" else 1 - weight
        weight = 0 if wrong == "unmoved" else 1 if wrong == "newest" else weight
        keep = 1 if wrong == "unmoved" else keep
        second = x.std(0) if wrong == "std" else x.var(0)
        second = x.var(0, correction=0) if wrong == "running biased" else second
        return y, keep * old_mean + weight * x.mean(0), keep * old_var + weight * second

    for wrong, said in {
        "rows": "use mean(0)", "biased": "over n - 1", "old": "the batch's own statistics",
        "root": "divide by the square root", "gamma": "gamma is missing", "beta": "beta is missing",
        "momentum": "momentum is the weight of the batch", "newest": "move the old value only a little",
        "unmoved": "this is the old value", "std": "keep a variance",
        "running biased": "running variance: the largest",
    }.items():  # fmt: skip
        fails("6.4", lambda *a, wrong=wrong: step(*a, wrong=wrong), said)

    def in_place(*a: object) -> tuple[Tensor, Tensor, Tensor]:
        found = batchnorm_step(*a)  # type: ignore[arg-type]
        a[3].copy_(found[1])  # type: ignore[attr-defined]
        return found

    fails("6.4", in_place, "changed in place")

    def by_running(x: Tensor, gamma: Tensor, beta: Tensor, *old: Any) -> tuple[Tensor, ...]:
        _, mean, variance = batchnorm_step(x, gamma, beta, *old)
        return gamma * (x - mean) / (variance + 1e-5).sqrt() + beta, mean, variance

    fails("6.4", by_running, "not the new running ones")
    fails("6.4", lambda *a: batchnorm_step(*a)[0], "expected three tensors")


def test_folding_with_a_part_missing() -> None:
    def fold(*a: Tensor, wrong: str) -> tuple[Tensor, Tensor]:
        w, gamma, beta, mean, var, eps = a
        s = gamma / (var + eps).sqrt()
        return {
            "eps": (w * gamma / var.sqrt(), beta - mean * s),
            "gamma": (w / (var + eps).sqrt(), beta - mean * s),
            "root": (w * gamma / (var + eps), beta - mean * s),
            "outside": (w * gamma / (var.sqrt() + eps), beta - mean * s),
            "unscaled": (w * s, beta - mean),
            "no mean": (w * s, beta),
            "added": (w * s, beta + mean * s),
            "scaled": (w * s, (beta - mean) * s),
            "no beta": (w * s, -mean * s),
        }[wrong]

    for wrong, said in {
        "eps": "eps is missing", "gamma": "gamma is missing", "root": "divide by the square root",
        "outside": "eps inside the root", "unscaled": "the mean is scaled as well",
        "no mean": "the mean is missing", "added": "subtracted, not added",
        "scaled": "beta is added after the scaling", "no beta": "beta is missing",
    }.items():  # fmt: skip
        fails("6.5", lambda *a, wrong=wrong: fold(*a, wrong=wrong), said)
    # a row is scaled instead of a column
    fails(
        "6.5",
        lambda w, g, b, m, v, e: (w * (g / (v + e).sqrt())[:, None], b),
        "raised RuntimeError",
    )
    fails("6.5", lambda *a: fold_batchnorm(*a)[0], "expected two tensors")


def test_ratios_of_other_things() -> None:
    def ratio(p: Tensor, g: Tensor, rate: float) -> float:
        return float((rate * g).std() / p.std())

    fails("6.6", ratio, "take the logarithm")
    fails("6.6", lambda p, g, rate: math.log(ratio(p, g, rate)), "natural logarithm")
    fails("6.6", lambda p, g, rate: math.log10(ratio(p, g, 1)), "learning rate is missing")
    fails("6.6", lambda p, g, rate: -math.log10(ratio(p, g, rate)), "turn it round")
    fails(
        "6.6",
        lambda p, g, rate: (rate * g.abs().mean() / p.abs().mean()).log10(),
        "not mean absolute",
    )
    fails("6.6", lambda p, g, rate: (rate * g.norm() / p.norm()).log10(), "not norms")
    fails("6.6", lambda p, g, rate: (rate * g / p).std().log10(), "divide two standard deviations")
