"""Replaces the textbook layers of a model by faster subclasses, and back.

Only the class of a module changes: parameters, names, hooks and copies of the model are unaffected.
"""

from __future__ import annotations

import torch
from torch import nn

from hornbook.kernels.attention_dropout import CpuCausalAttention
from hornbook.kernels.batch_norm import CpuBatchNorm1d
from hornbook.kernels.dropout import CpuDropout, CpuResidualDropout
from hornbook.kernels.rms_norm import CpuRMSNorm
from hornbook.kernels.rotary import CpuRotation
from hornbook.layers.attention import CausalAttention
from hornbook.layers.basic import BatchNorm1d
from hornbook.layers.norms import RMSNorm
from hornbook.layers.residual import ResidualDropout
from hornbook.layers.rotary import Rotation
from hornbook.models.base import LanguageModel

CPU_KERNELS: dict[type[nn.Module], type[nn.Module]] = {
    BatchNorm1d: CpuBatchNorm1d,
    CausalAttention: CpuCausalAttention,
    nn.Dropout: CpuDropout,
    ResidualDropout: CpuResidualDropout,
    RMSNorm: CpuRMSNorm,
    Rotation: CpuRotation,
}
TEXTBOOK = {kernel: layer for layer, kernel in CPU_KERNELS.items()}


def install(model: LanguageModel, device: torch.device | None = None) -> None:
    """Makes a model on the CPU faster in training; on other devices changes nothing.

    device: where it is going to be, if it is not there yet.

    The numbers are the same to rounding, but for dropout, which draws other masks. The layers are
    meant for eager training: torch.compile and second derivatives need the textbook.
    """
    if (device or model.device).type == "cpu":
        _swap(model, CPU_KERNELS)


def uninstall(model: LanguageModel) -> None:
    """Restores the textbook layers of a model."""
    _swap(model, TEXTBOOK)


def _swap(model: nn.Module, classes: dict[type[nn.Module], type[nn.Module]]) -> None:
    for module in model.modules():
        if (other := classes.get(type(module))) is not None:
            module.__class__ = other
