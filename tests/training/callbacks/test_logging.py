"""log.jsonl: when there is a record, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.planning.plan import Plan
from hornbook.training.callbacks import logging
from hornbook.training.callbacks.logging import RECORDS, LogWriter
from tests.training.helpers import At, Clock, trainer_of


@pytest.mark.parametrize(
    ("steps", "due"),
    [(12, list(range(1, 13))), (1000, [1, *range(5, 1001, 5)]), (399, list(range(1, 400)))],
)
def test_there_are_some_two_hundred_records(
    steps: int, due: list[int], plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    log = LogWriter()
    with trainer_of(plan_of(steps), tmp_path / "r", [log]):
        found, step = [], 0
        while (step := log.next_due(step) or steps) <= steps:
            found.append(step)
    assert found == due
    assert len(found) < 2 * RECORDS


def test_a_record_holds_means_since_the_last_one(
    plan_of: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "RECORDS", 3)
    plan, clock = plan_of(), Clock()
    losses: list[float] = []

    class Count(LogWriter):
        def post_step(self, step: int) -> None:
            losses.append(float(self.trainer.state.pending[-1][0]))
            super().post_step(step)

    def pass_time(_: object) -> None:
        clock.seconds += 2.0

    callbacks = [Count(), *(At(step, pass_time) for step in range(12))]
    with trainer_of(plan, tmp_path / "r", callbacks, now=clock) as trainer:
        trainer.train()
    records = trainer.run.log
    assert [r["step"] for r in records] == [1, 4, 8, 12]
    assert [r["seconds"] for r in records] == [2.0, 8.0, 16.0, 24.0]
    assert [r["tokens"] for r in records] == [
        round(r["step"] * plan.tokens_per_step) for r in records
    ]
    speed = plan.tokens_per_step / 2.0
    assert [r["tokens_per_second"] for r in records] == pytest.approx([speed] * 4, abs=1)
    assert all(r["memory"] > 1 << 24 for r in records)  # bytes, not kB
    assert records[2]["loss"] == pytest.approx(sum(losses[4:8]) / 4)
    assert [r["lr"] for r in records] == [plan.schedule.rate(r["step"] - 1) for r in records]
