"""Learning rates: their shapes, and how they continue where the steps of a run are counted anew."""

from __future__ import annotations

import itertools
import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.optim.schedules import Schedule, Segment, learning_rate, read_segments

SCHEDULES = ["linear", "cosine", "step_decay", "constant"]


def config(schedule: str, **optim: float) -> OptimConfig:
    fields = {"learning_rate": 1.0, "min_lr_ratio": 0.0, "schedule": schedule, **optim}
    return OptimConfig.parse(fields, "optim")


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_the_learning_rate_falls_as_torchs_schedulers_let_it(schedule: str) -> None:
    total, ratio = 50, 0.1
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    torchs: torch.optim.lr_scheduler.LRScheduler
    if schedule == "cosine":
        torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min=0.3 * ratio)
    else:
        torchs = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, ratio, total)
    ours = config(schedule, learning_rate=0.3, min_lr_ratio=ratio)
    for step in range(total):
        assert learning_rate(ours, step, total) == pytest.approx(torchs.get_last_lr()[0])
        optimizer.step()
        torchs.step()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_rises_then_stays_then_falls(schedule: str) -> None:
    rates = [
        learning_rate(config(schedule, warmup=10, decay_start=0.5), step, 100)
        for step in range(101)
    ]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert set(rates[10:50]) == {1.0}
    assert rates[50:] == sorted(rates[50:], reverse=True)
    last = {"linear": 0.0, "cosine": 0.0, "step_decay": 0.1, "constant": 1.0}[schedule]
    assert rates[100] == pytest.approx(last, abs=1e-12)


def test_warm_up_comes_before_everything_else() -> None:
    """Also where the learning rate should fall from an earlier step on."""
    rates = [learning_rate(config("linear", warmup=40), step, 100) for step in range(100)]
    assert rates[:40] == sorted(rates[:40])
    assert rates[40:] == sorted(rates[40:], reverse=True)
    assert learning_rate(config("linear", warmup=40), 5, 10) == pytest.approx(6 / 40)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("warmup", "decay_start"), [(0, 0.0), (40, 0.3), (40, 0.0), (7, 0.4)])
@pytest.mark.parametrize("at", [20, 55, 90])
def test_the_learning_rate_continues_from_where_it_is(
    schedule: str, warmup: int, decay_start: float, at: int
) -> None:
    current = Schedule.planned(config(schedule, warmup=warmup, decay_start=decay_start), 100)
    used: list[float] = []
    for step, total in ((at, 160), (at + 30, at + 60), (at + 45, at + 51)):
        used += [current.rate(i) for i in range(len(used), step)]
        before = current.rate(step)
        current = current.with_total(step, total)
        assert current.rate(step) == pytest.approx(before, rel=1e-12)
        assert current.total_steps == total
    used += [current.rate(i) for i in range(len(used), current.total_steps)]
    assert len(current.segments) == 4
    assert used == [current.rate(i) for i in range(current.total_steps)]  # the past is kept
    if schedule in ("linear", "cosine"):
        assert max(abs(a - b) for a, b in itertools.pairwise(used)) < 0.4
        top = used.index(max(used))
        assert used[top:] == sorted(used[top:], reverse=True)
        assert current.rate(current.total_steps) == pytest.approx(0.0, abs=1e-12)


def test_a_schedule_of_one_segment_is_the_plain_function_to_the_bit() -> None:
    optim = config("cosine", learning_rate=0.017, warmup=3, decay_start=0.21, min_lr_ratio=0.07)
    schedule = Schedule.planned(optim, 97)
    assert [schedule.rate(i) for i in range(97)] == [learning_rate(optim, i, 97) for i in range(97)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", ["0x1.767dce434a9b1p-9", "0x1.47ae147ae147bp-6", "0x1.47ae147ae147bp-6",
                    "0x1.2cff5b394915ap-6", "0x1.288ce703afb7fp-6", "0x1.9652bd3c36113p-7",
                    "0x1.67a0f9096bb9ap-7", "0x1.15e9e1b089a04p-7", "0x1.4784230fcf815p-10"]),
        ("cosine", ["0x1.767dce434a9b1p-9", "0x1.47ae147ae147bp-6", "0x1.47ae147ae147bp-6",
                    "0x1.421225ef59b0ep-6", "0x1.400fe22877600p-6", "0x1.b8427f41ada61p-7",
                    "0x1.707cedbe18ee9p-7", "0x1.e425e7ff48731p-8", "0x1.0842c0c4781a4p-10"]),
        ("step_decay", ["0x1.767dce434a9b1p-9", "0x1.47ae147ae147bp-6", "0x1.47ae147ae147bp-6",
                        *["0x1.0624dd2f1a9fcp-9"] * 6]),
    ],
)  # fmt: skip
def test_schedules_of_timed_runs_by_earlier_versions_are_repeated_to_the_bit(
    schedule: str, expected: list[str]
) -> None:
    """The values were computed by the version that kept the segments as `optim.paces`."""
    optim = config(schedule, learning_rate=0.02, warmup=7, decay_start=0.3, min_lr_ratio=0.05)
    segments = (Segment(0, 0.0, 100), Segment(37, 37.0, 61), Segment(50, 63.25, 90))
    found = Schedule(optim, segments)
    assert [found.rate(i).hex() for i in (0, 6, 7, 36, 37, 45, 50, 60, 89)] == expected


def test_a_schedule_cannot_be_patched() -> None:
    schedule = Schedule.planned(config("linear"), 10)
    with pytest.raises(FrozenInstanceError):
        schedule.segments = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        schedule.segments[0].step = 3  # type: ignore[misc]
    schedule.with_total(5, 20)
    assert schedule.total_steps == 10


def test_a_step_before_the_first_segment_has_no_position() -> None:
    with pytest.raises(ValueError, match="found step 3, expected 5 or later"):
        Schedule(config("linear"), (Segment(5, 5.0, 10),)).position(3)
    assert math.isfinite(Schedule(config("linear"), (Segment(0, 0.0, 1),)).rate(0))


@pytest.mark.parametrize(
    "data",
    [3, "abc", [], [[1, 2]], [["a", 0, 3]], [[5, 5.0, 10]], [[0, 0.0, 10], [12, 5.0, 11]],
     [[0, 0.0, 10], [0, 0.0, 12]], [[0, -1.0, 10]], [[0, 0.0, math.inf]]],
)  # fmt: skip
def test_segments_that_are_out_of_order_are_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(step, position, total steps\)"):
        read_segments(data)


def test_segments_are_read_as_they_are_written() -> None:
    segments = (Segment(0, 0.0, 20), Segment(10, 10.5, 40))
    assert read_segments([list(segment) for segment in segments]) == segments
    assert read_segments([[0, 0.0, 0]]) == (Segment(0, 0.0, 0),)  # of no step
