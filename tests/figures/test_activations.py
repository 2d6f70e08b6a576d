"""The figures of activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.patches import StepPatch
from torch import nn

from hornbook.api import Run, train
from hornbook.figures.activations import activations, flow, histogram, idle_units
from hornbook.figures.data import DoesNotApplyError, figure_data
from hornbook.figures.losses import losses
from hornbook.figures.registry import FIGURES
from hornbook.figures.style import panels
from hornbook.layers.basic import Linear
from hornbook.metrics.probes import WIDE, Distribution, LayerStatistics


def test_a_bin_alone_is_drawn() -> None:
    _, (axes,) = panels([2.0])
    axes.set_yscale("log")
    counts = [0] * 50
    counts[10] = counts[30] = 4
    histogram(axes, Distribution(0.0, 1.0, -1.0, 1.0, tuple(counts)), "black", "two")
    (steps,) = axes.patches
    assert isinstance(steps, StepPatch)
    heights = steps.get_data().values
    assert [i for i, h in enumerate(heights) if h > 0] == [10, 30]
    assert 0 < axes.get_ylim()[0] < heights[10]


@pytest.mark.parametrize(("value", "kind"), [(0.0, nn.ReLU()), (1.0, nn.Tanh())])
def test_a_layer_of_one_value_is_drawn_where_it_is(value: float, kind: nn.Module) -> None:
    units = LayerStatistics.of(kind, torch.full((100, 20), value))
    figure = flow({"a": units}, {"a": Distribution.of(torch.zeros(100), WIDE)})
    for axes, at in zip(figure.axes, (value, 0.0), strict=False):
        (drawn,) = axes.patches
        heights, edges = drawn.get_data().values, drawn.get_data().edges
        assert abs(edges[int(heights.argmax())] - at) < 0.05
        assert axes.get_ylim()[1] > heights.max()


def test_a_mixture_names_its_members_layers(small_run: Run) -> None:
    if not small_run.facts.get("mixed"):
        pytest.skip("of mixtures")
    labels = {t.get_text() for t in idle_units(small_run).axes[0].get_yticklabels()}
    assert "mlp: layer 1 tanh" in labels
    assert any(label.startswith("gpt: layer 2 ") for label in labels)
    for name in ("ratios", "first_activations"):
        with pytest.raises(DoesNotApplyError, match="inspect the runs it was mixed from"):
            FIGURES[name].draw(small_run, None)


def test_a_dead_unit_is_a_red_column_among_the_units_of_its_layer(
    tmp_path: Path, words_file: Path
) -> None:
    settings = {"model.activation": "relu", "model.n_hidden": 20, "training.sample_count": 0}
    run = train(str(words_file), model="mlp", steps=2, out=tmp_path / "run", settings=settings)
    hidden = next(m for m in run.model.modules() if isinstance(m, Linear))
    assert hidden.bias is not None
    with torch.no_grad():
        hidden.bias[:3] = -100.0
    figure = idle_units(run)
    units, below = figure.axes
    (layer,) = figure_data(run).probe.activations.values()
    shares = [bar.get_width() for bar in units.patches]  # type: ignore[attr-defined]
    assert shares == pytest.approx([100 * layer.saturated, 15.0])
    shades = np.asarray(below.images[0].get_array())
    assert shades.shape[1] == 20
    assert (shades == 2).all(0).tolist() == [True] * 3 + [False] * 17
    assert set(np.unique(shades[:, 3:])) <= {0.0, 1.0}
    assert figure.finding is not None
    assert "15% of the relu units are dead" in figure.finding.text


def test_ticks_and_dollars_are_written_as_they_are_meant(names_run: Run) -> None:
    figure = activations(names_run)
    figure.canvas.draw()
    labels = [t for axes in figure.axes for t in axes.get_yticklabels()]
    assert any("10^{" in t.get_text() for t in labels)  # as formulas, which Text reads
    assert all(t.get_parse_math() for t in labels)


def test_units_that_were_saturated_at_the_start_are_no_fault_of_the_training(
    words_file: Path, tmp_path: Path
) -> None:
    run = train(
        str(words_file), model="mlp", out=tmp_path / "run", precision="fp32",
        settings={"model.init": "naive", "training.steps": 5, "training.sample_count": 0},
    )  # fmt: skip
    found = idle_units(run).finding, activations(run).finding, losses(run).finding
    for finding in found:
        assert finding is not None
        assert not finding.good
        assert "(model.init is naive)" in finding.text
        assert "learning rate" not in finding.text
    assert "far above ln V" in str(found[2])
    assert "far above ln V" in run.report["verdict"]["advice"][0]


def test_units_of_a_run_of_no_steps_are_not_those_after_training(
    words_file: Path, tmp_path: Path
) -> None:
    settings = {"model.init": "naive", "training.steps": 0}
    run = train(str(words_file), model="mlp", out=tmp_path / "r", settings=settings)
    for figure in (activations(run), idle_units(run)):
        assert figure.finding is not None
        assert "after training" not in figure.finding.text
        assert (
            "at the first step: initialization too large (model.init is naive)"
            in figure.finding.text
        )
