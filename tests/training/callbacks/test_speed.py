"""A run that becomes far slower says so once, with the remedy; nothing else makes it say so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hornbook.training.callbacks.speed import SpeedWatch

TOKENS = 100.0  # of a step


class Run:
    """Records of a run whose steps take as long as a test says."""

    def __init__(
        self, step_seconds: float | None = 0.01, threads: int = 2, seconds: float = 0.0
    ) -> None:
        self.said: list[str] = []
        plan: Any = SimpleNamespace(
            config=SimpleNamespace(training=SimpleNamespace(probe_every=0)),
            device=SimpleNamespace(type="cpu"),
            threads=threads,
            step_seconds=step_seconds,
            tokens_per_step=TOKENS,
        )
        self.watch = SpeedWatch(plan)
        self.seconds, self.steps = seconds, round(seconds * 100)
        state = SimpleNamespace(seconds=self.seconds, tokens=self.steps * TOKENS)
        self.watch.trainer = SimpleNamespace(state=state, notify=self.said.append)  # type: ignore[assignment]
        self.watch.on_start(SimpleNamespace(path=Path()), self.steps, 10**6)  # type: ignore[arg-type]

    def spend(self, seconds: float, each: float = 0.01, record_every: int = 50) -> None:
        """Makes steps for so long; a record every few."""
        for _ in range(max(1, round(seconds / each / record_every))):
            self.steps += record_every
            self.seconds += record_every * each
            record = {"seconds": self.seconds, "tokens": self.steps * TOKENS}
            self.watch.on_log({**record, "tokens_per_second": 1.0})


@pytest.mark.parametrize("measured", [0.01, None])
def test_a_run_that_becomes_far_slower_says_so_once(measured: float | None) -> None:
    run = Run(measured)
    run.spend(60)
    assert not run.said
    run.spend(60, each=0.05)
    run.spend(60)
    run.spend(60, each=0.05)
    (message,) = run.said
    assert "5 times slower than it was: 2,000 tokens/s instead of 10,000" in message
    assert "close other programs, or interrupt it and start another run with --threads 1" in message


def test_one_thread_has_one_remedy_less() -> None:
    run = Run(threads=1)
    run.spend(20, each=0.05)
    assert run.said[0].endswith("close other programs")


def test_a_run_that_is_slower_than_measured_from_the_start_says_so_too() -> None:
    run = Run(0.001)
    run.spend(9)
    assert not run.said  # its first window may be spent on warming up
    run.spend(5)
    assert run.said


@pytest.mark.parametrize("slower", [1.5, 2.5])
def test_a_little_slower_is_not_far_slower(slower: float) -> None:
    run = Run()
    run.spend(60, each=0.01 * slower)
    assert not run.said


def test_what_is_compiled_at_first_is_not_a_slow_run() -> None:
    run = Run()
    run.spend(30, each=30 / 50)  # one record of half a minute
    run.spend(60)
    assert not run.said


def test_a_short_stall_of_a_fast_run_is_not_a_slow_run() -> None:
    """Records of ten milliseconds each, a few of them ten times slower."""
    run = Run()
    for _ in range(20):
        run.spend(1.0, record_every=1)
        run.spend(0.3, each=0.1, record_every=1)
    assert not run.said


def test_a_resumed_run_is_judged_by_the_steps_after_that() -> None:
    run = Run(None, seconds=1000.0)
    run.spend(4, each=0.5, record_every=1)  # warming up
    run.spend(60, each=0.02)  # on a slower machine than before
    assert not run.said


def test_a_record_without_any_seconds_is_no_speed() -> None:
    """That of an evaluation that was interrupted, and is made up for."""
    run = Run(seconds=100.0)
    run.watch.on_log({"seconds": 100.0, "tokens": run.steps * TOKENS, "tokens_per_second": 1.0})
    run.spend(30)
    assert not run.said
