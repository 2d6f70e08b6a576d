"""Optimizers, with torch's names and update rules."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hornbook.autograd.value import Value


class Optimizer:
    """Base class: holds the parameters; `step()` changes their `data` using their `grad`."""

    def __init__(self, parameters: Iterable[Value], lr: float) -> None:
        """`lr` may change between steps. Raises ValueError without parameters, or unless lr > 0."""
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__}: no parameters; pass model.parameters()")
        if not lr > 0:
            raise ValueError(f"{type(self).__name__}: lr={lr}, expected a number above 0")
        self.lr = lr

    def zero_grad(self) -> None:
        """Sets every gradient to 0, before the next `backward()`."""
        for p in self.parameters:
            p.grad = 0.0

    def step(self) -> None:
        """Updates every parameter once."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum * v + grad; p -= lr * v."""

    def __init__(self, parameters: Iterable[Value], lr: float, momentum: float = 0.0) -> None:
        """Raises ValueError unless 0 <= momentum < 1."""
        super().__init__(parameters, lr)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum={momentum}, expected 0 <= momentum < 1")
        self.momentum = momentum
        self.velocity = [0.0] * len(self.parameters)

    def step(self) -> None:
        """Updates every parameter once."""
        lr, momentum = self.lr, self.momentum
        if not momentum:
            for p in self.parameters:
                p.data -= lr * p.grad
            return
        for i, p in enumerate(self.parameters):
            self.velocity[i] = momentum * self.velocity[i] + p.grad
            p.data -= lr * self.velocity[i]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with bias correction."""

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        """Raises ValueError unless 0 <= beta < 1 for both betas."""
        super().__init__(parameters, lr)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas={betas}, expected two numbers from 0 to below 1")
        self.betas, self.eps, self.steps = betas, eps, 0
        self.first_moment = [0.0] * len(self.parameters)
        self.second_moment = [0.0] * len(self.parameters)

    def step(self) -> None:
        """Updates every parameter once."""
        self.steps += 1
        beta1, beta2 = self.betas
        correction1, correction2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for i, p in enumerate(self.parameters):
            self.first_moment[i] = beta1 * self.first_moment[i] + (1 - beta1) * p.grad
            self.second_moment[i] = beta2 * self.second_moment[i] + (1 - beta2) * p.grad**2
            root = math.sqrt(self.second_moment[i] / correction2)
            p.data -= self.lr * (self.first_moment[i] / correction1) / (root + self.eps)
