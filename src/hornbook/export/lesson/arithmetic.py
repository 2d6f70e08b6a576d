"""The arithmetic of a network, on arrays whose last dimension is the channels C."""

from __future__ import annotations

import math

import numpy as np

from hornbook.export.lesson.weights import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x W^T + b, (..., in) -> (..., out); the weight is (out, in)."""
    y: Array = x @ weight.T
    return y if bias is None else y + bias


def softmax(x: Array) -> Array:
    """exp(x) / sum of exp(x); the maximum is subtracted first, so that nothing overflows."""
    p = np.exp(x - x.max(-1, keepdims=True))
    y: Array = p / p.sum(-1, keepdims=True)
    return y


def log_softmax(x: Array) -> Array:
    """The logarithm of `softmax`."""
    x = x - x.max(-1, keepdims=True)
    y: Array = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return y


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by the hyperbolic tangent, which does not overflow."""
    y: Array = (np.tanh(x * np.float32(0.5)) + 1) * np.float32(0.5)
    return y


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    """Mean 0 and variance 1 over the channels, then scaled and shifted."""
    x = x - x.mean(-1, keepdims=True)
    y: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(eps)) * weight + bias
    return y


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Root mean square 1 over the channels, then scaled."""
    y: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(eps)) * weight
    return y


_erf = np.vectorize(math.erf, otypes=[np.float32])


def gelu(x: Array) -> Array:
    """x times the probability that a normal number is below x."""
    y: Array = x * (1 + _erf(x / np.float32(math.sqrt(2)))) / 2
    return y


def gelu_tanh(x: Array) -> Array:
    """GELU as GPT-2 approximates it, by the hyperbolic tangent."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    y: Array = np.float32(0.5) * x * (1 + np.tanh(inner))
    return y
