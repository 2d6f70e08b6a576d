"""Figures of training: losses, activations and gradients, idle units, ratios, and sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hornbook.figures import style
from hornbook.figures.source import DoesNotApplyError, layer_names, records, source, trained
from hornbook.figures.style import Figure, depth_colours, panels, styled
from hornbook.metrics.overfitting import overfitting
from hornbook.metrics.probes import (
    BINS,
    TANH_SATURATED,
    WIDE,
    Spread,
    Units,
    Verdict,
    judge,
    spread_from,
    units_from,
)
from hornbook.runs.directory import StoredRun

AIM = 1e-3  # update : data, the notes' rule of thumb
COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.BLACK)
LINES = [(colour, line) for line in ("-", ":") for colour in COLOURS]
NAMED = 9  # lines up to which each has a colour and a name of its own


@styled
def losses(run: StoredRun) -> Figure:
    """Training and validation loss and the learning rate over the updates."""
    log = [r for r in run.log if r["loss"] is not None and math.isfinite(r["loss"])]
    if len(log) < 2:
        raise DoesNotApplyError("it was not trained update by update: there is no curve")
    figure, (top, bottom) = panels([3.4, 1.2], sharex=True)
    steps = [r["step"] for r in log]
    top.plot(steps, [r["loss"] for r in log], color=style.SKY, lw=1.2, label="training (batches)")
    seen = [(r["step"], r["val_loss"], r["loss"]) for r in log if r.get("val_loss") is not None]
    uniform = math.log(run.facts["vocab_size"])
    if seen:
        x, y, _ = zip(*seen, strict=True)
        what = "validation" if run.config.data.held_out else "training text"
        top.plot(x, y, "o-", color=style.VERMILION, ms=4, lw=1.5, label=f"{what} (whole part)")
        best_step, best, _ = min(seen, key=lambda point: point[1])
        top.axvline(best_step, color=style.BLACK, ls="--", lw=1)
        figure.verdict = Verdict(f"best {what} loss {best:.4f} nats at update {best_step:,}")
        label = f"best, kept: {best:.3f}"
        if shown := overfitting([(step, loss, val_loss) for step, val_loss, loss in seen]):
            at, last_loss, last = shown
            before = " or before" if best_step == x[0] else ""  # where nobody looked
            label = f"overfitting from here{before}\n(best, kept: {best:.3f})"
            figure.verdict = Verdict(
                f"overfitting since update {best_step:,}{before}: the validation loss rose from "
                f"{best:.4f} to {last:.4f} at update {at:,} as the training loss fell to "
                f"{last_loss:.4f}; the weights of update {best_step:,} are kept",
                False,
            )
        left = best_step < 0.4 * steps[-1]
        top.annotate(
            label, (best_step, 0.98), xycoords=("data", "axes fraction"), va="top", fontsize=8.5,
            xytext=(5 if left else -5, 0), textcoords="offset points", ha="left" if left else "right",
        )  # fmt: skip
    nothing = f"knowing nothing: ln {run.facts['vocab_size']} = {uniform:.2f}"
    top.axhline(uniform, color=style.GREY, ls=":", lw=1, label=nothing)
    top.set_yscale("log")
    if seen:  # room above all lines for the label
        low, high = top.get_ylim()
        top.set_ylim(low, high * (high / low) ** 0.25)
    _plain_log_ticks(top)
    top.set(ylabel="loss (nats per token, log)", title="Loss")
    top.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3, columnspacing=1.0, handlelength=1.2,
        borderaxespad=0.2, handletextpad=0.5,
    )  # fmt: skip
    bottom.plot(steps, [r.get("lr", math.nan) for r in log], color=style.BLACK, lw=1.2)
    bottom.set(xlabel="updates", ylabel="learning\nrate", ylim=(0, None))
    style.whole_numbers(bottom)
    return figure


def _plain_log_ticks(axes: Axes) -> None:
    low, high = axes.get_ylim()
    lowest, highest = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = math.log10(high / low)
    within = (
        (1.0, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    )
    step = max(1, (highest - lowest) // 6)
    choices = [a * 10.0**b for b in range(lowest, highest + 1, step) for a in within]
    axes.set_yticks([c for c in choices if low <= c <= high])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.tick_params(axis="y", which="minor", length=0)


@styled
def activations(run: StoredRun) -> Figure:
    """Histograms of what the layers of the kept weights give on held-out text, and of gradients."""
    probe = source(run).probe
    names = layer_names(run, probe.activations)
    on = "held-out text" if run.config.data.held_out else "the training text"
    return _flow(probe.activations, probe.gradients, first=False, names=names, on=on)


@styled
def first_activations(run: StoredRun) -> Figure:
    """The same at the first update, from the probes: how it was initialised."""
    trained(run)
    record = records(run, "probe")[0]
    units = {name: units_from(data) for name, data in record["activations"].items()}
    gradients = {name: spread_from(data) for name, data in record["gradients"].items()}
    return _flow(units, gradients, first=True)


@styled
def flow(
    units: Mapping[str, Units], gradients: Mapping[str, Spread], *, first: bool = True
) -> Figure:
    """Activation and gradient histograms of any probe, at the first update or later."""
    return _flow(units, gradients, first=first)


def _flow(
    units: Mapping[str, Units],
    gradients: Mapping[str, Spread],
    *,
    first: bool,
    names: Sequence[str] = (),
    on: str = "held-out text",
) -> Figure:
    if not units:
        raise DoesNotApplyError(
            "no layer of units (tanh, ReLU, GELU, SiLU, recurrent) in this model"
        )
    names = list(names) or [f"layer {i}" for i in range(1, len(units) + 1)]
    shorts = [name.removeprefix("layer ") for name in names]
    figure, (top, bottom) = panels([2.7, 2.5])
    bottom.set_yscale("log")
    if not any(layer.bounded for layer in units.values()):
        top.set_yscale("log")
    colours = depth_colours(len(units))
    for name, colour, layer in zip(shorts, colours, units.values(), strict=True):
        spread = layer.spread
        idle = f"{layer.saturated:.1%} " + ("saturated" if layer.bounded else "below 0")
        label = f"{name} {layer.kind}: {spread.mean:+.2f} ± {spread.std:.2f}, {idle}"
        histogram(top, spread, colour, label)
    if any(layer.bounded for layer in units.values()):
        for edge in (-TANH_SATURATED, TANH_SATURATED):
            top.axvline(edge, color=style.VERMILION, lw=0.8, ls="--")
        top.set_ylabel("density")
    else:
        top.set_ylabel("density (log)")
    when = "at the first update" if first else f"after training, on {on}"
    top.set(title=f"Activations {when}", xlabel="output of the layer")
    _legend(top, "layer: mean ± deviation")
    for name, colour, module in zip(shorts, colours, units, strict=True):
        if module in gradients:
            spread = gradients[module]
            histogram(bottom, spread, colour, f"{name}: {spread.mean:+.1e} ± {spread.std:.1e}")
    widest = max((s.std for s in gradients.values()), default=1.0) or 1.0
    none = "" if any(s.std for s in gradients.values()) else ": all are 0"
    bottom.set(
        title=f"Gradients of the loss with respect to them{none}", xlabel="gradient (nats per unit)",
        ylabel="density (log)", xlim=(-WIDE * widest, WIDE * widest),
    )  # fmt: skip
    bottom.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    bottom.locator_params(axis="x", nbins=5)
    _legend(bottom, "layer: mean ± deviation")
    figure.verdict = judge(units, first=first, names=names)
    return figure


def _legend(axes: Axes, title: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title, title_fontsize=8.5)


def histogram(axes: Axes, spread: Spread, colour: object, label: str) -> None:
    """The histogram of a spread as steps, so that a bin alone shows as well."""
    low, high = spread.low, spread.high
    if low >= high:  # one value alone, which was counted in the middle
        low, high = low - 0.02 * (abs(low) or 1.0), high + 0.02 * (abs(high) or 1.0)
    width = (high - low) / BINS
    edges = low + width * np.arange(BINS + 1)
    density = np.array(spread.counts) / max(1, sum(spread.counts)) / width
    axes.stairs(density, edges, color=colour, lw=1.4, label=label)
    if axes.get_yscale() == "log" and density.any():  # steps go down to less than the rarest bin
        low, high = float(density[density > 0].min()) / 2, 2 * float(density.max())
        if len(axes.patches) > 1:
            low, high = min(low, axes.get_ylim()[0]), max(high, axes.get_ylim()[1])
        axes.set_ylim(low, high)


@styled
def idle_units(run: StoredRun) -> Figure:
    """Share of saturated outputs and of dead units, layer by layer."""
    units = source(run).probe.activations
    if not units:
        raise DoesNotApplyError(
            "no layer of units (tanh, ReLU, GELU, SiLU, recurrent) in this model"
        )
    figure, (axes,) = panels([1.1 + 0.45 * len(units)])
    places = np.arange(len(units))
    layers = layer_names(run, units)
    names = [f"{name} {layer.kind}" for name, layer in zip(layers, units.values(), strict=True)]
    quiet = [100 * layer.saturated for layer in units.values()]
    dead = [100 * layer.dead for layer in units.values()]
    bounded = next(iter(units.values())).bounded
    label = "outputs beyond 0.97:\nsaturated" if bounded else "outputs below 0:\nswitched off"
    axes.barh(places - 0.19, quiet, 0.36, color=style.SKY, label=label)
    axes.barh(
        places + 0.19, dead, 0.36, color=style.VERMILION, label="units so all\nthe time: dead"
    )
    for place, (a, b) in enumerate(zip(quiet, dead, strict=True)):
        axes.text(a, place - 0.19, f" {a:.1f}", va="center", fontsize=8.5)
        axes.text(b, place + 0.19, f" {b:.1f}", va="center", fontsize=8.5)
    axes.set(xlabel="share (%)", xlim=(0, 110), title="Saturated outputs and dead units")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.verdict = judge(units, first=False, names=layers)
    return figure


@styled
def ratios(run: StoredRun) -> Figure:
    """update:data and gradient:data of each matrix over training, from the probes."""
    trained(run)
    found = records(run, "probe")
    names = list(found[0]["parameters"])
    steps = [r["step"] for r in found]
    named = names
    if len(names) > NAMED:  # the verdict's among them
        medians = _medians(found[len(found) // 2 :], names)
        order = sorted(medians, key=lambda name: medians[name])
        named = list(dict.fromkeys([*order[:-3:-1], *_apart(found, names), *order[:1]]))
    figure, axes = panels([3.0, 2.4], sharex=True)
    for panel, key in zip(axes, ("update_ratio", "grad_ratio"), strict=True):
        for name in names:
            values = [r["parameters"].get(name, {}).get(key) or math.nan for r in found]
            colour, line = LINES[named.index(name)] if name in named else (style.LIGHT, "-")
            panel.plot(
                steps, values, line, color=colour, lw=1.2, label=name.removesuffix(".weight"),
                zorder=2 if name in named else 1,
            )  # fmt: skip
        panel.set_yscale("log")
    top, bottom = axes
    aim = top.axhline(AIM, color=style.VERMILION, lw=1.2, ls="--", label="1e-3, the aim")
    top.set(ylabel="update : data", title="How far an update moves each matrix (std / std)")
    bottom.set(xlabel="updates", ylabel="gradient : data", title="Gradients against the weights")
    style.whole_numbers(bottom)
    lines = dict(zip(names, top.get_lines(), strict=False))
    handles = [lines[name] for name in named]
    if len(named) < len(names):
        handles.append(Line2D([], [], color=style.LIGHT, label=f"{len(names) - len(named)} others"))
        figure.note = "named are the highest and the lowest of both pictures"
    top.legend(handles=[*handles, aim], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.verdict = _judge_ratios(found, names)
    return figure


def _apart(
    found: Sequence[Mapping[str, dict[str, dict[str, float]]]], names: list[str]
) -> list[str]:
    """The two matrices whose gradient : data is highest at any time, and the one where it is lowest."""
    table = np.array(
        [[r["parameters"].get(n, {}).get("grad_ratio") or math.nan for r in found] for n in names]
    )
    known = np.ma.masked_invalid(table)  # some have no gradient at first
    high = np.argsort(-known.max(axis=1).filled(-math.inf), kind="stable")
    low = np.argsort(known.min(axis=1).filled(math.inf), kind="stable")
    return [names[i] for i in (*high[:2], low[0])]


def _medians(
    found: Sequence[Mapping[str, dict[str, dict[str, float]]]], names: list[str]
) -> dict[str, float]:
    """Median update:data of each matrix that all records have."""
    return {
        name: float(np.median([r["parameters"][name]["update_ratio"] or 0.0 for r in found]))
        for name in names
        if all(name in r["parameters"] for r in found)
    }


def _judge_ratios(
    found: Sequence[Mapping[str, dict[str, dict[str, float]]]], names: list[str]
) -> Verdict:
    """Median update:data over the second half of training, when weights that began as 0 have grown;
    within a factor of 10 of 1e-3 is called good."""
    for name in names:
        for r in found:
            ratio = r["parameters"].get(name, {}).get("update_ratio")
            if name in r["parameters"] and (ratio is None or not math.isfinite(ratio)):
                return Verdict(
                    f"{name} has values that are no numbers: training diverged; lower the learning "
                    "rate",
                    False,
                )
    found = found[len(found) // 2 :]
    median = _medians(found, names)
    fast = max(median, key=lambda name: median[name])
    slow = min(median, key=lambda name: median[name])
    if median[fast] > 10 * AIM:
        return Verdict(
            f"{fast} moves by {median[fast]:.1e} of itself an update (median), 1e-3 is the aim: "
            "learning rate too high for it",
            False,
        )
    if median[slow] < AIM / 10:
        return Verdict(
            f"{slow} moves by only {median[slow]:.1e} of itself an update (median), 1e-3 is the "
            "aim: learning rate too low for it",
            False,
        )
    low, high = min(median.values()), max(median.values())
    return Verdict(f"updates move the matrices by {low:.1e} to {high:.1e} (median): near 1e-3")


@styled
def lr_sweep(rates: Sequence[float], losses: Sequence[float], best: float | None = None) -> Figure:
    """The loss against the learning rate of a sweep that raises it update by update.

    rates: learning rates (per update). losses: nats, of the batch at each rate. best: a rate to
    mark. The notes, "Trigram+MLP": rates evenly spread in their exponent.
    """
    figure, (axes,) = panels([3.2])
    axes.plot(rates, losses, color=style.SKY, lw=1)
    window = max(1, len(losses) // 25)
    kernel = np.ones(window) / window
    smooth = np.convolve(losses, kernel, "valid")
    axes.plot(np.asarray(rates)[window // 2 :][: len(smooth)], smooth, color=style.BLUE, lw=1.8,
              label=f"mean of {window}")  # fmt: skip
    if best is not None:
        axes.axvline(best, color=style.VERMILION, ls="--", lw=1.2, label=f"{best:.2g}")
    finite = np.asarray(losses)[np.isfinite(losses)]
    if len(finite):
        axes.set_ylim(finite.min() - 0.1, min(finite.max(), 2 * float(finite[0])) + 0.1)
    axes.set(xscale="log", xlabel="learning rate (log)", ylabel="loss of the batch (nats)",
             title="Learning-rate sweep")  # fmt: skip
    axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
    axes.xaxis.set_minor_formatter(lambda rate, _: "")
    axes.legend()
    return figure
