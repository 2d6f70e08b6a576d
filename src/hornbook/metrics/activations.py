"""Whether the units of a model are saturated, inactive or dead, by the notes' thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hornbook.metrics.finding import Finding
from hornbook.metrics.probes import LayerStatistics

SATURATED = 0.25  # share of tanh outputs beyond 0.97; at most 0.20 in the notes' good start
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
    problems = [
        (*problem, name)
        for name, layer in zip(names, layers.values(), strict=True)
        if (problem := _problem(layer, when, first=first))
    ]
    if not problems:
        count = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
        return Finding(f"{count} of units {when}: none saturated, inactive or dead")
    _, words, name = min(problems, key=lambda problem: problem[0])
    return Finding(f"{name}: {words}", False)


def _problem(layer: LayerStatistics, when: str, *, first: bool) -> tuple[int, str] | None:
    """The rank of a layer's worst problem, 0 for the worst of all, and its description."""
    kind, std = layer.kind, layer.outputs.std
    if not math.isfinite(std):
        cause = "training diverged; lower the learning rate"
        return 0, f"{kind} outputs are NaN or infinite {when}: {cause}"
    if layer.bounded and layer.saturated > SATURATED:
        cause = "weights have grown too large; lower the learning rate"
        if first:
            cause = "initialization too large; scale the weights by gain / sqrt(fan_in)"
        return 1, (
            f"{layer.saturated:.0%} of {kind} outputs saturated {when}: {cause}, or put a norm "
            "before it"
        )
    if layer.bounded and std < INACTIVE:
        cause = "initialization too small" if first else "it was hardly trained"
        return 2, f"{kind} outputs have a standard deviation of only {std:.3f} {when}: {cause}"
    if layer.dead > DEAD and not (first and kind in ("silu", "gelu")):
        cause = "initialization" if first else "learning rate"
        return 3, f"{layer.dead:.0%} of the {kind} units are dead {when}: {cause} too large"
    return None
