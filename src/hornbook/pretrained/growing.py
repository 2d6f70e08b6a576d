"""A vocabulary that grows: old ids stay, and what belongs to a new id begins as the mean of the old.

The mean is what the model knows of a token that it knows nothing about (Hewitt 2021, "Initializing new
word embeddings for pretrained language models").
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hornbook.errors import ConfigError
from hornbook.models.base import LanguageModel


def grown(tensors: Mapping[str, Tensor], model: LanguageModel, before: int) -> dict[str, Tensor]:
    """The weights of a model of `before` tokens, for one of as many as `model` has.

    Raises ConfigError for weights that cannot grow.
    """
    own, after = model.state_dict(), model.vocab_size
    if other := sorted(tensors.keys() - own.keys()):
        raise ConfigError(
            f"model: found other layers than those of the base ({other[0]}); a {model.config.name} "
            "that was trained without dropout has no layer for it, leave it out (--model.dropout)"
        )
    return {name: _grown(name, t, own[name].shape, before, after) for name, t in tensors.items()}


def _grown(name: str, tensor: Tensor, shape: torch.Size, before: int, after: int) -> Tensor:
    for dim, (found, wanted) in enumerate(zip(tensor.shape, shape, strict=True)):
        if found == wanted:
            continue
        if (found, wanted) == (before, after):
            tensor = _with_means(tensor, dim, after)
        elif (found, wanted) == ((before + 1) * before, (after + 1) * after):  # a row for each pair
            tensor = _pairs(tensor, dim, before, after)
        else:
            raise ConfigError(
                f"--grow: {name} has {found} rows, which cannot become {wanted}; leave the unknown "
                "characters out (--unknown skip)"
            )
    return tensor


def _with_means(tensor: Tensor, dim: int, after: int) -> Tensor:
    """More entries along a dimension, the mean of those that are there."""
    sizes = list(tensor.shape)
    sizes[dim] = after - tensor.shape[dim]
    mean = (
        tensor.mean(dim, keepdim=True) if tensor.is_floating_point() else tensor.narrow(dim, 0, 1)
    )
    return torch.cat([tensor, mean.expand(sizes)], dim)


def _pairs(tensor: Tensor, dim: int, before: int, after: int) -> Tensor:
    """A table of (token before or nothing, token), flattened along a dimension."""
    shape = (*tensor.shape[:dim], before + 1, before, *tensor.shape[dim + 1 :])
    table = tensor.reshape(shape)
    after_tokens, after_nothing = table.narrow(dim, 0, before), table.narrow(dim, before, 1)
    table = torch.cat([_with_means(after_tokens, dim, after), after_nothing], dim)
    return _with_means(table, dim + 1, after).flatten(dim, dim + 1)
