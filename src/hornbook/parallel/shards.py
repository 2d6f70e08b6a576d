"""Tensors that may be sharded over ranks. What torch needs for those is loaded where there are any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def replicas_of(requested: int, n_ranks: int) -> int:
    """How often all weights are there: as requested or, where that does not divide the ranks since a
    machine was lost or came, as often as divides both.

    >>> [replicas_of(4, n_ranks) for n_ranks in (8, 6, 3)]
    [4, 2, 1]
    """
    return math.gcd(requested, n_ranks)


def is_sharded(tensor: Tensor | None) -> TypeGuard[DTensor]:
    """Whether a tensor is sharded over ranks, by rows: each has some of them."""
    if tensor is None or type(tensor) in (Tensor, nn.Parameter):
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Of each tensor the rows that this rank has: all, where it is not sharded."""
    return [t.to_local() if is_sharded(t) else t for t in tensors]


def full(tensor: Tensor) -> Tensor:
    """All rows of a tensor, without its gradient; of a sharded one all ranks call this."""
    return tensor.full_tensor().detach() if is_sharded(tensor) else tensor.detach()


def as_rows(own: Tensor, like: Tensor) -> Tensor:
    """The rows that this rank has of a tensor, as the sharded tensor that is laid out like another."""
    from torch.distributed.tensor import DTensor

    assert isinstance(like, DTensor)
    return DTensor.from_local(
        own.to(like.device if not like.is_meta else own.device),
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )


def rows_of(n: int, rank: int, n_ranks: int) -> tuple[int, int]:
    """Which of n rows a rank has, as FSDP2 shards them: the first, and the one after its last. Pieces
    are of equal size, the last ones shorter or empty.

    >>> [rows_of(5, rank, 4) for rank in range(4)]
    [(0, 2), (2, 4), (4, 5), (5, 5)]
    """
    size = -(-n // n_ranks)
    return min(n, rank * size), min(n, (rank + 1) * size)


def own_rows(tensor: DTensor) -> tuple[int, int]:
    """Which rows of a sharded tensor this rank has; the last dimension of its mesh shards it."""
    mesh = tensor.device_mesh
    last = mesh.ndim - 1
    return rows_of(tensor.shape[0], mesh.get_local_rank(last), mesh.size(last))
