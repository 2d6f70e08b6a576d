"""Figures of activations and their gradients, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from hornbook.figures import style
from hornbook.figures.data import (
    NO_UNITS,
    PROBED,
    DoesNotApplyError,
    figure_data,
    is_untrained,
    layer_names,
    module_outputs,
    probe_records,
    require_trained,
    training_batch,
)
from hornbook.figures.style import Figure, depth_colors, panels, styled
from hornbook.metrics.activations import first_weights, judge_activations
from hornbook.metrics.probes import (
    BINS,
    TANH_SATURATED,
    WIDE,
    Distribution,
    LayerStatistics,
    is_flat,
)
from hornbook.runs.directory import StoredRun

MAPS, EXAMPLES = 6, 200  # layers whose units are drawn one by one, and rows of each


def activations(run: StoredRun) -> Figure:
    """Histograms of the layers' outputs on held-out text, and of their gradients."""
    data, probe = figure_data(run), figure_data(run).probe
    on = "held-out text" if run.config.data.held_out else "the training text"
    names = layer_names(run, probe.activations)
    start = data.first_probe.activations if data.first_probe is not None else None
    return flow(
        probe.activations, probe.gradients, first=is_untrained(run), on=on, names=names, start=start,
        setting=first_weights(run.config.model),
    )  # fmt: skip


def first_activations(run: StoredRun) -> Figure:
    """The same at the first step, from the probes: how the model was initialized."""
    require_trained(run)
    record = probe_records(run, "probe")[0]
    units = {name: LayerStatistics.from_json(data) for name, data in record["activations"].items()}
    gradients = {name: Distribution.from_json(data) for name, data in record["gradients"].items()}
    return flow(units, gradients, setting=first_weights(run.config.model))


@styled
def flow(
    units: Mapping[str, LayerStatistics],
    gradients: Mapping[str, Distribution],
    *,
    first: bool = True,
    on: str = "held-out text",
    names: Sequence[str] = (),
    start: Mapping[str, LayerStatistics] | None = None,
    setting: str = "",
) -> Figure:
    """Histograms of the activations of any probe, and of their gradients.

    first: at the first step, else after training. names: of the layers, by default their numbers.
    start: of trained weights, the same at the first step. setting: the one of the first weights.
    """
    if not units:
        raise DoesNotApplyError(NO_UNITS)
    names = list(names) or [f"layer {i}" for i in range(1, len(units) + 1)]
    bounded = any(layer.bounded for layer in units.values())
    figure, (top, bottom) = panels([2.7, 2.5])
    bottom.set_yscale("log")
    if not bounded:
        top.set_yscale("log")
    colors = depth_colors(len(units))
    for name, color, (module, layer) in zip(names, colors, units.items(), strict=True):
        outputs, short = layer.outputs, name.removeprefix("layer ")
        idle = f"{layer.saturated:.1%} {layer.flat_where}"
        label = f"{short} {layer.kind}: {outputs.mean:+.2f} ± {outputs.std:.2f}, {idle}"
        histogram(top, outputs, color, label)
        if found := gradients.get(module):
            histogram(bottom, found, color, f"{short}: {found.mean:+.1e} ± {found.std:.1e}")
    if bounded:
        for edge in (-TANH_SATURATED, TANH_SATURATED):
            top.axvline(edge, color=style.VERMILION, lw=0.8, ls="--")
    when = "at the first step" if first else f"after training, on {on}"
    top.set(
        title=f"Activations {when}", xlabel="output of the layer",
        ylabel="density" if bounded else "density (log)",
    )  # fmt: skip
    widest = max((s.std for s in gradients.values()), default=1.0) or 1.0
    none = "" if any(s.std for s in gradients.values()) else ": all are 0"
    bottom.set(
        title=f"Gradients of the loss with respect to them{none}", xlabel="gradient (nats per unit)",
        ylabel="density (log)", xlim=(-WIDE * widest, WIDE * widest),
    )  # fmt: skip
    bottom.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    bottom.locator_params(axis="x", nbins=5)
    for axes in (top, bottom):
        if axes.get_legend_handles_labels()[0]:
            title = "layer: mean ± standard deviation"
            style.legend_beside(axes, title=title, title_fontsize=8.5)
    figure.finding = judge_activations(
        units, first=first, names=names, start=start, setting=setting
    )
    return figure


def histogram(axes: Axes, values: Distribution, color: object, label: str) -> None:
    """Draws a histogram as steps, so that a single bin is visible as well."""
    low, high = values.low, values.high
    if low >= high:  # a single value, which was counted in the middle
        low, high = low - 0.02 * (abs(low) or 1.0), high + 0.02 * (abs(high) or 1.0)
    width = (high - low) / BINS
    edges = low + width * np.arange(BINS + 1)
    density = np.array(values.counts) / max(1, sum(values.counts)) / width
    axes.stairs(density, edges, color=color, lw=1.4, label=label)
    if axes.get_yscale() == "log" and density.any():  # steps go down to less than the rarest bin
        low, high = float(density[density > 0].min()) / 2, 2 * float(density.max())
        if len(axes.patches) > 1:
            low, high = min(low, axes.get_ylim()[0]), max(high, axes.get_ylim()[1])
        axes.set_ylim(low, high)


@styled
def idle_units(run: StoredRun) -> Figure:
    """Share of saturated outputs and of dead units, layer by layer, and below every unit on some
    examples, as in the notes: a dead unit is a vertical line."""
    data = figure_data(run)
    units = data.probe.activations
    if not units:
        raise DoesNotApplyError(NO_UNITS)
    maps = idle_maps(run, list(units)[:MAPS])
    figure, (axes, *below) = panels([1.1 + 0.45 * len(units), *[0.9] * len(maps)])
    rows = np.arange(len(units))
    layers = layer_names(run, units)
    names = [f"{name} {layer.kind}" for name, layer in zip(layers, units.values(), strict=True)]
    quiet = [100 * layer.saturated for layer in units.values()]
    dead = [100 * layer.dead for layer in units.values()]
    where = " or ".join(dict.fromkeys(layer.flat_where for layer in units.values()))
    for shares, offset, color, name in (
        (quiet, -0.19, style.SKY, f"outputs that are {where}"),
        (dead, 0.19, style.VERMILION, "units so on every\nexample: dead"),
    ):
        axes.barh(rows + offset, shares, 0.36, color=color, label=name)
        for row, share in zip(rows + offset, shares, strict=True):
            axes.text(share, row, f" {share:.1f}", va="center", fontsize=8.5)
    axes.set(xlabel="share (%)", xlim=(0, 110), title="Saturated outputs and dead units")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    style.legend_beside(axes)
    for panel, name, flat in zip(below, names, maps.values(), strict=False):
        _idle_map(panel, name, flat)
    if below:
        below[-1].set_xlabel("units, the idlest first")
    figure.reading = (
        "Below the bars a column is a unit and a row an example, gray where the bars count its output. "
        f"Red columns are dead: they are so on all {PROBED:,} examples, not only on those drawn."
    )
    figure.finding = judge_activations(
        units, first=is_untrained(run), names=layers, setting=first_weights(run.config.model),
        start=data.first_probe.activations if data.first_probe is not None else None,
    )  # fmt: skip
    return figure


def idle_maps(run: StoredRun, names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Where the units of some layers have next to no slope on the examples of the probe, (examples,
    units) each, by the name of the layer: the units that are so most often first."""
    model = run.model
    modules = {name: model.get_submodule(name) for name in names}
    ids, _ = training_batch(run, PROBED)
    call = model.next_logits if model.sliding else model
    _, outputs = module_outputs(modules, call, ids)
    maps = {}
    for name, output in outputs.items():
        flat = is_flat(modules[name], output.float()).reshape(-1, output.shape[-1])
        order = flat.float().mean(0).argsort(descending=True, stable=True)
        maps[name] = flat[:, order].numpy()
    return maps


def _idle_map(axes: Axes, name: str, flat: NDArray[np.bool_]) -> None:
    shades = np.where(flat[:EXAMPLES], 1.0, 0.0)
    shades[:, flat.all(axis=0)] = 2.0
    colors = ListedColormap(["white", style.GRAY, style.VERMILION])
    axes.imshow(shades, cmap=colors, vmin=0, vmax=2, aspect="auto", interpolation="none")
    axes.set_yticks([])
    axes.set_title(f"{name}: each unit on {len(shades)} examples", fontsize=9)
    style.whole_numbers(axes)
