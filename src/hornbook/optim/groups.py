"""The optimizer of a model, with weight decay on its matrices only, or on all."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hornbook.config import OptimConfig
from hornbook.layers.lora import LoRALinear
from hornbook.optim.descent import GradientDescent
from hornbook.optim.muon import Muon


def build_optimizer(
    model: nn.Module,
    config: OptimConfig,
    output: nn.Module | None = None,
    muon: type[Muon] = Muon,
) -> torch.optim.Optimizer:
    """PyTorch's fused AdamW, plain gradient descent, or Muon with AdamW, over all trained parameters.

    output: the part of the model that computes the logits (`LanguageModel.output`). muon: another form
    of it, for sharded matrices.
    Weight decay is on matrices; embeddings, norms and biases have none, unless `decayed` is "all".
    Muon takes the matrices between hidden channels, not embeddings and the output, whose rows or
    columns are tokens, nor those of LoRA: a matrix of low rank has few directions to make equal. The
    learning rate is set before each step (`engine/step.py`): that of a group is `scale` times the
    schedule's.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    hidden: list[nn.Parameter] = []
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    not_hidden = tables | {id(p) for p in (output.parameters() if output is not None else ())}
    low_rank = (m for m in model.modules() if isinstance(m, LoRALinear))
    not_hidden |= {id(p) for m in low_rank for p in (m.lora_A, m.lora_B)}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        is_matrix = parameter.ndim >= 2 and id(parameter) not in tables
        if config.name == "muon" and parameter.ndim == 2 and id(parameter) not in not_hidden:
            hidden.append(parameter)
        else:
            (decayed if is_matrix or config.decayed == "all" else free).append(parameter)
    decay = 0.0 if config.name == "sgd" else config.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": decay},
        {"params": free, "weight_decay": 0.0},
        {
            "params": hidden,
            "weight_decay": decay,
            "muon": True,
            "scale": config.muon_learning_rate / config.learning_rate,
        },
    ]
    groups = [group for group in groups if group["params"]]
    if config.name == "sgd":
        return GradientDescent(groups, lr=config.learning_rate)
    build = muon if config.name == "muon" else torch.optim.AdamW
    return build(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)
