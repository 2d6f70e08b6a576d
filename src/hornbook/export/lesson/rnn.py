"""Recurrent networks: a state that each token changes. T positions."""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.arithmetic import linear, sigmoid
from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.weights import Array


class RNN(Model):
    """Embedding, recurrent layers, a head: h = tanh(W x + b + U h)."""

    def reset(self) -> None:
        """The state h and the memory c of each layer begin as zeros."""
        super().reset()
        zeros = np.zeros(self.config["n_hidden"], np.float32)
        self.h = [zeros] * self.config["n_layer"]
        self.c = [zeros] * self.config["n_layer"]

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        w, outputs = self.weights, []
        for token in ids:
            x = w["embedding.weight"][token]
            for i in range(self.config["n_layer"]):
                product = linear(x, w[f"layers.{i}.input.weight"], w[f"layers.{i}.input.bias"])
                self.update(i, product, linear(self.h[i], w[f"layers.{i}.state.weight"]))
                x = self.h[i]
            outputs.append(x)
        return linear(np.stack(outputs), w["head.weight"], w["head.bias"])

    def update(self, i: int, x: Array, h: Array) -> None:
        """The next state of layer i, from the products of its input and its state."""
        self.h[i] = np.tanh(x + h)


class LSTM(RNN):
    """A memory with input, forget and output gates."""

    def update(self, i: int, x: Array, h: Array) -> None:
        """c = f c + i g, h = o tanh(c)."""
        enter, forget, new, out = np.split(x + h, 4)
        self.c[i] = sigmoid(forget) * self.c[i] + sigmoid(enter) * np.tanh(new)
        self.h[i] = sigmoid(out) * np.tanh(self.c[i])


class GRU(RNN):
    """A state mixed with its candidate."""

    def update(self, i: int, x: Array, h: Array) -> None:
        """n = tanh(x_n + r (U h + b)), h = (1 - z) n + z h."""
        (r, z, n), (hr, hz, hn) = np.split(x, 3), np.split(h, 3)
        hn = hn + self.weights[f"layers.{i}.candidate_bias"]
        candidate, keep = np.tanh(n + sigmoid(r + hr) * hn), sigmoid(z + hz)
        self.h[i] = candidate + keep * (self.h[i] - candidate)


MODELS |= {"rnn": RNN, "lstm": LSTM, "gru": GRU}
