"""The figure of a ladder or a comparison: losses with their standard errors, differences, and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from hornbook.figures import style
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.comparison import Difference
from hornbook.metrics.results import Group, RunResult, bits_per_nat

LABEL = 0.17  # inches from one label to the next
LONG = 20  # characters of a name that fit beside the axes on one line


@styled
def comparison(
    rows: Sequence[RunResult],
    title: str = "The ladder",
    groups: Sequence[Group] = (),
    differences: Sequence[Difference] = (),
) -> Figure:
    """Validation and test loss of each run or group with two standard errors, the paired differences
    from the best, and loss against time.

    In nats per token, or in bits per byte where the tokenizers differ. Runs with an infinite loss
    are named in the title, and not drawn. groups: of which the single seeds are drawn. differences:
    from the best, which decide: two bars may overlap where the difference of the two is significant,
    since what is hard for one model is hard for the other.
    """
    same = len({s.tokenizer for s in rows}) == 1
    unit = "nats per token" if same else "bits per byte"
    if not all(s.held_out for s in rows):
        unit += ", of the text that was trained on"
    drawn = [s if same else _in_bits(s) for s in rows]
    left_out = [row.name for row in drawn if not math.isfinite(row.validation)]
    drawn = sorted((r for r in drawn if math.isfinite(r.validation)), key=lambda r: -r.validation)
    if left_out:
        title += f" (infinite: {', '.join(left_out)})"
    title = style.name_shown(title)
    tested = sorted((d for d in differences if d.is_testable), key=lambda d: -d.mean)
    row = max(0.32, *(0.08 + LABEL * _label(r.name).count("\n") + LABEL for r in drawn), 0)
    heights = [row * len(drawn) + 1.2, max(3.4, LABEL * len(drawn) + 0.8)]
    if tested:
        heights.insert(1, row * len(tested) + 1.2)
    figure, (losses, *between, times) = panels(heights)
    _losses(losses, drawn)
    _seeds(losses, drawn, groups, same)
    style.legend_below(losses)
    losses.set(xlabel=f"loss ({unit})", title=title)
    for axes in between:
        _differences(axes, tested)
    _times(times, [row for row in drawn if row.seconds > 0])
    times.set(xscale="log", xlabel="training time (s, log)", ylabel=f"loss ({unit})",
              title="What a lower loss costs")  # fmt: skip
    style.plain_digits(times.xaxis)
    style.plain_minor_digits(times.xaxis)
    return figure


def _label(name: str) -> str:
    """A name for an axis: a long one, of several settings, takes several lines."""
    name = style.name_shown(name)
    return name.replace(",", ",\n") if len(name) > LONG else name


def _cut(name: str) -> str:
    """A name beside the axes: a long one is cut at its end where it is a short one with a remark in
    brackets, else at its beginning, as paths and settings differ at their end."""
    name = style.name_shown(name)
    if len(name) > LONG and 0 < name.find(" (") <= LONG // 2:
        return name[: LONG - 1].rstrip(" (") + "…"
    return style.shortened(name, LONG)


def _seeds(axes: Axes, rows: Sequence[RunResult], groups: Sequence[Group], same: bool) -> None:
    """The validation loss of each seed of a group that has several, above its mean."""
    places = {row.name: place for place, row in enumerate(rows)}
    points = [
        (m.result.validation if same else m.result.bits_per_byte, places[group.name] + 0.34)
        for group in groups
        if len(group.runs) > 1 and group.name in places
        for m in group.runs
    ]
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, "|", color=style.BLUE, ms=7, label="validation, each seed")


def _differences(axes: Axes, rows: Sequence[Difference]) -> None:
    """How much worse than the best each other one is, with the interval that its test goes by: what
    does not reach 0 is significant."""
    for significant, color, fill in ((True, style.BLUE, style.BLUE), (False, style.GRAY, "white")):
        chosen = [(place, d) for place, d in enumerate(rows) if d.is_significant == significant]
        if chosen:
            axes.errorbar(
                [d.mean for _, d in chosen], [place for place, _ in chosen],
                xerr=[d.interval for _, d in chosen], fmt="o", ms=5, color=color,
                mfc=fill, label="significant" if significant else "not significant",
            )  # fmt: skip
    axes.axvline(0, color=style.BLACK, lw=1)
    axes.set_yticks(range(len(rows)), [_label(d.other) for d in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="x", color=style.PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_title("Paired differences", pad=17)
    about = "the bars above may overlap: the pairs, on the same text, decide"
    axes.annotate(about, (0, 1), xytext=(0, 4), xycoords="axes fraction",
                  textcoords="offset points", fontsize=8.5)  # fmt: skip
    axes.set_xlabel(f"loss above the best ({rows[0].unit})")
    style.legend_below(axes)


def _in_bits(s: RunResult) -> RunResult:
    """A result whose losses are in bits per byte; errors scale with them, as all read the same text."""
    per = bits_per_nat(s)
    test_per = s.test_bits / s.test if s.test_bits and s.test else 0.0
    return replace(
        s, validation=s.bits_per_byte, validation_error=per * (s.validation_error or 0.0),
        test=s.test_bits, test_error=test_per * (s.test_error or 0.0), unseen=s.unseen_bits,
    )  # fmt: skip


def _losses(axes: Axes, rows: Sequence[RunResult]) -> None:
    rows_at = range(len(rows))
    axes.errorbar(
        [r.validation for r in rows], [p + 0.12 for p in rows_at],
        xerr=[2 * (r.validation_error or 0.0) for r in rows], fmt="o", color=style.BLUE, ms=5,
        label="validation (2 standard errors)",
    )  # fmt: skip
    tested = [(p - 0.12, r.test, 2 * (r.test_error or 0.0)) for p, r in enumerate(rows)
              if r.test is not None and math.isfinite(r.test)]  # fmt: skip
    if tested:
        axes.errorbar(
            [t for _, t, _ in tested], [p for p, _, _ in tested], xerr=[e for _, _, e in tested],
            fmt="s", color=style.ORANGE, ms=4, label="test (2 standard errors)",
        )  # fmt: skip
    unseen = [(p - 0.36, r.unseen) for p, r in enumerate(rows)
              if r.unseen is not None and r.unseen != r.validation]  # fmt: skip
    if unseen:
        axes.plot([u for _, u in unseen], [p for p, _ in unseen], "d", color=style.GREEN, ms=4,
                  label="validation, documents not in the training part")  # fmt: skip
    axes.set_yticks(list(rows_at), [_label(r.name) for r in rows])
    axes.grid(axis="x", color=style.PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(-0.6, len(rows) - 0.4)


def _times(axes: Axes, rows: Sequence[RunResult]) -> None:
    """Each run at its time and loss; its name in a column on the right, a line to it."""
    if not rows:
        return
    seconds, values = [r.seconds for r in rows], [r.validation for r in rows]
    first, last = min(seconds) / 1.6, max(seconds) * 1.6
    spread = max(values) - min(values) or 1.0
    low, high = min(values) - 0.06 * spread, max(values) + 0.06 * spread
    column = last * (last / first) ** 0.06
    for r, height in zip(rows, spaced(values, low, high), strict=True):
        axes.plot([r.seconds, last, column], [r.validation, height, height], color=style.GRAY, lw=0.5,
                  alpha=0.6, zorder=1)  # fmt: skip
        axes.plot(r.seconds, r.validation, "^" if r.fitted else "o", ms=6, zorder=3,
                  color=style.VERMILION if r.fitted else style.BLUE)  # fmt: skip
        axes.annotate(_cut(r.name), (column, height), xytext=(3, 0),
                      textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    if any(r.fitted for r in rows):
        axes.plot([], [], "^", ms=6, color=style.VERMILION, label="counted")
    if not all(r.fitted for r in rows):
        axes.plot([], [], "o", ms=6, color=style.BLUE, label="trained")
    style.legend_below(axes)
    axes.set_xlim(first, column * (last / first) ** 0.2)
    axes.set_ylim(low, high)


def spaced(values: Sequence[float], low: float, high: float) -> list[float]:
    """Heights for labels beside these values, in their order, at least a line apart.

    All lie between low and high; the labels move as little as the gaps allow, from the top down.
    """
    order = np.argsort(values)[::-1]
    gap = (high - low) / max(len(values), 20)
    heights = np.empty(len(values))
    ceiling = high - gap / 2
    for rank, i in enumerate(order):
        floor = low + gap / 2 + gap * (len(order) - 1 - rank)  # space for those below
        heights[i] = max(floor, min(ceiling, values[i]))
        ceiling = heights[i] - gap
    return heights.tolist()
