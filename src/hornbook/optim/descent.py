"""Plain gradient descent."""

from __future__ import annotations

from collections.abc import Callable

import torch


class GradientDescent(torch.optim.SGD):
    """p -= lr * gradient, for all parameters of a group in one call.

    The product is rounded before the difference, as in a compiled step (torch.optim.SGD rounds once),
    so that a step is the same to the bit however it is made.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all parameters that have a gradient."""
        for group in self.param_groups:
            found = [p for p in group["params"] if p.grad is not None]
            if found:
                torch._foreach_sub_(found, torch._foreach_mul([p.grad for p in found], group["lr"]))
