"""Figures of losses: over training, of one run or several, and over a learning-rate sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hornbook.errors import counted
from hornbook.figures import style
from hornbook.figures.data import DoesNotApplyError
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.activations import first_weights
from hornbook.metrics.finding import Finding
from hornbook.metrics.overfitting import overfitting
from hornbook.metrics.results import Group, bits_per_nat, rank
from hornbook.metrics.verdict import first_loss_fault
from hornbook.runs.directory import StoredRun

LINES = (
    style.BLUE,
    style.VERMILION,
    style.GREEN,
    style.ORANGE,
    style.PURPLE,
    style.SKY,
    style.BLACK,
)
DASHES = ("-", "--", "-.")  # of the next groups, where the colors are used up


@styled
def losses(run: StoredRun) -> Figure:
    """Training and validation loss and the learning rate over the steps."""
    records = run.log
    log = [r for r in records if r["loss"] is not None and math.isfinite(r["loss"])]
    if len(log) < 2:
        raise DoesNotApplyError("it was not trained step by step, so it has no curve")
    figure, (top, bottom) = panels([3.4, 1.2], sharex=True)
    steps = [r["step"] for r in log]
    top.plot(steps, [r["loss"] for r in log], color=style.SKY, lw=1.2, label="training (batches)")
    evaluations = [
        (r["step"], r.get("train_loss", r["loss"]), r["val_loss"])
        for r in records
        if r.get("val_loss") is not None and r.get("train_loss", r["loss"]) is not None
    ]
    uniform = math.log(run.facts["vocab_size"])
    if evaluations:
        x, trained, y = zip(*evaluations, strict=True)
        if any("train_loss" in r for r in records):
            top.plot(x, trained, "o-", color=style.BLUE, ms=3, lw=1.2, label="training (a sample)")
        what = "validation" if run.config.data.held_out else "training text"
        top.plot(x, y, "o-", color=style.VERMILION, ms=4, lw=1.5, label=f"{what} (whole part)")
        old = [(r["step"], r["old_loss"]) for r in records if r.get("old_loss") is not None]
        if old:
            where, nats = zip(*old, strict=True)
            top.plot(where, nats, "s-", color=style.GREEN, ms=3, lw=1.2, label="text of the base")
        # the untrained weights are kept only where there are no others
        begun = run.facts.get("base") is not None  # and those of a base too
        after = [point for point in evaluations if point[0] or begun] or evaluations
        best_step, _, best = min(after, key=lambda point: point[2])
        top.axvline(best_step, color=style.BLACK, ls="--", lw=1)
        figure.finding = Finding(f"best {what} loss {best:.4f} nats at step {best_step:,}")
        label = f"best, kept: {best:.3f}"
        if shows := overfitting(after):
            at, last_loss, last = shows
            before = (
                " or before" if best_step == after[0][0] else ""
            )  # there was no evaluation before
            label = f"overfitting from here{before}\n(best, kept: {best:.3f})"
            figure.finding = Finding(
                f"overfitting since step {best_step:,}{before}: the validation loss rose from "
                f"{best:.4f} to {last:.4f} at step {at:,} as the training loss fell to "
                f"{last_loss:.4f}; the weights of step {best_step:,} are kept",
                False,
            )
        left = best_step < 0.4 * steps[-1]
        top.annotate(
            label, (best_step, 0.98), xycoords=("data", "axes fraction"), va="top", fontsize=8.5,
            xytext=(5 if left else -5, 0), textcoords="offset points", ha="left" if left else "right",
        )  # fmt: skip
    fault = first_loss_fault(
        log[0]["loss"] if steps[0] == 1 else None, uniform, first_weights(run.config.model)
    )
    if fault is not None:
        before = f"{figure.finding.text}; " if figure.finding is not None else ""
        figure.finding = Finding(before + fault.text, False)
    baseline = f"uniform baseline: ln {run.facts['vocab_size']} = {uniform:.2f}"
    top.axhline(uniform, color=style.GRAY, ls=":", lw=1, label=baseline)
    top.set_yscale("log")
    if evaluations:  # space above all lines for the label
        low, high = top.get_ylim()
        top.set_ylim(low, high * (high / low) ** 0.25)
    _plain_log_ticks(top)
    top.set(ylabel="loss (nats per token, log)", title="Loss")
    if style.is_narrow():
        style.legend_beside(top)
    else:
        top.legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3, columnspacing=1.0,
            handlelength=1.2, borderaxespad=0.2, handletextpad=0.5,
        )  # fmt: skip
    bottom.plot(steps, [r.get("lr", math.nan) for r in log], color=style.BLACK, lw=1.2)
    bottom.set(xlabel="steps", ylabel="learning\nrate", ylim=(0, None))
    style.whole_numbers(bottom)
    return figure


@styled
def curves(groups: Sequence[Group]) -> Figure:
    """The validation losses of several runs while they were trained, one over the other: over the
    tokens they were trained on, and over the seconds that took. A color a group, a line a seed.

    Counts, which are fitted in one pass, are level lines. The files of the runs are read again.
    """
    drawn = sorted(groups, key=lambda group: rank(group.result))
    same = len({group.result.tokenizer for group in drawn}) == 1
    trained = [group for group in drawn if not group.result.fitted]
    uniform = 0.0  # the loss of equal probabilities
    looks: dict[str, Any] = {
        group.name: {"color": LINES[i % len(LINES)], "ls": DASHES[i // len(LINES) % len(DASHES)]}
        for i, group in enumerate(trained)
    }
    counted = [group for group in drawn if group.result.fitted]
    for i, group in enumerate(counted):
        looks[group.name] = {"color": style.GRAY, "ls": (0, (1, 1 + 2 * i))}
    figure, panes = panels([3.4, 3.6 + 0.09 * len(drawn)])
    unit = "nats per token" if same else "bits per byte"
    for axes, x_name in zip(panes, ("tokens", "seconds"), strict=True):
        for group in drawn:
            name: str | None = style.name_shown(group.name)
            for m in group.runs:
                run = StoredRun.load(m.result.path)
                log = [r for r in run.log if _finite(r.get("val_loss"))]
                bits = 1.0 if same else bits_per_nat(m.result)
                uniform = max(uniform, bits * math.log(run.facts["vocab_size"]))
                if x_name == "seconds":  # a logarithm has no 0, the time of the untrained weights
                    log = [r for r in log if r["seconds"] > 0]
                x, y = [r[x_name] for r in log], [bits * r["val_loss"] for r in log]
                if group.result.fitted and _finite(m.result.validation):
                    loss = bits * m.result.validation
                    axes.axhline(loss, lw=1.5, label=name, **looks[group.name])
                elif x:
                    axes.plot(x, y, marker="o", ms=2.5, lw=1.2, label=name, **looks[group.name])
                name = None  # one entry a group
        axes.set_ylabel(f"validation loss ({unit})")
        low, high = axes.get_ylim()  # what was far above ln V in the beginning is cut off
        axes.set_ylim(low, max(min(high, 1.1 * uniform), low + 0.1))
    panes[0].set_xlabel("tokens trained on")
    style.whole_numbers(panes[0])
    panes[1].set(xscale="log", xlabel="training time (s, log)")
    style.plain_digits(panes[1].xaxis)
    style.plain_minor_digits(panes[1].xaxis)
    panes[0].set_title("Loss curves")
    style.legend_below(panes[1])
    return figure


def _finite(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss)


def _plain_log_ticks(axes: Axes) -> None:
    low, high = axes.get_ylim()
    lowest, highest = math.floor(math.log10(low)), math.ceil(math.log10(high))
    within = [1.0, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7]
    if high / low >= 10:
        within = [1, 2, 5] if high / low < 1000 else [1]
    step = max(1, (highest - lowest) // 6)
    choices = [a * 10.0**b for b in range(lowest, highest + 1, step) for a in within]
    axes.set_yticks([c for c in choices if low <= c <= high])
    style.plain_digits(axes.yaxis)
    axes.tick_params(axis="y", which="minor", length=0)


@styled
def lr_sweep(rates: Sequence[float], losses: Sequence[float], best: float | None = None) -> Figure:
    """The loss against the learning rate of a sweep that raises it step by step.

    losses: nats, of the batch at each rate. best: a rate to mark. The notes, "Trigram+MLP".
    """
    figure, (axes,) = panels([3.2])
    axes.plot(rates, losses, color=style.SKY, lw=1)
    window = max(1, len(losses) // 25)
    kernel = np.ones(window) / window
    smooth = np.convolve(losses, kernel, "valid")
    axes.plot(np.asarray(rates)[window // 2 :][: len(smooth)], smooth, color=style.BLUE, lw=1.8,
              label=f"mean of {counted(window, 'step')}")  # fmt: skip
    if best is not None:
        axes.axvline(
            best, color=style.VERMILION, ls="--", lw=1.2, label=f"best of the trials: {best:.3g}"
        )
    finite = np.asarray(losses)[np.isfinite(losses)]
    if len(finite):
        axes.set_ylim(finite.min() - 0.1, min(finite.max(), 2 * float(finite[0])) + 0.1)
    axes.set(xscale="log", xlabel="learning rate (log)", ylabel="loss of the batch (nats)",
             title="Learning-rate sweep")  # fmt: skip
    style.plain_digits(axes.xaxis)
    axes.legend()
    return figure
