"""The layers of the MLP and the WaveNet: an activation, and what normalizes before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hornbook.export.lesson.arithmetic import gelu, layer_norm
from hornbook.export.lesson.weights import Array


def selu(x: Array) -> Array:
    """An ELU whose scale and slope keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    scale, alpha = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
    y: Array = scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.01) * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": selu,
    "gelu": gelu,
}


def product(x: Array, w: dict[str, Array], name: str) -> Array:
    """x W + b, where the layer has a bias; the weight is (in, out)."""
    y: Array = x @ w[name + "weight"]
    return y + w[name + "bias"] if name + "bias" in w else y


def normalize(x: Array, w: dict[str, Array], name: str) -> Array:
    """BatchNorm by the averages of training, or LayerNorm."""
    if name + "gamma" not in w:
        return layer_norm(x, w[name + "weight"], w[name + "bias"])
    scale = w[name + "gamma"] / np.sqrt(w[name + "running_var"] + np.float32(1e-5))
    y: Array = (x - w[name + "running_mean"]) * scale + w[name + "beta"]
    return y
