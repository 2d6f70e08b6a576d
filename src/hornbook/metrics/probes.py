"""Probes: statistics of a model's activations and gradients, and of what a step changes.

A probe hooks onto modules by their type: activation functions (tanh, ReLU, GELU, SiLU, leaky ReLU,
ELU, SELU) and recurrent layers. It keeps no tensor, only moments and a histogram of each, so it takes a
few kilobytes a layer. It only reads, so nothing that is computed changes. Without a probe there is no
hook.
The statistics and their thresholds are those of the notes, "Activation, gradient, BatchNorm".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from hornbook.layers import basic
from hornbook.layers.recurrent import Recurrent

TANH_SATURATED = 0.97  # |tanh x| beyond which the notes call a unit saturated
BINS = 50
ELEMENTS = 1 << 16  # of a parameter or its gradient; larger ones are subsampled evenly
OUTPUTS = 1 << 20  # of a layer's outputs, and of the gradient there
WIDE = 4.0  # standard deviations on either side of 0 within which gradients are counted and drawn

BOUNDED: tuple[type[nn.Module], ...] = (nn.Tanh, basic.Tanh, Recurrent)  # between -1 and 1
# next to nothing below 0
ONE_SIDED: tuple[type[nn.Module], ...] = (nn.ReLU, nn.GELU, nn.SiLU, nn.LeakyReLU)
# flat near their lowest output, where 0.03 of the slope is left (SELU: Klambauer et al. 2017)
LOWEST: dict[type[nn.Module], float] = {nn.ELU: -1.0, nn.SELU: -1.7580993}
UNITS: tuple[type[nn.Module], ...] = (*BOUNDED, *ONE_SIDED, *LOWEST)


@dataclass(frozen=True)
class Distribution:
    """The values of a tensor: mean, standard deviation (over n - 1), and a histogram.

    counts: values in each of BINS bins of equal width from `low` to `high`; values outside are not
    counted.
    """

    mean: float
    std: float
    low: float
    high: float
    counts: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, wide: float = math.inf) -> Distribution:
        """The distribution of all values of a tensor; NaN where a value is NaN or infinite.

        wide: the histogram ends so many standard deviations from 0, so that a few extreme values do
        not put all others into one bin.
        """
        x = x.detach().float().flatten()
        low, high = (float(edge) for edge in x.aminmax())
        if not math.isfinite(high - low):
            return cls(math.nan, math.nan, -1.0, 1.0, (0,) * BINS)
        std = float(x.std()) if len(x) > 1 else 0.0
        if std > 0 and math.isfinite(wide):
            low, high = max(low, -wide * std), min(high, wide * std)
        counts = torch.histc(x, BINS, low, high)
        return cls(float(x.mean()), std, low, high, tuple(map(int, counts.tolist())))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Distribution:
        """From plain data, where null stands for NaN."""
        mean, std = (math.nan if data[name] is None else data[name] for name in ("mean", "std"))
        return cls(**{**data, "mean": mean, "std": std, "counts": tuple(data["counts"])})


@dataclass(frozen=True)
class LayerStatistics:
    """The outputs of one layer of units on a batch.

    Attributes:
        kind: tanh, relu, gelu, silu, leakyrelu, elu, selu, or the cell of a recurrent layer.
        outputs: their distribution.
        saturated: share of the outputs where the slope is nearly 0: |tanh| > 0.97, less than 0.97
            times the lowest output for ELU and SELU, or below 0 for the others.
        dead: share of the units whose every output on the batch is: they learn nothing from it.
            None of a leaky ReLU, which passes a hundredth of the gradient below 0.
    """

    kind: str
    outputs: Distribution
    saturated: float
    dead: float

    @property
    def bounded(self) -> bool:
        """Whether outputs lie between -1 and 1."""
        return self.kind in {"tanh", "rnn", "lstm", "gru"}

    @property
    def flat_where(self) -> str:
        """What `saturated` counts, in words: outputs that are saturated, or below 0."""
        return "saturated" if self.bounded or self.kind in {"elu", "selu"} else "below 0"

    @classmethod
    def of(cls, module: nn.Module, output: Tensor) -> LayerStatistics:
        """The statistics of a layer's output, (..., units); of OUTPUTS of them, whole examples."""
        x = _some_rows(output).float()
        flat = is_flat(module, x)
        dead = 0.0 if isinstance(module, nn.LeakyReLU) else float(flat.all(0).float().mean())
        kind = type(module).__name__.lower()
        return cls(kind, Distribution.of(x), float(flat.float().mean()), dead)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LayerStatistics:
        """From a record of probes.jsonl."""
        outputs = Distribution.from_json(data["spread"])
        return cls(data["kind"], outputs, data["saturated"], data["dead"])


@dataclass(frozen=True)
class ParameterStatistics:
    """One parameter around one step: its gradient and its update beside its values.

    Attributes:
        data, gradient: standard deviations of its values after the step and of its gradient.
        grad_ratio: gradient / data.
        update_ratio: standard deviation of the change / data; the notes aim at 1e-3.
        gradients: the distribution of its gradient.
    """

    data: float
    gradient: float
    grad_ratio: float
    update_ratio: float
    gradients: Distribution

    @classmethod
    def of(cls, parameter: nn.Parameter, before: Tensor) -> ParameterStatistics:
        """The statistics of a parameter after a step; `before`: its values then, subsampled."""
        assert parameter.grad is not None
        after = subsample(parameter)
        gradients = Distribution.of(subsample(parameter.grad))
        data, change = float(after.std()), float((after - before).std())
        least = max(data, 1e-30)
        return cls(data, gradients.std, gradients.std / least, change / least, gradients)


class Probe:
    """Statistics of the last forward and backward pass between entering and leaving.

        with Probe(model) as probe:
            loss = ...; loss.backward(); optimizer.step()
        probe.activations["net.layers.3"].saturated

    Attributes:
        activations: by module, in the order they are computed.
        gradients: of the loss with respect to these activations, by module.
        parameters: by name, matrices only, as in the notes.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.activations: dict[str, LayerStatistics] = {}
        self.gradients: dict[str, Distribution] = {}
        self.parameters: dict[str, ParameterStatistics] = {}
        self._before: dict[str, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in unit_layers(self.model):
            self._handles.append(module.register_forward_hook(self._hook(name)))
        self._before = {name: subsample(p).clone() for name, p in matrices(self.model)}
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.gradients = {n: self.gradients[n] for n in self.activations if n in self.gradients}
        for name, parameter in matrices(self.model):
            if parameter.grad is not None:
                self.parameters[name] = ParameterStatistics.of(parameter, self._before[name])
        self._before = {}

    def _hook(self, name: str) -> Any:
        def observe(module: nn.Module, inputs: object, output: Tensor) -> None:
            self.activations[name] = LayerStatistics.of(module, output)
            if output.requires_grad:
                output.register_hook(keep)  # type: ignore[no-untyped-call]

        def keep(gradient: Tensor) -> None:
            self.gradients[name] = Distribution.of(_some_rows(gradient), WIDE)

        return observe

    def record(self) -> dict[str, Any]:
        """Everything as plain data, for probes.jsonl."""
        return {
            "activations": {name: to_json(layer) for name, layer in self.activations.items()},
            "gradients": {name: asdict(found) for name, found in self.gradients.items()},
            "parameters": {name: to_json(found) for name, found in self.parameters.items()},
        }


def to_json(statistics: LayerStatistics | ParameterStatistics) -> dict[str, Any]:
    """As plain data; the distribution is called `spread` in probes.jsonl."""
    names = {"outputs": "spread", "gradients": "spread"}
    return {names.get(name, name): value for name, value in asdict(statistics).items()}


def is_flat(module: nn.Module, outputs: Tensor) -> Tensor:
    """Where the slope of an activation is nearly 0, by its outputs: bool, as many."""
    if isinstance(module, BOUNDED):
        return outputs.abs() > TANH_SATURATED
    lowest = next((low for kind, low in LOWEST.items() if isinstance(module, kind)), 0.0)
    return outputs <= TANH_SATURATED * lowest


def unit_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose outputs are units: activations and recurrent layers, by name."""
    for name, module in model.named_modules():
        if isinstance(module, UNITS):
            yield name, module


def matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The trained parameters with two dimensions or more; the notes leave biases out."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and parameter.requires_grad:
            yield name, parameter


def subsample(x: Tensor) -> Tensor:
    """At most about ELEMENTS values of a tensor, evenly spread, as a vector."""
    flat = x.detach().flatten()
    return flat[:: math.ceil(len(flat) / ELEMENTS)].float()


def _some_rows(x: Tensor) -> Tensor:
    """At most about OUTPUTS values of (..., units), evenly spread over the examples, (n, units)."""
    rows = x.detach().reshape(-1, x.shape[-1])
    return rows[:: math.ceil(rows.numel() / OUTPUTS)]
