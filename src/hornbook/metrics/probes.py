"""Probes: what goes through a model and through its gradients, and how far an update moves it.

A probe hooks onto what it finds by its type: activations (tanh, ReLU, GELU, SiLU) and recurrent
states. It keeps no tensor, only moments and a histogram of each, so its memory is a few kilobytes a
layer, and it only reads, so nothing that is computed changes. Off, there is no hook and no cost.
The statistics and their thresholds are those of the notes, "Activation, gradient, BatchNorm".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from hornbook.layers import basic
from hornbook.layers.recurrent import Recurrent

TANH_SATURATED = 0.97  # |tanh x| beyond which the notes call a unit saturated
BINS = 50
ELEMENTS = 1 << 16  # of a parameter or gradient that are looked at; larger ones are thinned evenly
OUTPUTS = 1 << 20  # of a layer's outputs, and of the gradient there
WIDE = 4.0  # deviations on either side of 0 within which gradients are counted and drawn

BOUNDED = (nn.Tanh, basic.Tanh, Recurrent)  # between -1 and 1
ONE_SIDED = (nn.ReLU, nn.GELU, nn.SiLU)  # next to nothing below 0


@dataclass(frozen=True)
class Spread:
    """How a tensor's values lie: mean, standard deviation (over n - 1), and a histogram.

    counts: values in each of BINS bins of equal width from `low` to `high`; beyond, none are counted.
    """

    mean: float
    std: float
    low: float
    high: float
    counts: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, wide: float = math.inf) -> Spread:
        """The spread of all values of a tensor; not-a-number where a value is none.

        wide: only what is so many deviations from 0 at most is counted in the histogram, so that a
        few far values do not put all others into one bin.
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


@dataclass(frozen=True)
class Units:
    """What the units of one layer do on a batch: the spread of their outputs, and who is idle.

    kind: tanh, relu, gelu, silu, or the cell of a recurrent layer.
    saturated: share of the outputs that sit where the slope is nearly nothing: |tanh| > 0.97, or
        below 0 for the others.
    dead: share of the units for which every output of the batch does: they learn nothing from it.
    """

    kind: str
    spread: Spread
    saturated: float
    dead: float

    @property
    def bounded(self) -> bool:
        """Whether outputs lie between -1 and 1."""
        return self.kind in {"tanh", "rnn", "lstm", "gru"}

    @classmethod
    def of(cls, module: nn.Module, output: Tensor) -> Units:
        """The statistics of a layer's output, (..., units); of OUTPUTS of them, whole examples."""
        x = _some_examples(output).float()
        flat = x.abs() > TANH_SATURATED if isinstance(module, BOUNDED) else x <= 0
        return cls(
            type(module).__name__.lower(),
            Spread.of(x),
            float(flat.float().mean()),
            float(flat.all(0).float().mean()),
        )


@dataclass(frozen=True)
class Moved:
    """One parameter around one update: how its gradient and its update compare with its values.

    data, gradient: standard deviations. grad_ratio = gradient / data. update_ratio: standard
    deviation of what the update changed / data after it; the notes aim at 1e-3.
    """

    data: float
    gradient: float
    grad_ratio: float
    update_ratio: float
    spread: Spread


class Probe:
    """Statistics of everything between entering and leaving, of the last forward and backward.

        with Probe(model) as probe:
            loss = ...; loss.backward(); optimizer.step()
        probe.activations["net.layers.3"].saturated

    activations, gradients: by module, in the order of computing; gradients are those of the loss
    with respect to the activations. parameters: by name, matrices only, as in the notes.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.activations: dict[str, Units] = {}
        self.gradients: dict[str, Spread] = {}
        self.parameters: dict[str, Moved] = {}
        self._before: dict[str, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in watched(self.model):
            self._handles.append(module.register_forward_hook(self._look(name)))
        self._before = {name: thin(p).clone() for name, p in matrices(self.model)}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.gradients = {n: self.gradients[n] for n in self.activations if n in self.gradients}
        for name, parameter in matrices(self.model):
            if parameter.grad is not None:
                self.parameters[name] = moved(parameter, self._before[name])
        self._before = {}

    def _look(self, name: str) -> Any:
        def look(module: nn.Module, inputs: object, output: Tensor) -> None:
            self.activations[name] = Units.of(module, output)
            if output.requires_grad:
                output.register_hook(keep)  # type: ignore[no-untyped-call]

        def keep(gradient: Tensor) -> None:
            self.gradients[name] = Spread.of(_some_examples(gradient), WIDE)

        return look

    def record(self) -> dict[str, Any]:
        """Everything as plain data, for probes.jsonl."""
        return {
            "activations": {name: asdict(units) for name, units in self.activations.items()},
            "gradients": {name: asdict(spread) for name, spread in self.gradients.items()},
            "parameters": {name: asdict(moved) for name, moved in self.parameters.items()},
        }


def watched(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose outputs are units: activations and recurrent layers, by name."""
    for name, module in model.named_modules():
        if isinstance(module, BOUNDED + ONE_SIDED):
            yield name, module


def matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The trained parameters with two dimensions or more; the notes leave biases out."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and parameter.requires_grad:
            yield name, parameter


def thin(x: Tensor) -> Tensor:
    """At most about ELEMENTS values of a tensor, evenly spread, as a vector."""
    flat = x.detach().flatten()
    return flat[:: math.ceil(len(flat) / ELEMENTS)].float()


def _some_examples(x: Tensor) -> Tensor:
    """At most about OUTPUTS values of (..., units), evenly spread over the examples, (n, units)."""
    rows = x.detach().reshape(-1, x.shape[-1])
    return rows[:: math.ceil(rows.numel() / OUTPUTS)]


def moved(parameter: nn.Parameter, before: Tensor) -> Moved:
    """A parameter after an update, with its gradient, against what it was before."""
    assert parameter.grad is not None
    after, gradient = thin(parameter), thin(parameter.grad)
    data, spread = float(after.std()), Spread.of(gradient)
    update = float((after - before).std())
    return Moved(data, spread.std, spread.std / max(data, 1e-30), update / max(data, 1e-30), spread)


def units_from(data: Mapping[str, Any]) -> Units:
    """Units from their plain data."""
    return Units(**{**data, "spread": spread_from(data["spread"])})


def spread_from(data: Mapping[str, Any]) -> Spread:
    """A spread from its plain data, where null stands for not-a-number."""
    mean, std = (math.nan if data[name] is None else data[name] for name in ("mean", "std"))
    return Spread(**{**data, "mean": mean, "std": std, "counts": tuple(data["counts"])})


@dataclass(frozen=True)
class Verdict:
    """What a figure says in words. good: nothing needs doing."""

    text: str
    good: bool = True


SATURATED, ASLEEP, DEAD = 0.25, 0.1, 0.10  # thresholds of `judge`


def judge(layers: Mapping[str, Units], *, first: bool, names: Sequence[str] = ()) -> Verdict:
    """The state of the activations in plain words; the worst kind first, then the first layer.

    A tanh layer with more than a share SATURATED of its outputs beyond 0.97 has lost its gradients
    (the notes' good initialisation has 20% in its first layer and about 6% in the others); one with
    a deviation below ASLEEP is nearly linear and passes little on; units are dead where they are
    saturated, or below 0, on every example of the batch: more than a share DEAD of them is too many,
    but for SiLU and GELU at the first update, whose gradients still pass there.

    first: at the first update, where initialisation is to blame; else of trained weights. names: of
    the layers, left out: their numbers.
    """
    when = "at the first update" if first else "after training"
    names = names or [f"layer {i}" for i in range(1, len(layers) + 1)]
    for name, units in zip(names, layers.values(), strict=True):
        if not math.isfinite(units.spread.std):
            return Verdict(
                f"{name}: {units.kind} outputs are no numbers {when}: training diverged; lower the "
                "learning rate",
                False,
            )
    for name, units in zip(names, layers.values(), strict=True):
        if units.bounded and units.saturated > SATURATED:
            cause = (
                "initialisation too large; scale the weights by gain / sqrt(fan_in), or put a norm "
                "before it"
                if first
                else "weights have grown too large; lower the learning rate, or put a norm before it"
            )
            return Verdict(
                f"{name}: {units.saturated:.0%} of {units.kind} outputs saturated {when}: {cause}",
                False,
            )
    for name, units in zip(names, layers.values(), strict=True):
        if units.bounded and units.spread.std < ASLEEP:
            cause = "initialisation too small" if first else "it was hardly trained"
            return Verdict(
                f"{name}: {units.kind} outputs deviate by only {units.spread.std:.3f} "
                f"{when}: {cause}",
                False,
            )
    for name, units in zip(names, layers.values(), strict=True):
        if units.dead > DEAD and not (first and units.kind in ("silu", "gelu")):
            cause = "initialisation" if first else "learning rate"
            return Verdict(
                f"{name}: {units.dead:.0%} of the {units.kind} units are dead {when}: "
                f"{cause} too large",
                False,
            )
    count = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
    return Verdict(f"{count} of units {when}: none saturated, asleep or dead")
