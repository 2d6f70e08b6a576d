"""Recurrent cells, written out: a state that each token changes, run along rows of documents.

Each layer is one product for the inputs of all positions at once, then a loop over time with only the
state's own product in it. Gates are in the order of torch.nn's cells. B batch, T time, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Recurrent(nn.Module, ABC):
    """A layer of `hidden` units over time, (B, T, C) -> (B, T, hidden).

    The state begins as zeros, again wherever `keep` is 0: at the start of a document.
    """

    gates = 1  # vectors of `hidden` units that a step computes

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input = nn.Linear(dim, self.gates * hidden)
        self.state = nn.Linear(hidden, self.gates * hidden, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Inputs N(0, 1 / fan_in), states orthogonal (Saxe et al. 2014), biases 0."""
        nn.init.normal_(self.input.weight, std=self.input.in_features**-0.5)
        nn.init.zeros_(self.input.bias)
        for gate in self.state.weight.data.chunk(self.gates):
            nn.init.orthogonal_(gate)

    @abstractmethod
    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One position: input product (B, gates * hidden), state h and memory c (B, hidden) -> the next
        h and c."""

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """keep (B, T): 1 where the state continues, 0 where it is reset."""
        h = c = x.new_zeros(x.shape[0], self.hidden)
        outputs = []
        for inputs, kept in zip(self.input(x).unbind(1), keep[..., None].unbind(1), strict=True):
            h, c = self.step(inputs, h * kept, c * kept)
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class RNN(Recurrent):
    """h = tanh(W x + b + U h) (Elman 1990)."""

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The memory c is not used."""
        return torch.tanh(x + self.state(h)), c


class LSTM(Recurrent):
    """A memory with input, forget and output gates (Hochreiter and Schmidhuber 1997; Gers 2000)."""

    gates = 4

    def init_weights(self) -> None:
        """As the others; the forget gate begins open, bias 1 (Jozefowicz et al. 2015)."""
        super().init_weights()
        nn.init.ones_(self.input.bias.data[self.hidden : 2 * self.hidden])

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """c = f c + i g, h = o tanh(c)."""
        i, f, g, o = (x + self.state(h)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(Recurrent):
    """A state mixed with its candidate (Cho et al. 2014), reset after its product as in cuDNN."""

    gates = 3

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(dim, hidden)
        self.candidate_bias = nn.Parameter(torch.zeros(hidden))

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """n = tanh(x_n + r (U h + b)), h = (1 - z) n + z h; the memory c is not used."""
        (r, z, n), (hr, hz, hn) = x.chunk(3, dim=-1), self.state(h).chunk(3, dim=-1)
        candidate = torch.tanh(n + (r + hr).sigmoid() * (hn + self.candidate_bias))
        # in the dtype of h: under autocast the products are bf16, the state stays float32
        return candidate.to(h.dtype).lerp(h, (z + hz).sigmoid().to(h.dtype)), c


CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
