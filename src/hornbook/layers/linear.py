"""torch's linear layer, faster for the one row that a text is written with."""

from __future__ import annotations

import functools
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDE = 1024  # columns of W from which x W^T is faster than W x
SIDES = 1536, 384  # of the matrices by which it is measured what is faster here
TIMES = 15
PAYS = 0.8  # of the time: the two differ by far or not at all, and noise is not to choose


class Linear(nn.Linear):
    """x W^T + b, (..., in) -> (..., out).

    One row alone only reads W once, so its speed is that of the memory. Some BLAS read it on one
    thread, 12 GB/s on two AVX2 cores of AMD, where a batch of the rows of W in pieces is read on
    both, 28 to 35 (a plain sum: 34 to 38). Others know better: on two cores of an Intel Xeon pieces
    take 1.4 times as long. So it is measured once, in 2 ms; where `plain`, or torch is to be
    deterministic, it is torch's own.
    """

    plain = False

    def forward(self, x: Tensor) -> Tensor:
        """The product, and the bias where there is one."""
        one = x.numel() == self.in_features and x.shape[-1:] == (self.in_features,)
        if not one or torch.is_grad_enabled() or not x.is_cpu or x.dtype != self.weight.dtype:
            return super().forward(x)
        if self.plain or torch.are_deterministic_algorithms_enabled():
            return super().forward(x)
        pieces = max(2, torch.get_num_threads())
        if len(self.weight) % pieces or not pieces_pay(pieces, wide=x.numel() >= WIDE):
            return super().forward(x)
        return in_pieces(x, self.weight, self.bias, pieces)


def in_pieces(x: Tensor, weight: Tensor, bias: Tensor | None, pieces: int) -> Tensor:
    """The same for one row, (..., in) -> (..., out), by so many pieces of the rows of W."""
    rows = weight.view(pieces, -1, x.numel())
    if x.numel() < WIDE:
        # x for each piece; a last stride of 1 would mean a product 5 times as slow
        factors = rows, x.contiguous().as_strided((pieces, x.numel(), 1), (0, 1, x.numel()))
    else:
        factors = x.reshape(1, 1, -1).expand(pieces, -1, -1), rows.mT
    if bias is None:
        out = torch.bmm(*factors)
    else:
        out = torch.baddbmm(bias.view(pieces, factors[0].shape[1], -1), *factors)
    return out.view(*x.shape[:-1], -1)


@functools.cache
def pieces_pay(pieces: int, *, wide: bool) -> bool:
    """Whether `in_pieces` is clearly faster here than torch's own product: measured once."""
    n_out, n_in = reversed(SIDES) if wide else SIDES
    x, weight, bias = torch.ones(1, 1, n_in), torch.ones(n_out, n_in), torch.ones(n_out)
    seconds: list[list[float]] = [[], []]
    for _ in range(TIMES):  # the fastest of each, in turns: other work only adds
        begin = time.perf_counter()
        F.linear(x, weight, bias)
        middle = time.perf_counter()
        in_pieces(x, weight, bias, pieces)
        seconds[0].append(middle - begin)
        seconds[1].append(time.perf_counter() - middle)
    return min(seconds[1]) < PAYS * min(seconds[0])
