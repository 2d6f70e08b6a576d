"""What is fitted to a small text, and what is left as it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.config import Nested
from hornbook.planning.fitting import DROPOUT, EPOCHS, SHARE
from hornbook.planning.plan import make_plan


def test_a_small_text_is_gone_through_twelve_times(few_names: Path) -> None:
    plan = make_plan(str(few_names))
    seen = plan.tokens_per_step * plan.config.training.steps / plan.train_part.n_targets
    assert seen == pytest.approx(EPOCHS, rel=0.05)
    assert plan.batches.batch_size * SHARE <= plan.batches.items_per_epoch
    assert plan.model.config.dropout == DROPOUT
    assert any("12 times through a small text" in note for note in plan.notes)


@pytest.mark.parametrize(
    "settings",
    [{"training": {"steps": 500}}, {"model": {"name": "bigram"}}],
    ids=["steps that are asked for", "a model too small to learn it by heart"],
)
def test_what_a_small_text_does_not_change(few_names: Path, settings: Nested) -> None:
    plan = make_plan(str(few_names), settings=settings)
    assert plan.config.training.steps == 500
    assert not any("small text" in note for note in plan.notes)


def test_a_preset_that_is_asked_for_is_not_fitted(few_names: Path) -> None:
    plan = make_plan(str(few_names), preset="notes-mlp")
    assert plan.config.training.steps == 200_000


def test_dropout_and_batch_that_are_asked_for_stay(few_names: Path) -> None:
    settings = {"model": {"dropout": 0.01}, "training": {"batch_size": 16}}
    plan = make_plan(str(few_names), settings=settings)
    assert plan.model.config.dropout == 0.01
    assert plan.batches.batch_size == 16
