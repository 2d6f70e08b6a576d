"""When the state of a run is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import hornbook
from hornbook.planning.plan import Plan
from hornbook.training import session
from hornbook.training.callbacks.checkpoints import SAVE_EVERY, Checkpoints
from hornbook.training.callbacks.evaluation import Evaluator
from hornbook.training.callbacks.logging import LogWriter
from hornbook.training.checkpoint import read_position
from tests.training.helpers import At, Clock, die, tensors_of, trainer_of, without_times


class Watched(Checkpoints):
    """Keeps after which step something was saved."""

    def __init__(self, clock: Clock, **more: bool) -> None:
        super().__init__(now=clock, **more)
        self.steps: list[int] = []

    def save(self) -> None:
        super().save()
        self.steps.append(self.trainer.state.step)


def test_it_is_saved_before_each_evaluation_every_five_minutes_and_at_the_end(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    clock = Clock()
    saves = Watched(clock)

    def pass_time(_: object) -> None:
        clock.seconds += 0.4 * SAVE_EVERY

    waits = [At(step, pass_time) for step in (5, 6, 7)]
    callbacks = [saves, Evaluator(3), LogWriter(), *waits]
    with trainer_of(plan_of(), tmp_path / "r", callbacks) as trainer:
        trainer.train()
    assert saves.steps == [4, 8, 12, 12]
    late = Watched(clock)
    waits = [At(step, pass_time) for step in (1, 2, 3)]
    with trainer_of(plan_of(eval_count=1), tmp_path / "s", [late, LogWriter(), *waits]) as trainer:
        trainer.train()
    assert late.steps == [4, 12]


def test_it_is_saved_at_the_start_where_something_was_changed(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    saves = Watched(Clock(), at_start=True)
    with trainer_of(plan_of(), tmp_path / "r", [saves, LogWriter()]) as trainer:
        trainer.train()
    assert saves.steps == [0, 12]


@pytest.mark.parametrize("at", [3, 5, 9])
def test_a_run_that_is_killed_after_a_timed_save_loses_no_record(
    at: int, words_file: Path, plan_of: Callable[..., Plan], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The save comes after the record of the step, not before it."""
    settings = plan_of(eval_count=1, sample_count=0).config.model_dump()
    whole = hornbook.train(settings=settings, out=tmp_path / "whole")
    clock = Clock()
    monkeypatch.setattr(
        session, "Checkpoints", lambda *, at_start: Checkpoints(at_start=at_start, now=clock)
    )

    def pass_time(_: object) -> None:
        clock.seconds += SAVE_EVERY + 1

    out = tmp_path / "r"
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(settings=settings, out=out, callbacks=[At(at - 1, pass_time), At(at, die)])
    assert read_position(out)["step"] == at
    resumed = hornbook.resume(out)
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)
