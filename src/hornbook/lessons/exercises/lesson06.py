"""Exercises of lesson 6: initialization, BatchNorm and diagnostics.

B batch, H hidden units, V vocabulary, N examples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

EPS = 1e-5


def idle(h: Tensor) -> tuple[float, int]:
    """The share of outputs beyond 0.97, and how many units are so on every example."""
    flat = h.abs() > 0.97
    return flat.float().mean().item(), int(flat.all(0).sum())


def _check_idle(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, H = torch.randint(5, 30, (2,), generator=generator).tolist()
    z = 2 * torch.randn(B, H, generator=generator)
    z[:, :3] = 3 + z[:, :3].abs()
    z[1] = 3 + z[1].abs()
    z[0, 1] = -4  # saturated on both sides, and dead
    h = torch.tanh(z)
    found = candidate(h.clone())
    pair = isinstance(found, tuple | list) and len(found) == 2
    yield holds("two results", pair, "expected two numbers: a share, and a count of units")
    count = sum(abs(x) > 0.97 for x in h.flatten().tolist())
    columns = h.T.tolist()
    mistakes: dict[str, Any] = {
        "outputs near -1 are saturated as well; take abs()": (h > 0.97).float().mean(),
        "this is a count; divide by the number of outputs": count,
        "this is a percentage; return a share between 0 and 1": 100 * count / (B * H),
        "this is the share that is not saturated": 1 - count / (B * H),
    }
    yield compare("share of saturated outputs", found[0], count / (B * H), mistakes=mistakes)
    expected = sum(min(map(abs, column)) > 0.97 for column in columns)
    mistakes = {
        "these are units that are saturated on some example; dead ones are so on every one": sum(
            max(map(abs, column)) > 0.97 for column in columns
        ),
        "these are examples; a unit is a column of h": sum(
            min(map(abs, row)) > 0.97 for row in h.tolist()
        ),
        "a unit is dead too where it is near 1 on some examples and near -1 on others; take abs() "
        "first": sum(min(column) > 0.97 for column in columns),
        "this is a share; count the units": expected / H,
    }
    yield compare("dead units", found[1], expected, mistakes=mistakes)


def scale_weight(weight: Tensor, gain: float) -> Tensor:
    """weight gain / sqrt(fan_in), (fan_in, fan_out)."""
    return weight * gain / math.sqrt(weight.shape[0])


def _check_scale_weight(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    fan_in, fan_out = torch.randint(20, 60, (2,), generator=generator).tolist()
    fan_out += fan_in
    gain = 0.5 + torch.rand(1, generator=generator).item()
    weight = torch.randn(fan_in, fan_out, generator=generator)
    mistakes = {
        "divide by the square root of the fan-in, not by the fan-in": weight * gain / fan_in,
        "this is the square root of fan_out, shape[1]; the sum runs over fan_in": weight
        * gain
        / fan_out**0.5,
        "the gain is missing": weight / fan_in**0.5,
        "divide by the square root of the fan-in, do not multiply": weight * gain * fan_in**0.5,
        "the weights become larger with the gain: multiply by it": weight / gain / fan_in**0.5,
        "divide by the square root of the fan-in": weight * gain,
    }
    found = candidate(weight.clone(), gain)
    what = f"weight {(fan_in, fan_out)}, gain {gain:.2f}"
    yield compare(what, found, weight * (gain / math.sqrt(fan_in)), mistakes=mistakes)


def zero_start(Y: Tensor, vocab_size: int) -> Tensor:
    """How often each token is a target: only the last bias learns, and it learns that.

    h = tanh(0) is 0, so W2 gets no gradient; W2 is 0, so no gradient passes on to W1, b1 and C.
    """
    return torch.bincount(Y, minlength=vocab_size) / len(Y)


def _check_zero_start(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    V = int(torch.randint(4, 9, (1,), generator=generator))
    drawn = torch.rand(60, generator=generator).square().mul(V).long()  # small ids more often
    Y = torch.cat([torch.arange(V), drawn])
    X = torch.randint(0, V, (len(Y), 3), generator=generator)
    found = candidate(Y.clone(), V)
    if isinstance(found, Tensor) and not found.is_floating_point():
        found = found.float()  # counts: what they are matters more than their dtype
    expected = _trained_from_zero(X, Y, V)
    mistakes = {
        "that is the start, when all are equally likely; the last bias learns from then on": torch.full(
            (V,), 1 / V
        ),
        "these are counts; probabilities add up to 1": expected * len(Y),
        "divide by the number of targets, not by the number of tokens": expected * len(Y) / V,
        "these are logits; return probabilities": expected.log(),
        "these are softmaxes of frequencies; the bias becomes their logarithm, so softmax gives "
        "the frequencies themselves": expected.softmax(0),
        "the most frequent token is not certain: the loss of all others would be infinite": F.one_hot(
            expected.argmax(), V
        ).float(),
    }
    what = f"{V} tokens, {len(Y)} targets, against a network that was trained from zero"
    yield compare(what, found, expected, mistakes=mistakes, atol=1e-4, rtol=1e-3)


def _trained_from_zero(X: Tensor, Y: Tensor, V: int) -> Tensor:
    """The probabilities that an MLP of zeros predicts for the first context after training."""
    model = torch.nn.Sequential(
        torch.nn.Embedding(V, 4), torch.nn.Flatten(), torch.nn.Linear(12, 8), torch.nn.Tanh(),
        torch.nn.Linear(8, V),
    )  # fmt: skip
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=100, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(model(X), Y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        out: Tensor = model(X[:1]).softmax(1)[0]
    return out


def batchnorm_step(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The output (B, H), and the new running mean and variance, (H,) each."""
    mean, variance = x.mean(0), x.var(0)
    y = gamma * (x - mean) / torch.sqrt(variance + 1e-5) + beta
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * variance
    return y, new_mean, new_var


def _check_batchnorm_step(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, H = torch.randint(3, 9, (2,), generator=generator).tolist()
    x = 2 + 3 * torch.randn(B, H, generator=generator)
    gamma, beta, mean = torch.randn(3, H, generator=generator)
    variance = 1 + torch.rand(H, generator=generator)
    momentum = 0.05 + 0.3 * torch.rand(1, generator=generator).item()
    given = (x, gamma, beta, mean, variance)
    copies = tuple(t.clone() for t in given)
    found = candidate(*copies, momentum)
    three = isinstance(found, tuple | list) and len(found) == 3
    yield holds("three results", three, "expected three tensors: output, new mean, new variance")
    same = all(torch.equal(a, b) for a, b in zip(copies, given, strict=True))
    yield holds("the arguments", same, "an argument was changed in place; make new tensors instead")
    # torch divides by the variance over n: a gamma that is smaller makes that of n - 1 from it
    ratio = ((B - 1) / B) ** 0.5
    expected = F.batch_norm(x, None, None, gamma * ratio, beta, True, eps=EPS * (B - 1) / B)
    mistakes = {
        "take the variance over n - 1, as x.var does by default": F.batch_norm(
            x, None, None, gamma, beta, True, eps=EPS
        ),
        "gamma is missing": (expected - beta) / gamma + beta,
        "beta is missing": expected - beta,
        "each unit is normalized over the examples, not each example over its units: use mean(0)": gamma
        * (x - x.mean(1, keepdim=True))
        / (x.var(1, keepdim=True) + EPS).sqrt()
        + beta,
        "in training the output uses the batch's own statistics": gamma
        * (x - mean)
        / (variance + EPS).sqrt()
        + beta,
        "in training the output uses the batch's own statistics, not the new running ones": gamma
        * (x - (mean + momentum * (x.mean(0) - mean)))
        / (variance + momentum * (x.var(0) - variance) + EPS).sqrt()
        + beta,
        "divide by the square root of the variance": gamma * (x - x.mean(0)) / (x.var(0) + EPS)
        + beta,
    }
    yield compare("output", found[0], expected, mistakes=mistakes, atol=1e-5)
    layer = torch.nn.BatchNorm1d(H, momentum=momentum)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    layer(x)
    for what, new, right, old, batch in (
        ("running mean", found[1], layer.running_mean, mean, x.mean(0)),
        ("running variance", found[2], layer.running_var, variance, x.var(0)),
    ):
        mistakes = {
            "momentum is the weight of the batch, 1 - momentum that of the old value": momentum
            * old
            + (1 - momentum) * batch,
            "this is the batch's own; move the old value only a little": batch,
            "this is the old value; move it a little toward the batch's": old,
            "take the variance over n - 1, as x.var does by default": (1 - momentum) * old
            + momentum * x.var(0, correction=0),
            "this is made from standard deviations; keep a variance": (1 - momentum) * old
            + momentum * x.std(0),
        }
        yield compare(what, new, right, mistakes=mistakes, atol=1e-5)


def fold_batchnorm(
    weight: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The weight (fan_in, H) and the bias (H,) of a layer that does both."""
    scale = gamma / torch.sqrt(variance + eps)
    return weight * scale, beta - mean * scale


def _check_fold(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    fan_in, H = torch.randint(3, 9, (2,), generator=generator).tolist()
    H += fan_in
    weight = torch.randn(fan_in, H, generator=generator)
    gamma, beta, mean = torch.randn(3, H, generator=generator)
    variance = torch.rand(H, generator=generator) + 0.1
    eps = 0.01 + 0.1 * torch.rand(1, generator=generator).item()
    given = [weight, gamma, beta, mean, variance]
    found = candidate(*(t.clone() for t in given), eps)
    pair = isinstance(found, tuple | list) and len(found) == 2
    yield holds("two results", pair, "expected two tensors: a weight and a bias")
    x = torch.randn(4 * fan_in, fan_in, generator=generator)
    both = F.batch_norm(x @ weight, mean, variance, gamma, beta, False, eps=eps)
    # the weight and the bias that do it for every x, by least squares from inputs and outputs
    ones = torch.cat([x, torch.ones(len(x), 1)], 1).double()
    exact = torch.linalg.lstsq(ones, both.double()).solution.float()
    scale = gamma / (variance + eps).sqrt()
    mistakes = {
        "eps is missing": weight * gamma / variance.sqrt(),
        "gamma is missing": weight / (variance + eps).sqrt(),
        "divide by the square root of variance + eps": weight * gamma / (variance + eps),
        "divide by the square root of the variance plus eps, eps inside the root": weight
        * gamma
        / (variance.sqrt() + eps),
    }
    yield compare("weight", found[0], exact[:-1], mistakes=mistakes, atol=1e-4)
    mistakes = {
        "the mean is scaled as well: it is subtracted before": beta - mean,
        "the mean is missing": beta,
        "the mean is subtracted, not added": beta + mean * scale,
        "beta is added after the scaling, so it is not scaled itself": (beta - mean) * scale,
        "beta is missing": -mean * scale,
    }
    yield compare("bias", found[1], exact[-1], mistakes=mistakes, atol=1e-4)
    yield compare("both together, on fresh inputs", x @ found[0] + found[1], both, atol=1e-4)


def update_ratio(parameter: Tensor, gradient: Tensor, learning_rate: float) -> float:
    """log10 of (learning rate * gradient).std() / parameter.std()."""
    return ((learning_rate * gradient).std() / parameter.std()).log10().item()


def _check_update_ratio(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    shape = torch.randint(3, 9, (2,), generator=generator).tolist()
    parameter = torch.randn(shape, generator=generator) + 0.5
    gradient = torch.randn(shape, generator=generator) * 0.01
    rate = 0.01 + torch.rand(1, generator=generator).item()
    leaf = parameter.clone().requires_grad_()
    torch.optim.SGD([leaf], lr=rate).zero_grad()
    leaf.grad = gradient.clone()
    torch.optim.SGD([leaf], lr=rate).step()
    change = (leaf.detach() - parameter).double()
    right = math.log10(change.std().item() / parameter.double().std().item())
    data = parameter.double()
    raw = gradient.double()
    mistakes = {
        "take the logarithm to base 10": 10**right,
        "this is the natural logarithm; take log10": right * math.log(10),
        "the learning rate is missing: the update is learning_rate * gradient": math.log10(
            raw.std() / data.std()
        ),
        "this is data : update; turn it round": -right,
        "take standard deviations, not mean absolute values": math.log10(
            change.abs().mean() / data.abs().mean()
        ),
        "divide two standard deviations; this is the standard deviation of the quotients": math.log10(
            (change / data).std()
        ),
        "take standard deviations, not norms": math.log10(change.norm() / data.norm()),
    }
    found = candidate(parameter.clone(), gradient.clone(), rate)
    yield compare("log10 of update : data", found, right, mistakes=mistakes, rtol=1e-3)


EXERCISES = [
    Exercise(
        "6.1", "idle", title="Saturated and dead",
        hint="h.abs() > 0.97 is a tensor of True and False. Its mean, as float, is the share. A "
        "dead unit is a column in which all are True: all(0).",
        solution=idle, check=_check_idle,
    ),
    Exercise(
        "6.2", "scale_weight", title="Weights of the right size",
        hint="An output is a sum of fan_in products, so it is sqrt(fan_in) times too large. fan_in "
        "is weight.shape[0].",
        solution=scale_weight, check=_check_scale_weight,
    ),
    Exercise(
        "6.3", "zero_start", title="What if all weights are 0?",
        hint="h = tanh(0) = 0, so the gradient of W2, h.T @ dlogits, is 0. And W2 is 0, so nothing "
        "passes back through it. Only b2 learns. Which probabilities, the same for all contexts, "
        "have the lowest loss?",
        solution=zero_start, check=_check_zero_start,
    ),
    Exercise(
        "6.4", "batchnorm_step", title="BatchNorm with its running statistics",
        hint="Compute x.mean(0) and x.var(0) once and use them twice: for the output, and for the "
        "running averages (1 - momentum) * old + momentum * new.",
        solution=batchnorm_step, check=_check_batchnorm_step,
    ),
    Exercise(
        "6.5", "fold_batchnorm", title="Fold BatchNorm into the layer before it",
        hint="With s = gamma / sqrt(variance + eps), BatchNorm is s * (x @ weight - mean) + beta. "
        "Multiply out: what stands in front of x, and what is left?",
        solution=fold_batchnorm, check=_check_fold,
    ),
    Exercise(
        "6.6", "update_ratio", title="How far a step goes",
        hint="The update is learning_rate * gradient. Divide its standard deviation by that of the "
        "parameter, then log10().",
        solution=update_ratio, check=_check_update_ratio,
    ),
]  # fmt: skip
