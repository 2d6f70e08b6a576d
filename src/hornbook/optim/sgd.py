"""Plain gradient descent, all parameters in one call."""

from __future__ import annotations

from collections.abc import Callable

import torch


class SGD(torch.optim.SGD):
    """p -= rate * gradient, as torch's, without its checks of what a plain descent does not use.

    At the notes' sizes those take longer than the update.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all parameters that have a gradient."""
        for group in self.param_groups:
            found = [p for p in group["params"] if p.grad is not None]
            if found:
                steps = torch._foreach_mul([p.grad for p in found], group["lr"])
                torch._foreach_sub_(found, steps)  # rounded as `training/replay.py` rounds

    # torch times each step for its profiler, unless this says that it is done: half of the time here
    step.hooked = True  # type: ignore[attr-defined]
