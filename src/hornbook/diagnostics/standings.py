"""The picture of a ladder or a comparison: losses with their errors, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

from hornbook.diagnostics import style
from hornbook.diagnostics.compare import Standing
from hornbook.diagnostics.style import Figure, panels, styled


@styled
def standings(rows: Sequence[Standing], title: str = "The ladder") -> Figure:
    """Validation and test loss of each run with two standard errors, and loss against time."""
    rows = sorted(rows, key=lambda s: -s.validation)
    figure, (losses, times) = panels([0.32 * len(rows) + 1.0, 3.4])
    places = range(len(rows))
    losses.errorbar(
        [s.validation for s in rows], [p + 0.12 for p in places],
        xerr=[2 * (s.validation_error or 0.0) for s in rows], fmt="o", color=style.BLUE, ms=5,
        label="validation (2 standard errors)",
    )  # fmt: skip
    tested = [(p - 0.12, s.test, s.test_error or 0.0) for p, s in zip(places, rows, strict=True)
              if s.test is not None]  # fmt: skip
    if tested:
        losses.errorbar(
            [t for _, t, _ in tested], [p for p, _, _ in tested],
            xerr=[2 * e for _, _, e in tested], fmt="s", color=style.ORANGE, ms=4, label="test",
        )  # fmt: skip
    unseen = [(p - 0.36, s.unseen) for p, s in zip(places, rows, strict=True)
              if s.unseen is not None and s.unseen != s.validation]  # fmt: skip
    if unseen:
        losses.plot([u for _, u in unseen], [p for p, _ in unseen], "d", color=style.GREEN, ms=4,
                    label="validation, documents not in the training part")  # fmt: skip
    losses.set_yticks(list(places), [s.name for s in rows])
    losses.set(xlabel="loss (nats per token)", title=title)
    losses.grid(axis="x", color=style.PALE, lw=0.8)
    losses.set_axisbelow(True)
    losses.legend(loc="best")
    for s in rows:
        counted = s.fitted
        times.plot(
            max(s.seconds, 1e-2), s.validation, "^" if counted else "o", ms=6,
            color=style.VERMILION if counted else style.BLUE,
        )  # fmt: skip
        times.annotate(
            s.name, (max(s.seconds, 1e-2), s.validation), xytext=(6, 3),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    times.set(xscale="log", xlabel="training time (s, log)", ylabel="validation loss (nats)",
              title="What a lower loss costs")  # fmt: skip
    times.margins(x=0.18, y=0.12)
    return figure
