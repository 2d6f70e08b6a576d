"""Whether the units of a model are saturated, inactive or dead, by the notes' thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum

from hornbook.config import ModelConfig
from hornbook.metrics.finding import Finding
from hornbook.metrics.probes import LayerStatistics

SATURATED = 0.25  # share of tanh outputs beyond 0.97; at most 0.20 in the notes' good start
INACTIVE = 0.1  # standard deviation of tanh outputs below which a layer is nearly linear
DEAD = 0.10  # share of units saturated, or below 0, on every example of the batch

FIRST_WEIGHTS = ("init", "gain", "head_std")  # settings of models that choose them


def judge_activations(
    layers: Mapping[str, LayerStatistics],
    *,
    first: bool,
    names: Sequence[str] = (),
    start: Mapping[str, LayerStatistics] | None = None,
    setting: str = "",
) -> Finding:
    """The first problem found: values that are not finite, then saturated, inactive and dead units.

    What is wrong after training is compared with the start: where it was so at the first step already,
    the first weights are to blame, not the training. Units of SiLU and GELU are not called dead at the
    first step, as their gradients still pass there.

    Args:
        layers: by module, in order.
        first: at the first step, where initialization is to blame; else of trained weights.
        names: what the layers are called; by default their numbers.
        start: of trained weights, the same layers at the first step; None where they are not known.
        setting: the one that chose the first weights (`first_weights`), empty for the default.
    """
    when = "at the first step" if first else "after training"
    names = names or [f"layer {i}" for i in range(1, len(layers) + 1)]
    problems = []
    for name, (module, layer) in zip(names, layers.items(), strict=True):
        kind = _problem(layer, first=first)
        if kind is not None:
            before = None if start is None else start.get(module)
            problems.append((kind, _describe(kind, layer, before, when, setting, first), name))
    if not problems:
        count = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
        return Finding(f"{count} of units {when}: none saturated, inactive or dead")
    _, words, name = min(problems, key=lambda problem: problem[0])
    return Finding(f"{name}: {words}", False)


def first_weights(config: ModelConfig) -> str:
    """The settings of the first weights that are not the default, in words: "model.init is naive"."""
    fields = type(config).model_fields
    found = [name for name in FIRST_WEIGHTS if name in fields]
    values = {name: getattr(config, name) for name in found}
    return ", ".join(
        f"model.{name} is {value}"
        for name, value in values.items()
        if value != fields[name].default
    )


class _Problem(IntEnum):
    """What can be wrong with a layer, the worst first."""

    NOT_FINITE = 0
    SATURATED = 1
    INACTIVE = 2
    DEAD = 3


def _problem(layer: LayerStatistics, *, first: bool) -> _Problem | None:
    """A layer's worst problem."""
    if not math.isfinite(layer.outputs.std):
        return _Problem.NOT_FINITE
    if layer.bounded and layer.saturated > SATURATED:
        return _Problem.SATURATED
    if layer.bounded and layer.outputs.std < INACTIVE:
        return _Problem.INACTIVE
    if layer.dead > DEAD and not (first and layer.kind in ("silu", "gelu")):
        return _Problem.DEAD
    return None


def _describe(
    problem: _Problem,
    layer: LayerStatistics,
    before: LayerStatistics | None,
    when: str,
    setting: str,
    first: bool,
) -> str:
    """A problem, and its cause by the start and the settings.

    before: the layer at the first step, where that is known.
    """
    what, was = {
        _Problem.NOT_FINITE: (f"{layer.kind} outputs are NaN or infinite {when}", ""),
        _Problem.SATURATED: (
            f"{layer.saturated:.0%} of {layer.kind} outputs saturated {when}",
            f"{before.saturated:.0%}" if before else "",
        ),
        _Problem.INACTIVE: (
            f"{layer.kind} outputs have a standard deviation of only {layer.outputs.std:.3f} {when}",
            f"{before.outputs.std:.3f}" if before else "",
        ),
        _Problem.DEAD: (
            f"{layer.dead:.0%} of the {layer.kind} units are dead {when}",
            f"{before.dead:.0%}" if before else "",
        ),
    }[problem]
    chosen = f" ({setting})" if setting else ""
    large = f"initialization too large{chosen}; scale the weights by gain / sqrt(fan_in)"
    by_start = {
        _Problem.NOT_FINITE: f"initialization too large{chosen}",
        _Problem.SATURATED: f"{large}, or put a norm before it",
        _Problem.INACTIVE: f"initialization too small{chosen}",
        _Problem.DEAD: large,
    }[problem]
    if first:
        return f"{what}: {by_start}"
    by_training = {
        _Problem.NOT_FINITE: "training diverged; lower the learning rate",
        _Problem.SATURATED: "weights have grown too large; lower the learning rate, or put a norm "
        "before it",
        _Problem.INACTIVE: "weights have shrunk; less weight decay, or a lower learning rate",
        _Problem.DEAD: "learning rate too large",
    }[problem]
    if before is None:
        either = f"the start is not known; either {by_start}, or {by_training}"
        return f"{what}: {by_training if problem is _Problem.NOT_FINITE else either}"
    if _problem(before, first=False) == problem:
        same = f", {was} at the first step already" if was else " and at the first step already"
        return f"{what}{same}: {by_start}"
    return f"{what}{f', {was} at the first step' if was else ''}: {by_training}"
