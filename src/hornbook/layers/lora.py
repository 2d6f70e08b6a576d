"""Low-rank adaptation: a matrix stays as it is, and the product of two small ones is added to it.

W (out, in) is frozen, and W + s B A computes, with A (r, in) and B (out, r), which alone are trained. A
begins at random and B at 0, so the layer begins as it was. s = alpha / r. Hu et al. 2022, "LoRA:
low-rank adaptation of large language models".

C_in and C_out are the channels before and after a layer, r the rank.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F


class LoRALinear(nn.Linear):
    """x W^T + b + s (x A^T) B^T, (..., C_in) -> (..., C_out). `weight` and `bias` are frozen."""

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        # the layer on `meta` takes no memory: its tensors are those of `linear`
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        for parameter in linear.parameters():
            parameter.requires_grad_(False)
        self.scale = scale
        own = linear.weight
        self.lora_A = nn.Parameter(own.new_empty(rank, linear.in_features))
        self.lora_B = nn.Parameter(own.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # as PyTorch's linear layers begin

    def forward(self, x: Tensor) -> Tensor:
        """(..., C_in) -> (..., C_out)."""
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.lora_A), self.lora_B)

    def merged(self) -> Tensor:
        """W + s B A, (C_out, C_in)."""
        return self.weight.detach() + self.scale * (self.lora_B @ self.lora_A).detach()


def adapt(model: nn.Module, names: list[str], rank: int, scale: float) -> None:
    """Replaces the linear layers of these names by `LoRALinear`; all other parameters are frozen."""
    model.requires_grad_(False)
    for name in names:
        parent, _, own = name.rpartition(".")
        linear = model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        setattr(model.get_submodule(parent), own, LoRALinear(linear, rank, scale))


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the model without LoRA that computes the same, by its names."""
    weights: dict[str, Tensor] = dict(model.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, LoRALinear):
            del weights[f"{name}.lora_A"], weights[f"{name}.lora_B"]
            weights[f"{name}.weight"] = module.merged()
    return weights


def lora_weights(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """A and B of each layer that has them, by the name of the layer."""
    return {
        name: (module.lora_A.detach(), module.lora_B.detach())
        for name, module in model.named_modules()
        if isinstance(module, LoRALinear)
    }
