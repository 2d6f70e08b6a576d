"""Muon: a hidden matrix is updated by its momentum, made orthogonal; other parameters by AdamW.

Orthogonal updates use all directions of a matrix alike, where Adam's are dominated by a few. The
orthogonalization is five steps of a Newton-Schulz iteration in products of matrices, done for all
matrices of one shape at once. Jordan et al. 2024, "Muon: an optimizer for hidden layers".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # push singular values towards 1, fast but not exactly
STEPS = 5


class Muon(torch.optim.AdamW):
    """AdamW whose groups with `muon=True` (matrices only) are updated by Muon.

    `momentum` is Muon's decay rate, in Nesterov's form; weight decay is decoupled in both.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, momentum: float = 0.95, **adamw: Any
    ) -> None:
        super().__init__(groups, **adamw)
        for group in self.param_groups:
            group.setdefault("muon", False)
            group.setdefault("momentum", momentum)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all groups from their gradients."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        super().step(closure)
        self.param_groups = groups
        for group in groups:
            if group["muon"]:
                self._muon(group)

    def _muon(self, group: dict[str, Any]) -> None:
        shapes: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                shapes[tuple(parameter.shape)].append(parameter)
        momentum, lr = group["momentum"], group["lr"]
        for (rows, columns), parameters in shapes.items():
            gradients = [p.grad for p in parameters if p.grad is not None]
            momenta = [self._momentum(p) for p in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - momentum)
            ahead = torch._foreach_lerp(gradients, momenta, momentum)
            updates = orthogonalize(torch.stack(list(ahead))) * max(1, rows / columns) ** 0.5
            torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
            torch._foreach_add_(parameters, list(updates.unbind()), alpha=-lr)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(
                (), dtype=torch.float32, device="cpu"
            )  # AdamW expects it when a state is loaded
        buffer: Tensor = state["momentum"]
        return buffer


def orthogonalize(matrices: Tensor, steps: int = STEPS) -> Tensor:
    """Approximately the nearest semi-orthogonal matrix of each, (n, rows, columns) -> the same.

    Singular values end between 0.7 and 1.2. In bf16 on a GPU, which is exact enough and fast.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
