"""Activation checkpointing: blocks of a model keep their inputs alone, and compute the rest again in
the backward pass. Chen et al. 2016, "Training deep nets with sublinear memory cost".

It costs a third more computation. Installed from outside, like the kernels; dropout draws the same
masks again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hornbook.models.base import blocks_of


class Recomputed(nn.Module):
    """A block whose activations are computed again in the backward pass: put before its class."""

    def forward(self, *inputs: Any, **others: Any) -> Any:
        """What the block returns."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(*inputs, **others)
        return checkpoint(super().forward, *inputs, use_reentrant=False, **others)


_classes: dict[type[nn.Module], type[nn.Module]] = {}  # of blocks, those that are recomputed


def _recomputed(block: type[nn.Module]) -> type[nn.Module]:
    if block not in _classes:
        _classes[block] = type(f"Recomputed{block.__name__}", (Recomputed, block), {})
    return _classes[block]


def install_checkpointing(model: nn.Module) -> None:
    """Has each block of a model recomputed. Only the class of a block changes."""
    for block in blocks_of(model):
        if not isinstance(block, Recomputed):
            block.__class__ = _recomputed(type(block))
