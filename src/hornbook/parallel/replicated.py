"""Weights that every rank holds: each computes gradients of its share of a batch; these are summed.

The loss is per token over the whole batch: each rank divides the sum of its losses by the number of
targets that all ranks score. A mean of means would be another loss wherever ranks score different
numbers. Gradients are sent in buckets while others are still computed (Li et al. 2020, "PyTorch
Distributed"). torch's DistributedDataParallel lays its buckets out anew after its first step, so a
resumed run of three or more ranks would add in another order; here the order never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from hornbook.layers.basic import BatchNorm1d
from hornbook.models.base import LanguageModel
from hornbook.parallel.ranks import Ranks

BUCKET_BYTES = 25 << 20  # of gradients sent at once, as torch's DistributedDataParallel has it


class Replicated:
    """The same weights on all ranks: those of rank 0, updated by the same gradients.

    Of each step: `begin` before the last backward pass, whose gradients are final, `finish` after it.
    BatchNorm measures the statistics of the whole batch.
    """

    def __init__(self, ranks: Ranks, model: LanguageModel) -> None:
        self.ranks = ranks
        weights = ranks.broadcast_tensors(model.state_dict())
        model.load_state_dict(weights)
        synchronize_batchnorm(model, ranks)
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.buckets = buckets(parameters[::-1])  # the last layers' gradients come first
        self._bucket_of = {id(p): i for i, ps in enumerate(self.buckets) for p in ps}
        self._left: list[int] = []  # gradients that each bucket waits for; none outside of a step
        self._sent: list[tuple[Tensor, Any]] = []
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._on_gradient)  # type: ignore[no-untyped-call]

    def begin(self, loss: Tensor) -> None:
        """The gradients of the next backward pass are final. loss: the sum of this rank's losses, which
        becomes that of all."""
        self._left = [len(bucket) for bucket in self.buckets]
        with self.ranks.talking():
            self._loss = dist.all_reduce(loss, async_op=True)

    def finish(self) -> None:
        """Waits for the sums of all ranks, which are the gradients now."""
        with self.ranks.talking():
            while len(self._sent) < len(self.buckets):  # what the loss does not depend on is 0
                self._send()
            self._loss.wait()
            for bucket, (flat, work) in zip(self.buckets, self._sent, strict=True):
                work.wait()
                pieces = torch.split(flat, [p.numel() for p in bucket])
                for parameter, piece in zip(bucket, pieces, strict=True):
                    parameter.grad = piece.view_as(parameter)
        self._left, self._sent = [], []

    def _on_gradient(self, parameter: Tensor) -> None:
        """Sends each bucket whose gradients are there, in an order that is the same on all ranks."""
        if not self._left:
            return
        self._left[self._bucket_of[id(parameter)]] -= 1
        with self.ranks.talking():
            while len(self._sent) < len(self._left) and self._left[len(self._sent)] == 0:
                self._send()

    def _send(self) -> None:
        bucket = self.buckets[len(self._sent)]
        flat = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in bucket]
        )
        self._sent.append((flat, dist.all_reduce(flat, async_op=True)))


def buckets(parameters: Sequence[Tensor], most: int = BUCKET_BYTES) -> list[list[Tensor]]:
    """Parameters in groups of one dtype whose gradients are sent together, `most` bytes or one each."""
    found: list[list[Tensor]] = []
    size = 0
    for parameter in parameters:
        full = size + parameter.nbytes > most
        if not found or full or found[-1][0].dtype != parameter.dtype:
            found.append([])
            size = 0
        found[-1].append(parameter)
        size += parameter.nbytes
    return found


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of what a rank draws in a step, such as dropout: a function of these alone."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


class _Sum(torch.autograd.Function):
    """The sum over all ranks, of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(x.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.sum(gradient.clone()), None


class SynchronizedBatchNorm1d(BatchNorm1d):
    """`BatchNorm1d` by the statistics of the whole batch, of which each rank has a share."""

    ranks: Ranks

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (N, C) normalized, the mean and unbiased variance over all ranks, (C,) each."""
        count = self.ranks.sum(torch.tensor(float(len(x)), dtype=x.dtype, device=x.device))
        total: Tensor = _Sum.apply(x.sum(0), self.ranks)  # type: ignore[no-untyped-call]
        mean = total / count
        centered = x - mean
        squares: Tensor = _Sum.apply(centered.square().sum(0), self.ranks)  # type: ignore[no-untyped-call]
        variance = squares / (count - 1)
        divisor = variance * (count - 1) / count if self.biased else variance
        y = centered / (divisor + self.eps).sqrt() * self.gamma + self.beta
        return y, mean.detach(), variance.detach()


def synchronize_batchnorm(model: nn.Module, ranks: Ranks) -> None:
    """Has the BatchNorm layers of a model measure the whole batch. Only their class changes."""
    for module in model.modules():
        if isinstance(module, BatchNorm1d):
            module.__class__ = SynchronizedBatchNorm1d
            module.ranks = ranks  # type: ignore[assignment]


def has_batchnorm(model: nn.Module) -> bool:
    """Whether a model computes each example by the whole batch, which then is in one piece."""
    return any(isinstance(module, BatchNorm1d) for module in model.modules())
