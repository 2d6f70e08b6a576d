"""Muon for matrices whose rows are sharded over ranks: each rank orthogonalizes some of them, whole.

The Newton-Schulz iteration needs whole matrices. Left to DTensor, each of its products gathers them
on every rank, and all ranks compute the same. Here matrices are dealt over the ranks: an all-to-all
sends the shards of each to its rank, which orthogonalizes it once, and another sends the results back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hornbook.optim.muon import Muon, orthogonalize
from hornbook.parallel.shards import local, rows_of

Shape = tuple[int, int]


class SpreadMuon(Muon):
    """`Muon` for parameters that are sharded by rows; equal to it but for rounding.

    The last dimension of their mesh is the one that they are sharded over (`parallel/sharded.py`).
    """

    def _muon(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        momentum, lr = group["momentum"], group["lr"]
        values, gradients = local(parameters), local([p.grad for p in parameters])
        momenta = local([self._momentum(p) for p in parameters])
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, momenta, momentum)
        shapes = tuple(tuple(p.shape) for p in parameters)
        mesh = parameters[0].device_mesh
        updates = orthogonalize_shards(list(ahead), shapes, mesh.get_group(mesh.ndim - 1))
        torch._foreach_mul_(values, 1 - lr * group["weight_decay"])
        torch._foreach_add_(values, updates, alpha=-lr)


def orthogonalize_shards(
    shards: Sequence[Tensor], shapes: tuple[Shape, ...], group: dist.ProcessGroup
) -> list[Tensor]:
    """The rows of this rank of the updates of matrices, of which it has the rows `shards`.

    shapes: those of the whole matrices. All ranks of the group call this with the same ones. Updates
    are orthogonalized and scaled as `Muon` scales them.
    """
    world, rank = group.size(), group.rank()
    dealt = deal(shapes, world)
    own = dealt[rank]
    edges = [[rows_of(n, r, world) for n, _ in shapes] for r in range(world)]
    rows = [[end - first for first, end in of_rank] for of_rank in edges]
    sizes = [[rows[r][k] * shapes[k][1] for k in own] for r in range(world)]  # of what comes here

    order = [k for r in range(world) for k in dealt[r]]
    counts = [sum(shards[k].numel() for k in dealt[r]) for r in range(world)]
    sent = torch.cat([shards[k].reshape(-1) for k in order])
    received = sent.new_empty(sum(map(sum, sizes)))
    dist.all_to_all_single(received, sent, [sum(s) for s in sizes], counts, group=group)

    pieces = iter(torch.split(received, [n for s in sizes for n in s]))
    parts: list[list[Tensor]] = [[next(pieces).view(-1, shapes[k][1]) for k in own] for _ in sizes]
    matrices = [torch.cat([part[i] for part in parts]) for i in range(len(own))]
    updates = _updates(matrices)
    back = [
        torch.split(u, [rows[r][k] for r in range(world)])
        for u, k in zip(updates, own, strict=True)
    ]
    ready = [own_rows[r].reshape(-1) for r in range(world) for own_rows in back]
    result = torch.cat(ready) if ready else received
    returned = torch.empty_like(sent)
    dist.all_to_all_single(returned, result, counts, [sum(s) for s in sizes], group=group)
    found = dict(zip(order, torch.split(returned, [shards[k].numel() for k in order]), strict=True))
    return [found[k].view_as(shards[k]) for k in range(len(shards))]


def _updates(matrices: Sequence[Tensor]) -> list[Tensor]:
    """The update of each matrix; those of one shape are computed together."""
    by_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for i, matrix in enumerate(matrices):
        by_shape[matrix.shape].append(i)
    updates: list[Tensor] = list(matrices)
    for (rows, columns), indices in by_shape.items():
        stacked = torch.stack([matrices[i] for i in indices])
        made = orthogonalize(stacked) * max(1, rows / columns) ** 0.5
        for i, update in zip(indices, made.unbind(), strict=True):
            updates[i] = update
    return updates


@lru_cache(maxsize=8)
def deal(shapes: tuple[Shape, ...], n_ranks: int) -> tuple[tuple[int, ...], ...]:
    """Which matrices each rank orthogonalizes: the most expensive first, each to the rank that has the
    least work so far.

    >>> deal(((4, 4), (8, 8), (4, 4)), 2)
    ((1,), (0, 2))
    """
    cost = [rows * columns * min(rows, columns) for rows, columns in shapes]
    work = [0] * n_ranks
    dealt: list[list[int]] = [[] for _ in work]
    for k in sorted(range(len(shapes)), key=lambda k: -cost[k]):
        rank = work.index(min(work))
        work[rank] += cost[k]
        dealt[rank].append(k)
    return tuple(tuple(sorted(own)) for own in dealt)
