"""Whether the units of a model are saturated, inactive or dead, by the notes' thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hornbook.metrics.finding import Finding
from hornbook.metrics.probes import LayerStatistics

SATURATED = (
    0.25  # share of tanh outputs beyond 0.97; the notes' good initialization has 0.20 at most
)
INACTIVE = 0.1  # standard deviation of tanh outputs below which a layer is nearly linear
DEAD = 0.10  # share of units saturated, or below 0, on every example of the batch


def judge_activations(
    layers: Mapping[str, LayerStatistics], *, first: bool, names: Sequence[str] = ()
) -> Finding:
    """The first problem found: values that are not finite, then saturated, inactive and dead units.

    Units of SiLU and GELU are not called dead at the first step, as their gradients still pass there.

    Args:
        layers: by module, in order.
        first: at the first step, where initialization is to blame; else of trained weights.
        names: what the layers are called; by default their numbers.
    """
    when = "at the first step" if first else "after training"
    names = names or [f"layer {i}" for i in range(1, len(layers) + 1)]
    named = list(zip(names, layers.values(), strict=True))
    for name, layer in named:
        if not math.isfinite(layer.outputs.std):
            return Finding(
                f"{name}: {layer.kind} outputs are NaN or infinite {when}: training diverged; lower "
                "the learning rate",
                False,
            )
    for name, layer in named:
        if layer.bounded and layer.saturated > SATURATED:
            cause = (
                "initialization too large; scale the weights by gain / sqrt(fan_in), or put a norm "
                "before it"
                if first
                else "weights have grown too large; lower the learning rate, or put a norm before it"
            )
            return Finding(
                f"{name}: {layer.saturated:.0%} of {layer.kind} outputs saturated {when}: {cause}",
                False,
            )
    for name, layer in named:
        if layer.bounded and layer.outputs.std < INACTIVE:
            cause = "initialization too small" if first else "it was hardly trained"
            return Finding(
                f"{name}: {layer.kind} outputs have a standard deviation of only "
                f"{layer.outputs.std:.3f} {when}: {cause}",
                False,
            )
    for name, layer in named:
        if layer.dead > DEAD and not (first and layer.kind in ("silu", "gelu")):
            cause = "initialization" if first else "learning rate"
            return Finding(
                f"{name}: {layer.dead:.0%} of the {layer.kind} units are dead {when}: "
                f"{cause} too large",
                False,
            )
    count = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
    return Finding(f"{count} of units {when}: none saturated, inactive or dead")
