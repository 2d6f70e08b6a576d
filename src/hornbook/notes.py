"""The notes' names: cells that use their neurons and layers run as they are after an import from here.

    from hornbook.notes import BatchNorm1d, Linear, Sequential, Tanh    # MLP, WaveNet
    from hornbook.notes import MLP, Value                               # the scalar engine
    from hornbook.notes import LessonModel, get_batch                   # bigram, GPT

The layers are those of `hornbook.layers.basic` and keep what they return in `.out`. Neurons are those
of `hornbook.autograd` with the notes' tanh and drawn biases. `LessonModel` gives any model of hornbook
the notes' call and `generate`. `build_dataset` and `get_batch` are in `hornbook.data.examples`.

B batch, T time, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.autograd import Value
from hornbook.autograd import nn as scalar
from hornbook.data.examples import build_dataset, get_batch
from hornbook.layers import basic
from hornbook.models.base import LanguageModel

__all__ = [
    "MLP", "BatchNorm1d", "Embedding", "FlattenConsecutive", "Layer", "LessonModel", "Linear", "Neuron",
    "Sequential", "Tanh", "Value", "build_dataset", "get_batch",
]  # fmt: skip


_FROM_LESSON_MODEL = "LessonModel(model) of a {} model calls and generates as the notes' does"
_ELSEWHERE = {  # names of the notes that are called otherwise -> where they are
    "BigramLanguageModel": _FROM_LESSON_MODEL.format("bigram"),
    "GPTLanguageModel": _FROM_LESSON_MODEL.format("gpt2"),
    "Head": "hornbook.models.gpt2.CausalSelfAttention computes all heads at once",
    "MultiHeadAttention": "hornbook.models.gpt2.CausalSelfAttention computes all heads at once",
    "CausalSelfAttention": "it is hornbook.models.gpt2.CausalSelfAttention",
    "FeedFoward": "it is hornbook.models.gpt2.MLP",
    "Block": "it is hornbook.models.gpt2.Block, of a GPT2Config",
    "GPTConfig": "it is hornbook.models.gpt2.GPT2Config",
    "estimate_loss": "every run has train_loss and val_loss in its log",
}


def __getattr__(name: str) -> Any:
    """Raises ImportError, which `from hornbook.notes import NAME` shows, for a name of the notes that
    is elsewhere, and AttributeError for any other."""
    if name in _ELSEWHERE:
        raise ImportError(f"hornbook.notes has no {name}: {_ELSEWHERE[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _KeepsOutput(nn.Module):
    """A layer that keeps its last output in `out`, with its graph: `layer.out.retain_grad()`."""

    out: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        self.out = super().__call__(x)
        return self.out

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "out"}


class Linear(_KeepsOutput, basic.Linear):
    """`basic.Linear` with `.out`."""


class BatchNorm1d(_KeepsOutput, basic.BatchNorm1d):
    """`basic.BatchNorm1d` with `.out`."""


class Tanh(_KeepsOutput, basic.Tanh):
    """`basic.Tanh` with `.out`."""


class Embedding(_KeepsOutput, basic.Embedding):
    """`basic.Embedding` with `.out`."""


class FlattenConsecutive(_KeepsOutput, basic.FlattenConsecutive):
    """`basic.FlattenConsecutive` with `.out`."""


class Sequential(_KeepsOutput, basic.Sequential):
    """`basic.Sequential` with `.out`."""


class Neuron(scalar.Neuron):
    """tanh(w . x + b), all drawn from uniform(-1, 1) of the module `random`."""

    def __init__(self, nin: int) -> None:
        super().__init__(nin, activation="tanh", bias="uniform")


class Layer(scalar.Layer):
    """Neurons with the same inputs."""

    def __init__(self, nin: int, nout: int) -> None:
        super().__init__(nin, nout, activation="tanh", bias="uniform")


class MLP(scalar.MLP):
    """tanh in every layer, the last one too: the notes' `MLP(3, [4, 4, 1])`."""

    def __init__(self, nin: int, nouts: list[int]) -> None:
        super().__init__(nin, nouts, activation="tanh", output="tanh", bias="uniform")


class LessonModel(nn.Module):
    """A model of hornbook as the notes call theirs; they share their weights.

    >>> from hornbook.models.registry import build_model, model_config
    >>> m = LessonModel(build_model(model_config({"name": "bigram"}), 65, None))
    >>> m.generate(torch.zeros((1, 1), dtype=torch.long), max_new_tokens=100).shape
    torch.Size([1, 101])
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def parameters(self, recurse: bool = True) -> list[nn.Parameter]:  # type: ignore[override]
        """A list, as in the notes."""
        return list(super().parameters(recurse))

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """idx and targets (B, T) int64 -> logits (B, T, V) and None, or with targets logits
        (B T, V) and the mean cross-entropy in nats, a scalar.

        Targets (B,), the token after each context, as `get_batch` draws them of documents: logits
        (B, V), those of the last position.
        """
        logits = self.model(idx)
        if targets is None:
            return logits, None
        logits = logits[:, -1] if targets.dim() == 1 else logits.flatten(0, 1)
        return logits, F.cross_entropy(logits, targets.flatten())

    @torch.no_grad()
    def generate(self, idx: Tensor, max_new_tokens: int) -> Tensor:
        """idx (B, T) continued by so many tokens, (B, T + max_new_tokens) int64.

        By `torch.multinomial` from torch's global generator; each token from the last
        `context_length`. `hornbook sample --sampling torch --window sliding` draws the same tokens
        from a seed, faster.
        """
        for _ in range(max_new_tokens):
            logits, _ = self(idx[:, -self.model.context_length :])
            probs = F.softmax(logits[:, -1, :], dim=-1)  # (B, V)
            idx_next = torch.multinomial(probs, num_samples=1)  # (B, 1)
            idx = torch.cat((idx, idx_next), dim=1)
        return idx
