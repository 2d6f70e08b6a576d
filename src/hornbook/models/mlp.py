"""The notes' MLP: the last few tokens' embeddings side by side, hidden layers, logits.

With the notes' settings (3 tokens, 10 channels, 200 hidden, 27 tokens in all) it has their 11,897
parameters, 12,097 with BatchNorm (two for each hidden unit, and no hidden bias: BatchNorm subtracts
it). Bengio et al. 2003; the notes, "Trigram+MLP" and "Activation, gradient, BatchNorm".

B batch, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Self

import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.layers.activations import ACTIVATIONS, GAINS, Activation
from hornbook.layers.basic import (
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Linear,
    Sequential,
    build_norm,
    calibrate_batchnorm,
)
from hornbook.layers.documents import last_window, windows
from hornbook.models.base import LanguageModel


class MLPConfig(ModelConfig):
    """Sizes of the notes' MLP, its activation, its norm and its first weights."""

    name: Literal["mlp"] = "mlp"
    context_length: int = Field(3, gt=0, le=1 << 24, description="tokens it sees")
    n_embd: int = Field(10, gt=0, description="channels of an embedding")
    n_hidden: int = Field(200, gt=0, description="units of a hidden layer")
    n_layer: int = Field(1, gt=0, le=512, description="hidden layers")
    activation: Activation = Field("tanh", description="of the hidden layers")
    norm: Literal["none", "batchnorm", "layernorm"] = Field(
        "none", description="before each activation; with batchnorm hidden layers have no bias"
    )
    norm_logits: bool = Field(
        False, description="a norm after the last layer too (the notes' deep network)"
    )
    momentum: float = Field(
        0.1, gt=0, le=1, description="weight of the newest batch in batchnorm's running statistics"
    )
    statistics: Literal["running", "calibrated"] = Field(
        "running", description="of batchnorm in evaluation; calibrated: over the training part"
    )
    init: Literal["scaled", "naive"] = Field(
        "scaled", description="scaled: with the gain, small last layer; naive: N(0, 1) everywhere"
    )
    gain: float | None = Field(
        None,
        gt=0,
        description="factor of scaled hidden weights (default: the activation's; tanh 5/3)",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="on each hidden layer")

    @field_validator("gain")
    @classmethod
    def _default_gain(cls, gain: float | None, info: ValidationInfo) -> float | None:
        """None for the gain of the activation itself, which older versions wrote out."""
        return None if gain == GAINS.get(info.data.get("activation", "tanh")) else gain

    @model_validator(mode="after")
    def _norm_exists(self) -> Self:
        if self.norm_logits and self.norm == "none":
            raise ValueError("norm_logits needs a norm (batchnorm or layernorm)")
        return self


class MLP(LanguageModel):
    """One network over windows of the last `context_length` tokens."""

    sliding = True
    examples = "windows"
    fixed_step = True

    def __init__(self, config: MLPConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.statistics = config.statistics
        biased = config.norm != "batchnorm"
        width, hidden = config.context_length * config.n_embd, config.n_hidden
        layers: list[nn.Module] = [
            Embedding(vocab_size, config.n_embd),
            FlattenConsecutive(config.context_length),
        ]
        for _ in range(config.n_layer):
            layers += [Linear(width, hidden, biased)]
            layers += build_norm(config.norm, hidden, config.momentum)
            layers += [ACTIVATIONS[config.activation]()]
            layers += [nn.Dropout(config.dropout)] if config.dropout else []
            width = hidden
        layers += [Linear(width, vocab_size, biased or not config.norm_logits)]
        if config.norm_logits:
            layers += build_norm(config.norm, vocab_size, config.momentum)
        self.net = Sequential(layers)
        self.init_weights(config)

    @torch.no_grad()
    def init_weights(self, config: MLPConfig) -> None:
        """As in the notes; the gain is that of the activation, 5/3 for tanh.

        | parameter     | scaled                       | naive   |
        | ------------- | ---------------------------- | ------- |
        | embedding     | N(0, 1)                      | N(0, 1) |
        | hidden weight | N(0, 1 / fan_in) * gain      | N(0, 1) |
        | hidden bias   | N(0, 1) * 0.01               | N(0, 1) |
        | last weight   | N(0, 1) * 0.01               | N(0, 1) |
        | last bias     | 0                            | N(0, 1) |
        | norms         | gain 1, bias 0               | same    |

        Scaled, with a norm after the last layer: gain 0.1, and the last weight N(0, 1 / fan_in).
        """
        linear = [layer for layer in self.net.layers if isinstance(layer, Linear)]
        if config.init == "naive":
            for layer in linear:
                layer.weight.normal_()
                if layer.bias is not None:
                    layer.bias.normal_()
            return
        gain = GAINS[config.activation] if config.gain is None else config.gain
        for layer in linear[:-1]:
            layer.weight.mul_(gain)
            if layer.bias is not None:
                layer.bias.normal_(std=0.01)
        end = self.net.layers[-1]
        if isinstance(end, Linear):
            end.weight.normal_(std=0.01)
        elif isinstance(end, BatchNorm1d):
            end.gamma.mul_(0.1)
        elif isinstance(end, nn.LayerNorm):
            end.weight.mul_(0.1)

    @property
    def output(self) -> nn.Module:
        """The last linear layer."""
        return [layer for layer in self.net.layers if isinstance(layer, Linear)][-1]

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V): the window of every position."""
        flat = windows(ids, self.context_length, self.end_id).flatten(0, 1)  # (B * T, context)
        logits: Tensor = self.net(flat).unflatten(0, ids.shape)
        return logits

    def next_logits(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, V): one window per row."""
        return self.window_logits(last_window(ids, self.context_length, self.end_id))

    def window_logits(self, windows: Tensor) -> Tensor:
        """(B, context) -> (B, V)."""
        logits: Tensor = self.net(windows)
        return logits

    def calibrate(
        self,
        windows: Callable[[], Iterable[Tensor]],
        held_back: Callable[[], Iterable[tuple[Tensor, Tensor]]] = tuple,
    ) -> None:
        """Measures BatchNorm's statistics over the training part, if the settings say so."""
        if self.statistics == "calibrated":
            calibrate_batchnorm(self, self.net, windows)
