"""The figure of a ladder or a comparison: losses with their standard errors, and their cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from hornbook.figures import style
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.results import RunResult

LABEL = 0.17  # inches from one label to the next


@styled
def comparison(rows: Sequence[RunResult], title: str = "The ladder") -> Figure:
    """Validation and test loss of each run with two standard errors, and loss against time.

    In nats per token, or in bits per byte where the tokenizers differ. Runs with an infinite loss
    are named in the title, and not drawn.
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
    figure, (losses, times) = panels([0.32 * len(drawn) + 1.0, max(3.4, LABEL * len(drawn) + 0.8)])
    _losses(losses, drawn)
    losses.set(xlabel=f"loss ({unit})", title=title)
    _times(times, [row for row in drawn if row.seconds > 0])
    times.set(xscale="log", xlabel="training time (s, log)", ylabel=f"loss ({unit})",
              title="What a lower loss costs")  # fmt: skip
    style.plain_digits(times.xaxis)
    times.xaxis.set_minor_formatter(LogFormatter())  # in plain digits, where a decade is not full
    return figure


def _in_bits(s: RunResult) -> RunResult:
    """A result whose losses are in bits per byte; errors scale with them, as all read the same text."""
    per = s.bits_per_byte / s.validation if s.validation else 0.0
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
    axes.set_yticks(list(rows_at), [r.name for r in rows])
    axes.grid(axis="x", color=style.PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="best")


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
        axes.annotate(r.name, (column, height), xytext=(3, 0), textcoords="offset points",
                      va="center", fontsize=8)  # fmt: skip
    axes.plot([], [], "^", ms=6, color=style.VERMILION, label="counted")
    axes.plot([], [], "o", ms=6, color=style.BLUE, label="trained")
    axes.legend(loc="best")
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
