"""The optimizer of a model, with weight decay on its matrices only, or on all."""

from __future__ import annotations

import torch
from torch import nn

from hornbook.config import OptimConfig


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """PyTorch's fused AdamW or plain SGD over all parameters.

    Decay falls on the matrices that are multiplied with; embeddings, norms and biases go without,
    unless `decayed` is "all".
    The learning rate is set before each update (`train/step.py`).
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for parameter in model.parameters():
        is_matrix = parameter.ndim >= 2 and id(parameter) not in embeddings
        (decayed if is_matrix or config.decayed == "all" else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.name == "sgd":
        for group in groups:
            group["weight_decay"] = 0.0
        return torch.optim.SGD(groups, lr=config.learning_rate)
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)
