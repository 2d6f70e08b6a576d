"""The figure of update-to-data and gradient-to-data ratios over training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D

from hornbook.figures import style
from hornbook.figures.data import probe_records, require_trained
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.finding import Finding
from hornbook.optim import build_optimizer
from hornbook.runs.directory import StoredRun

TARGET = 1e-3  # update : data, the notes' rule of thumb
COLORS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.BLACK)
LINES = [(color, line) for line in ("-", ":") for color in COLORS]
NAMED = 9  # lines up to which each has a color and a name of its own

Records = Sequence[Mapping[str, dict[str, dict[str, float]]]]


@styled
def ratios(run: StoredRun) -> Figure:
    """update:data and gradient:data of each matrix over training, from the probes."""
    require_trained(run)
    found = probe_records(run, "probe")
    names = list(found[0]["parameters"])
    steps = [r["step"] for r in found]
    named = names
    if len(names) > NAMED:  # those of the finding among them
        medians = _medians(found[len(found) // 2 :], names)
        order = sorted(medians, key=lambda name: medians[name])
        named = list(dict.fromkeys([*order[:-3:-1], *_extremes(found, names), *order[:1]]))
    figure, axes = panels([3.0, 2.4], sharex=True)
    for panel, key in zip(axes, ("update_ratio", "grad_ratio"), strict=True):
        for name in names:
            color, line = LINES[named.index(name)] if name in named else (style.LIGHT, "-")
            panel.plot(
                steps, _values(found, name, key), line, color=color, lw=1.2,
                label=name.removesuffix(".weight"), zorder=2 if name in named else 1,
            )  # fmt: skip
        panel.set_yscale("log")
    top, bottom = axes
    target = top.axhline(TARGET, color=style.VERMILION, lw=1.2, ls="--", label="1e-3, the target")
    top.set(ylabel="update : data", title="How far a step moves each matrix (std / std)")
    bottom.set(xlabel="steps", ylabel="gradient : data", title="Gradients against the weights")
    style.whole_numbers(bottom)
    lines = dict(zip(names, top.get_lines(), strict=False))
    handles = [lines[name] for name in named]
    if len(named) < len(names):
        handles.append(Line2D([], [], color=style.LIGHT, label=f"{len(names) - len(named)} others"))
        figure.note = "named are the highest and the lowest of both pictures"
    style.legend_beside(top, handles=[*handles, target])
    figure.finding = judge_ratios(found, names, _updated_by_muon(run))
    return figure


def _updated_by_muon(run: StoredRun) -> frozenset[str]:
    """The names of the matrices whose updates Muon makes, where it is the optimizer."""
    optimizer = build_optimizer(run.model, run.config.optim, run.model.output)
    groups = [group for group in optimizer.param_groups if group.get("muon")]
    updated = {id(parameter) for group in groups for parameter in group["params"]}
    return frozenset(name for name, p in run.model.named_parameters() if id(p) in updated)


def _values(found: Records, name: str, key: str) -> list[float]:
    """A ratio of a matrix at each step; NaN where there is none, or it is 0."""
    return [r["parameters"].get(name, {}).get(key) or math.nan for r in found]


def _extremes(found: Records, names: list[str]) -> list[str]:
    """The two matrices whose gradient : data is highest at any step, and the one where it is lowest."""
    table = np.array([_values(found, name, "grad_ratio") for name in names])
    known = np.ma.masked_invalid(table)  # some have no gradient at first
    high = np.argsort(-known.max(axis=1).filled(-math.inf), kind="stable")
    low = np.argsort(known.min(axis=1).filled(math.inf), kind="stable")
    return [names[i] for i in (*high[:2], low[0])]


def _medians(found: Records, names: list[str]) -> dict[str, float]:
    """Median update:data of each matrix that all records have."""
    return {
        name: float(np.median([r["parameters"][name]["update_ratio"] or 0.0 for r in found]))
        for name in names
        if all(name in r["parameters"] for r in found)
    }


def judge_ratios(
    found: Records, names: list[str], by_muon: frozenset[str] = frozenset()
) -> Finding:
    """Whether the median update:data of every matrix over the second half of training, when weights
    initialized to 0 have grown, is within a factor of 10 of 1e-3.

    by_muon: matrices that the rule is not for: Muon gives every update the same size, whatever the
    gradient.
    """
    for name in names:
        for r in found:
            ratio = r["parameters"].get(name, {}).get("update_ratio")
            if name in r["parameters"] and (ratio is None or not math.isfinite(ratio)):
                problem = "training diverged; lower the learning rate"
                return Finding(f"{name} has values that are NaN or infinite: {problem}", False)
    medians = _medians(found[len(found) // 2 :], names)
    median = {name: ratio for name, ratio in medians.items() if name not in by_muon}
    muon = [ratio for name, ratio in medians.items() if name in by_muon]
    apart = ""
    if muon:
        apart = f"those of Muon, which the rule is not for, by {min(muon):.1e} to {max(muon):.1e}"
    if not median:
        return Finding(f"steps move the matrices: {apart}")
    fast, slow = (end(median, key=lambda name: median[name]) for end in (max, min))
    high, low = median[fast], median[slow]
    for name, wrong, how, size in (
        (fast, high > 10 * TARGET, "high", f"{high:.1e}"),
        (slow, low < TARGET / 10, "low", f"only {low:.1e}"),
    ):
        if wrong:
            return Finding(
                f"{name} moves by {size} of itself a step (median), 1e-3 is the target: learning "
                f"rate too {how} for it",
                False,
            )
    words = f"steps move the matrices by {low:.1e} to {high:.1e} (median): near 1e-3"
    return Finding(f"{words}; {apart}" if apart else words)
