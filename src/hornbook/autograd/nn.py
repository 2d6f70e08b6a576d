"""Neurons, layers and a multilayer perceptron of Values, as in the notes and in micrograd.

Initialization, in the order of the random draws:

    weights   uniform(-1, 1), neuron by neuron (micrograd and the notes)
    biases    0 (micrograd), or after the weights of their neuron from uniform(-1, 1) (the notes)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from hornbook.autograd.value import Value

ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "relu": Value.relu,
    "tanh": Value.tanh,
    "sigmoid": Value.sigmoid,
    "linear": lambda x: x,
}


class Random(Protocol):
    """A source of initial weights: the module `random`, or a `random.Random`."""

    def uniform(self, a: float, b: float) -> float:
        """A number between a and b."""


class Module:
    """Base class of everything with parameters."""

    def parameters(self) -> list[Value]:
        """The Values that training changes."""
        return []

    def zero_grad(self) -> None:
        """Sets the gradient of every parameter to 0, before the next `backward()`."""
        for p in self.parameters():
            p.grad = 0.0


class Neuron(Module):
    """activation(w . x + b). `nonlin=False`, from micrograd, means `activation="linear"`.

    bias: how b begins, "zero" or "uniform".
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool = True,
        activation: str = "relu",
        rng: Random = random,
        bias: str = "zero",
    ) -> None:
        """Raises ValueError for an activation that is not in ACTIVATIONS, or another bias."""
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={activation!r}: expected one of {', '.join(sorted(ACTIVATIONS))}"
            )
        if bias not in ("zero", "uniform"):
            raise ValueError(f"bias={bias!r}: expected one of uniform, zero")
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(rng.uniform(-1, 1) if bias == "uniform" else 0.0)
        self.activation = activation if nonlin else "linear"

    def __call__(self, x: Sequence[Any]) -> Value:
        """The output for inputs x. Raises ValueError unless there is one input for each weight."""
        if len(x) != len(self.w):
            raise ValueError(
                f"{self}: called with {len(x)} inputs, expected {len(self.w)}; "
                "make the size of the layer before it, or of the input, equal to nin"
            )
        out: Value = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return ACTIVATIONS[self.activation](out)

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        name = "ReLU" if self.activation == "relu" else self.activation.title()
        return f"{name}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons with the same inputs. A layer of one neuron returns a Value instead of a list."""

    def __init__(self, nin: int, nout: int, **options: Any) -> None:
        """Makes `nout` neurons; `options` are passed to each Neuron."""
        self.neurons = [Neuron(nin, **options) for _ in range(nout)]

    def __call__(self, x: Any) -> Any:
        """The outputs as a list, or the single one as a Value."""
        inputs = [x] if isinstance(x, Value) else x
        outs = [neuron(inputs) for neuron in self.neurons]
        return outs[0] if len(outs) == 1 else outs

    def parameters(self) -> list[Value]:
        """The parameters of each neuron in turn."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """A multilayer perceptron: `activation` in the hidden layers, `output` in the last one.

    The defaults are micrograd's. The notes' network is
    `MLP(3, [4, 4, 1], activation="tanh", output="tanh", bias="uniform")`, and that of
    `hornbook.notes` is `MLP(3, [4, 4, 1])`.
    """

    def __init__(
        self,
        nin: int,
        nouts: Iterable[int],
        activation: str = "relu",
        output: str = "linear",
        seed: int | None = None,
        bias: str = "zero",
    ) -> None:
        """Draws weights from `random.Random(seed)`, or without a seed from the module `random`.

        Raises ValueError for sizes below 1, an unknown activation or bias.
        """
        rng: Random = random if seed is None else random.Random(seed)
        sizes = [nin, *nouts]
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"MLP sizes {sizes}: expected two or more, each at least 1")
        names = [activation] * (len(sizes) - 2) + [output]
        self.layers = [
            Layer(size, nout, activation=name, rng=rng, bias=bias)
            for size, nout, name in zip(sizes[:-1], sizes[1:], names, strict=True)
        ]

    def __call__(self, x: Any) -> Any:
        """The outputs of the last layer as a list, or the single one as a Value."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        """The parameters of each layer in turn."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
