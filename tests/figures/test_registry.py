"""Figures of every model: what applies is drawn, with axes named."""

from __future__ import annotations

import pytest

from hornbook.api import Run
from hornbook.figures.data import DoesNotApplyError
from hornbook.figures.registry import FIGURES


def test_axes_are_named_and_the_look_is_one(small_run: Run) -> None:
    for name in ("losses", "activations", "ratios", "receptive_field", "copies"):
        try:
            figure = FIGURES[name].draw(small_run, None)
        except DoesNotApplyError:
            continue
        assert figure.get_size_inches()[0] == 7.0
        for axes in figure.axes:
            shared = axes.get_shared_x_axes().get_siblings(axes)
            assert any(one.get_xlabel() for one in shared) or axes.get_ylabel(), name


def test_a_figure_that_does_not_apply_says_why_in_one_line(names_run: Run) -> None:
    with pytest.raises(DoesNotApplyError, match=r"^no recurrent layer in this model$"):
        FIGURES["hidden_states"].draw(names_run, None)
    with pytest.raises(DoesNotApplyError, match="--probe-every"):
        FIGURES["ratios"].draw(names_run, None)
