"""What is decided for a run that begins from a base, in place of a new model's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.planning.bench import Bench
from hornbook.planning.tuning import (
    CONTINUED_EPOCHS,
    CONTINUED_PATIENCE,
    CONTINUED_TIMED_STEPS,
)
from tests.planning.texts import plan_of
from tests.training.helpers import PINNED, SETTINGS


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> hornbook.Run:
    folder = tmp_path_factory.mktemp("base")
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    words = [a + b + c for a in parts for b in parts for c in parts]
    (folder / "old.txt").write_text("\n".join(words))
    (folder / "new.txt").write_text("\n".join(word[::-1] for word in words[:60]))
    return hornbook.train(folder / "old.txt", settings=SETTINGS, out=folder / "run", progress=False)


def decided(base: hornbook.Run, **settings: Any) -> Any:
    """The plan of a run that begins from a base."""
    requested = {"finetuning": {"base": str(base.path)}, **settings}
    return plan_of(base.path.parent / "new.txt", requested)


def test_steps_patience_and_rates_are_decided_and_said(base: hornbook.Run) -> None:
    plan = decided(base)
    optim, training = plan.config.optim, plan.config.training
    epochs = plan.shape.passes(training.steps * plan.tokens_per_step)
    assert epochs == pytest.approx(CONTINUED_EPOCHS, rel=0.1)
    assert training.patience == CONTINUED_PATIENCE
    assert optim.name == "muon"
    assert optim.learning_rate < base.config.optim.learning_rate
    assert optim.muon_learning_rate < base.config.optim.muon_learning_rate
    names = {"optim.learning_rate", "optim.muon_learning_rate", "training.patience"}
    assert names <= plan.decisions.keys()


def test_what_is_requested_stays(base: hornbook.Run) -> None:
    plan = decided(
        base,
        optim={"learning_rate": 0.123, "name": "adamw"},
        training={"steps": 7, "patience": 0, "batch_size": 3, "eval_count": 2},
        model={"dropout": 0.0},
    )
    assert (plan.config.optim.learning_rate, plan.config.optim.name) == (0.123, "adamw")
    training = plan.config.training
    assert (training.steps, training.patience, training.batch_size) == (7, 0, 3)
    assert plan.config.model.model_dump()["dropout"] == 0.0


def test_batches_leave_time_for_steps(base: hornbook.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen steps of an hour would fit; the clock stands nearly still beside them."""
    most = decided(base).rows
    monkeypatch.setattr(Bench, "report_seconds", lambda *_: (1.0, 1.0))
    monkeypatch.setattr(Bench, "step_seconds", lambda *_: 3600.0)
    plan = decided(base, training={"minutes": 60 * 15 + 10.0, **PINNED})
    assert plan.rows == max(1, most * 15 // CONTINUED_TIMED_STEPS) < most
    assert plan.config.training.steps == 15 * most // plan.rows
    assert "only 15 steps would fit" in plan.decisions["training.batch_size"].reason
    asked = decided(base, training={"minutes": 60 * 15 + 10.0, "batch_size": most, **PINNED})
    assert (asked.rows, asked.config.training.steps) == (most, 15)


def test_epochs_are_of_the_new_text(base: hornbook.Run) -> None:
    plan = decided(base, training={"epochs": 3})
    assert plan.shape.passes(plan.config.training.steps * plan.tokens_per_step) >= 3
    assert plan.config.training.steps < decided(base).config.training.steps


def test_adamw_trains_on_what_it_has_trained(base: hornbook.Run) -> None:
    folder = base.path.parent
    other = hornbook.train(
        folder / "old.txt", settings={**SETTINGS, "optim": {"name": "adamw"}},
        out=folder / "adamw", progress=False,
    )  # fmt: skip
    plan = decided(other)
    assert plan.config.optim.name == "adamw"
    assert plan.decisions["optim.name"].reason == "the base was trained without Muon"


def test_a_batch_has_the_tokens_of_the_preset_whatever_the_context_of_the_base(
    base: hornbook.Run, tmp_path: Path
) -> None:
    text = tmp_path / "long.txt"
    text.write_text("take the bako, mitu and relabat " * 3000)
    old = tmp_path / "old.txt"
    old.write_text("take the bako, mitu and relabat " * 400)
    settings = {
        "model": {**SETTINGS["model"], "context_length": 1024},
        "data": {"kind": "stream"},
        "training": {**SETTINGS["training"], "batch_size": 1, "steps": 1, "eval_count": 1},
    }
    run = hornbook.train(old, settings=settings, out=tmp_path / "run", progress=False)
    plan = plan_of(text, {"finetuning": {"base": str(run.path)}})
    assert plan.shape.context_length == run.model.context_length > plan.shape.row_length == 256
    assert plan.rows * plan.shape.row_length == 32 * 128  # of the preset for a stream
