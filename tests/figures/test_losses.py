"""The figures of losses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook.api import Run
from hornbook.experiments.comparison import compare
from hornbook.figures.losses import curves, losses, lr_sweep
from hornbook.training.history import ValidationHistory
from tests.conftest import TINY_GPT


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7), (1.5, 2.8)], 20),
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7)], None),  # one rise, against a few batches' loss
        ([(3.0, 3.0), (2.5, 2.6), (2.6, 2.7), (2.7, 2.8)], None),  # the training loss rises too
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7), (1.5, 2.8), (1.4, 2.601)], 20),
        ([(3.0, math.nan), (2.5, 2.6), (2.0, 2.6005), (1.5, 2.6009)], None),
    ],
)
def test_training_and_the_figure_agree_on_overfitting(
    seen: list[tuple[float, float]], since: int | None, names_run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    history, log, message = ValidationHistory(), [], ""
    for i, (loss, val_loss) in enumerate(seen, 1):
        history.add(10 * i, loss, val_loss)
        message += history.message()
        log.append({"step": 10 * i, "loss": loss, "val_loss": val_loss, "lr": 0.1})
    monkeypatch.setattr(Run, "log", log)
    finding = losses(names_run).finding
    assert history.overfitting_since == since
    assert finding is not None
    assert ("overfitting since step 20" in finding.text) == bool(message) == (since is not None)
    assert finding.good == (since is None)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([2.0, 2.1, 2.2, 2.4, 2.6], "overfitting from here or before\n(best, kept: 2.000)"),
        ([2.2, 2.0, 2.2, 2.4, 2.6], "overfitting from here\n(best, kept: 2.000)"),
        ([3.2, 2.5, 2.2, 2.0, 1.9], "best, kept: 1.900"),
    ],
)
def test_the_mark_of_overfitting_says_what_is_known_where_no_line_runs(
    held: list[float], words: str, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = [
        {"step": step, "loss": 0.5 + 2.8 * math.exp(-step / 40), "lr": 0.1}
        for step in range(1, 201)
    ]
    for i, val_loss in enumerate(held, 1):
        log[40 * i - 1]["val_loss"] = val_loss
    monkeypatch.setattr(Run, "log", log)
    figure = losses(names_run)
    assert figure.finding is not None
    assert ("since step 40 or before: " in figure.finding.text) == ("or before" in words)
    figure.canvas.draw()
    top = figure.axes[0]
    (mark,) = [text for text in top.texts if text.get_text() == words]
    box = mark.get_window_extent()
    for line in top.get_lines():
        path = line.get_transform().transform_path(line.get_path())
        assert not path.intersects_bbox(box, filled=False), line.get_label()


def test_a_sweep_is_drawn_from_rates_and_losses() -> None:
    rates = 10 ** np.linspace(-3, 0, 200)
    losses = [3 - 0.5 * math.sin(i / 60) for i in range(200)]
    losses[-1] = math.nan
    figure = lr_sweep(rates.tolist(), losses, best=0.1)
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_xlabel()
    legend = figure.axes[0].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["mean of 8 steps", "best of the trials: 0.1"]


def test_loss_curves_of_several_runs_are_drawn_over_each_other(
    names_run: Run, tmp_path: Path
) -> None:
    counts = hornbook.train("names", model="ngram", out=tmp_path / "n", settings={"model.order": 2})
    other = hornbook.train(
        "names", out=tmp_path / "seed-2", precision="fp32", settings=TINY_GPT, seed=2
    )
    figure = curves(compare([names_run, other, counts]).groups)
    for axes, x in zip(figure.axes, ("tokens", "seconds"), strict=True):
        drawn = [list(map(tuple, line.get_xydata())) for line in axes.lines]
        for run in (names_run, other):
            points = [(r[x], r["val_loss"]) for r in run.log if "val_loss" in r]
            assert points[0][0] == 0  # of the untrained weights: a logarithm of seconds has no 0
            assert (points[1:] if x == "seconds" else points) in drawn
        assert len(drawn) == 3  # and the level line of the counts
        assert len({line.get_color() for line in axes.lines}) == 2  # two seeds, one color
    figure.draw_without_rendering()
    labels = [text.get_text() for text in figure.axes[1].get_xticklabels(which="both")]
    assert any(labels)
    assert not any("e" in label for label in labels)  # 0.3, not 3e-01
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert {text.get_text() for text in legend.get_texts()} == {"gpt", "n"}
