"""The loop: which hooks are called when, which steps are made in one call, how it ends."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hornbook
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.evaluation import Evaluator
from hornbook.training.callbacks.logging import LogWriter
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import At, die, small, state_steps, states, trainer_of

HOOKS = [name for name in vars(Callback) if name.startswith(("on_", "pre_", "post_", "close"))]


def plan_of(corpus: Path, **training: Any) -> Plan:
    settings = small("bigram", **training)
    return resolve(read_request(str(corpus), model="bigram", settings=settings))


class Trace(Callback):
    """Keeps the names of the hooks that were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in HOOKS:
            self.called.append(name)
        return super().__getattribute__(name)


def test_hooks_are_called_in_the_order_of_the_page(corpus: Path, tmp_path: Path) -> None:
    trace = Trace()
    settings = small("bigram", steps=2, eval_count=1, sample_count=2)
    hornbook.train(
        str(corpus), model="bigram", out=tmp_path / "r", settings=settings, callbacks=[trace]
    )
    assert trace.called == [
        "on_plan", "on_start", "on_log", "post_start",
        "pre_step", "on_log", "on_samples", "post_step",
        "pre_step", "pre_evaluate", "on_log", "post_step",
        "on_end", "on_report", "close",
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["ngram", "bigram"])
def test_a_run_is_closed_however_it_ends(model: str, corpus: Path, tmp_path: Path) -> None:
    trace = Trace()
    settings = small(model)
    hornbook.train(
        str(corpus), model=model, out=tmp_path / "a", settings=settings, callbacks=[trace]
    )
    assert [name for name in trace.called if name.startswith("on_start")] == ["on_start"]
    assert trace.called[-2:] == ["on_report", "close"]
    trace = Trace()
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(
            str(corpus), model="bigram", out=tmp_path / "b", settings=small("bigram"),
            callbacks=[At(3, die), trace],
        )  # fmt: skip
    assert trace.called[-1] == "close"
    assert "on_end" not in trace.called


class Due(Callback):
    """Due after some steps; keeps how many were made at each call."""

    def __init__(self, *due: int) -> None:
        self.due, self.made = due, list[int]()

    def next_due(self, step: int) -> int | None:
        return min((n for n in self.due if n > step), default=None)

    def post_step(self, step: int) -> None:
        self.made.append(step + 1)


def test_no_call_makes_steps_beyond_what_is_due(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = Due(5, 6, 16)
    with trainer_of(plan_of(corpus, steps=40), tmp_path / "r", [due]) as trainer:

        def advance(step: int, until: int) -> list[tuple[Tensor, Tensor]]:
            return [(torch.tensor(1.0), torch.tensor(1.0))] * min(8, until - step)

        monkeypatch.setattr(trainer.step, "advance", advance)
        trainer.train()
        assert due.made == [5, 6, 14, 16, 24, 32, 40]
        assert trainer.state.step == 40
        assert len(trainer.state.pending) == 40


@pytest.mark.parametrize("hook", ["on_log", "on_message", "on_start"])
def test_an_output_that_cannot_be_written_stops_training_with_its_state_saved(
    hook: str, copy: Path
) -> None:
    def full(self: Callback, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    broken = type("Broken", (Callback,), {hook: full})()
    (copy / "log.jsonl").write_bytes((copy / "log.jsonl").read_bytes()[:100])  # a message
    before = states(copy)[-1].name
    with pytest.raises(Interrupted, match="its state is saved") as error:
        hornbook.resume(copy, callbacks=[broken])
    assert error.value.signal == 13
    assert states(copy)[-1].name > before


def test_what_an_interruption_left_undone_is_done_after_on_start(
    corpus: Path, tmp_path: Path
) -> None:
    """A bar that is not yet there cannot show an evaluation."""
    out = tmp_path / "r"

    class Killed(Callback):
        def pre_evaluate(self) -> None:
            raise KeyboardInterrupt

    settings = small("bigram", eval_count=1)
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(
            str(corpus), model="bigram", out=out, settings=settings, callbacks=[Killed()]
        )
    assert state_steps(out) == [12]
    trace = Trace()
    run = hornbook.resume(out, callbacks=[trace])
    assert trace.called[:5] == ["on_plan", "on_start", "pre_evaluate", "on_log", "post_start"]
    assert [r["step"] for r in run.log] == list(range(13))


def test_a_signal_after_the_last_step_is_not_swallowed(corpus: Path, tmp_path: Path) -> None:
    class Late(Callback):
        def on_end(self) -> None:
            signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            hornbook.train(
                str(corpus), model="bigram", out=tmp_path / "r", settings=small("bigram"),
                callbacks=[Late()],
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, handler)
    assert state_steps(tmp_path / "r")[-1] == 12
    assert hornbook.resume(tmp_path / "r").report["steps"] == 12


def test_records_are_counted_and_passed_on(corpus: Path, tmp_path: Path) -> None:
    found: list[Mapping[str, Any]] = []

    class Keep(Callback):
        def on_log(self, record: Mapping[str, Any]) -> None:
            found.append(record)

    callbacks = [Evaluator(2), LogWriter(), Keep()]
    with trainer_of(plan_of(corpus), tmp_path / "r", callbacks) as trainer:
        trainer.train()
        assert trainer.state.records == len(found) == len(trainer.run.log) == 13
        assert [r["step"] for r in found if "val_loss" in r] == [0, 6, 12]
