"""A resumed run equals one that nothing happened to; damage is said and survived."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.engine.compiled import CompiledSteps
from hornbook.engine.step import OptimizerStep
from hornbook.files import read_lines, read_tensors
from hornbook.models.registry import MODELS
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks import logging
from hornbook.training.callbacks.base import Callback
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import (
    SETTINGS,
    After,
    At,
    Crash,
    Listen,
    die,
    small,
    stop,
    tensors_of,
    without_times,
)

STEPPED = [name for name, entry in MODELS.items() if entry.trained and not entry.model.fitted]


@pytest.mark.parametrize("model", STEPPED)
@pytest.mark.parametrize("at", [1, 5, 8, "evaluation"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    model: str, at: Any, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "RECORDS", 4)  # a record every three steps
    settings = small(model) | {"optim": {"name": "muon" if at == 5 else "adamw"}}
    arguments = {"model": model, "settings": settings}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", **arguments)
    interruption: Callback = Crash(8) if at == "evaluation" else After(at, stop)
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=tmp_path / "cut", callbacks=[interruption], **arguments)
    resumed = hornbook.resume(tmp_path / "cut")
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)
    assert whole.samples == resumed.samples


def test_a_resumed_run_of_subwords_equals_an_uninterrupted_one(
    corpus: Path, tmp_path: Path
) -> None:
    settings = small("gpt") | {"tokenizer": {"kind": "bpe", "vocab_size": 280}}
    arguments = {"model": "gpt", "settings": settings}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", **arguments)
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=tmp_path / "cut", callbacks=[After(5, stop)], **arguments)
    resumed = hornbook.resume(tmp_path / "cut")
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)


class Unevaluated(Callback):
    """Killed when the state is saved and the evaluation not yet made."""

    def __init__(self, step: int) -> None:
        self.step = step

    def pre_evaluate(self) -> None:
        if self.trainer.state.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [4, 12])
def test_an_evaluation_that_was_interrupted_is_made_up_for(
    step: int, corpus: Path, tmp_path: Path
) -> None:
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", settings=SETTINGS)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[Unevaluated(step)])
    resumed = hornbook.resume(out)
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)
    assert whole.samples == resumed.samples


def test_an_evaluation_that_is_made_up_for_may_end_patience(corpus: Path, tmp_path: Path) -> None:
    """No step is made before it."""
    settings = small("bigram", patience=1, eval_count=12)
    settings["optim"] = {"name": "sgd", "learning_rate": 300.0, "schedule": "constant"}
    arguments = {"model": "bigram", "settings": settings}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", **arguments)
    last = whole.report["steps"]
    assert last < 12
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(
            str(corpus), out=tmp_path / "cut", callbacks=[Unevaluated(last)], **arguments
        )
    resumed = hornbook.resume(tmp_path / "cut")
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)


def test_a_run_that_died_before_its_first_state_begins_again(corpus: Path, tmp_path: Path) -> None:
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", settings=SETTINGS)
    out, heard = tmp_path / "cut", Listen()
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(2, die)])
    run = hornbook.resume(out, callbacks=[heard])
    assert heard.says("it begins again, to the same end")
    assert without_times(whole.log) == without_times(run.log)
    assert tensors_of(whole.path) == tensors_of(run.path)


def test_speeds_are_those_of_the_steps_of_a_record_also_when_it_was_interrupted(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "RECORDS", 2)  # a record every six steps
    out = tmp_path / "r"
    settings = small("bigram", eval_count=1)
    with pytest.raises(Interrupted):
        hornbook.train(
            str(corpus), model="bigram", out=out, settings=settings, callbacks=[After(11, stop)]
        )
    log = hornbook.resume(out).log
    (before, last), per_step = log[-2:], log[-1]["tokens"] / 12
    seconds = last["seconds"] - before["seconds"]
    assert last["tokens_per_second"] == pytest.approx(6 * per_step / seconds, rel=0.2, abs=1e5)
    assert (before["step"], last["step"]) == (6, 12)


@pytest.mark.parametrize("model", ["bigram", "gpt"])
def test_long_stretches_between_records_are_folded_to_sums(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small(model, steps=14, eval_count=1, sample_count=0)
    monkeypatch.setattr(logging, "RECORDS", 1)
    arguments = {"model": model, "settings": settings}
    plain = hornbook.train(str(corpus), out=tmp_path / "p", **arguments)
    monkeypatch.setattr(logging, "MOST_PENDING", 4)
    whole = hornbook.train(str(corpus), out=tmp_path / "w", **arguments)
    with pytest.raises(Interrupted):
        hornbook.train(str(corpus), out=tmp_path / "r", callbacks=[At(10, stop)], **arguments)
    (state,) = (tmp_path / "r" / "last").glob("state-*")
    kept = read_tensors(state)
    assert (len(kept["pending"]), kept["pending.folded"][0]) == (2, 8)  # step 1 has a record
    found = [[(r["step"], r["loss"], r["grad_norm"]) for r in run.log if r["step"]]
             for run in (plain, whole, hornbook.resume(tmp_path / "r"))]  # fmt: skip
    assert found[1] == found[2]
    assert [x for r in found[0] for x in r] == pytest.approx([x for r in found[1] for x in r])


def test_the_log_is_cut_to_what_the_state_counts_on(half: Path, copy: Path) -> None:
    assert [r["step"] for r in hornbook.load(copy).log] == list(range(11))
    lines: list[list[int]] = []

    class Look(Callback):
        def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
            lines.append([r["step"] for r in run.log])

    hornbook.resume(copy, callbacks=[Look()])
    assert lines == [list(range(8))]  # the state was saved before the evaluation at 8
    assert [r["step"] for r in hornbook.load(copy).log] == list(range(13))


def test_a_garbled_line_of_the_log_costs_what_follows_it_not_the_run(
    half: Path, copy: Path
) -> None:
    log, heard = copy / "log.jsonl", Listen()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b'{"step": \0\n', *lines[6:]]))
    run = hornbook.resume(copy, callbacks=[heard])
    assert [r["step"] for r in run.log] == [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]
    assert heard.says("log.jsonl: damaged", "without its last 3 records")


@pytest.mark.parametrize("done", [10, 12])
def test_damaged_best_weights_are_reported_and_replaced(done: int, copy: Path) -> None:
    if done == 12:
        hornbook.resume(copy)
    (copy / "model.safetensors").write_bytes(b"")
    heard = Listen()
    run = hornbook.resume(copy, callbacks=[heard])
    assert heard.says("model.safetensors: damaged", "or else the last")
    assert run.report["best_step"] in (8, 12)
    losses = {r["step"]: r["val_loss"] for r in run.log if "val_loss" in r}
    expected = losses[run.report["best_step"]]
    assert run.report["validation"]["nats"] == pytest.approx(expected, abs=1e-4)


def test_without_any_best_the_last_weights_are_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hornbook.training.callbacks.evaluation.mean_nats", lambda *_, **__: math.inf
    )
    run = hornbook.train(str(corpus), out=tmp_path / "r", settings=SETTINGS)
    assert run.report["best_step"] == 12
    assert math.isfinite(run.report["validation"]["nats"])


def test_probes_are_not_written_twice(corpus: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "probe_every": 5}}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=tmp_path / "r", settings=settings, callbacks=[At(10, die)])
    run = hornbook.resume(tmp_path / "r")
    expected, found = (read_lines(r.path / "probes.jsonl") for r in (whole, run))
    assert found == expected


def stopped_early(corpus: Path, path: Path, **training: Any) -> Callable[..., hornbook.Run]:
    settings = small("bigram", patience=1, **training)
    settings["optim"] = {"name": "sgd", "learning_rate": 300.0, "schedule": "constant"}
    run = hornbook.train(str(corpus), model="bigram", out=path, settings=settings)
    assert run.report["steps"] < 12
    return lambda **more: hornbook.resume(path, **more)


def test_a_run_that_stopped_early_continues_to_more_steps(corpus: Path, tmp_path: Path) -> None:
    resume, heard = stopped_early(corpus, tmp_path / "r", eval_count=12), Listen()
    done = hornbook.load(tmp_path / "r").report["steps"]
    assert resume(steps=24, callbacks=[heard]).report["steps"] > done
    assert heard.says(f"stopped early at step {done}: continuing; patience starts again at 0")


def test_more_steps_outlive_a_death_right_after_the_first_of_them(
    corpus: Path, tmp_path: Path
) -> None:
    resume = stopped_early(corpus, tmp_path / "r", eval_count=6)
    done = hornbook.load(tmp_path / "r").report["steps"]

    class Die(Callback):
        def post_step(self, step: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resume(steps=24, callbacks=[Die()])
    assert resume().report["steps"] > done


@pytest.mark.parametrize("at", [8, 13, 32])
def test_a_run_whose_steps_are_made_several_in_a_call_is_resumed_to_the_bit(
    at: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which steps are made together depends on their numbers alone. Compiling is left out here."""
    monkeypatch.setattr(logging, "RECORDS", 4)  # a record every ten steps
    monkeypatch.setattr(
        CompiledSteps, "_compile", lambda self, *_: torch.enable_grad()(self._steps)
    )
    calls: list[tuple[int, int]] = []
    advance = OptimizerStep.advance

    def watched(self: OptimizerStep, step: int, until: int) -> Any:
        made = advance(self, step, until)
        calls.append((step, len(made)))
        return made

    monkeypatch.setattr(OptimizerStep, "advance", watched)
    settings = small("mlp", steps=40, eval_count=2, sample_count=0, compile="yes")
    settings["optim"] = {"name": "sgd", "learning_rate": 0.1, "grad_clip": 0}
    arguments = {"model": "mlp", "settings": settings}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", **arguments)
    expected, calls[:] = list(calls), []
    assert whole.facts["hardware"]["compiled"] == "steps"
    assert (0, 1) in expected  # there is a record after the first step
    assert (32, 8) in expected
    with pytest.raises(Interrupted):
        hornbook.train(str(corpus), out=tmp_path / "cut", callbacks=[After(at, stop)], **arguments)
    resumed = hornbook.resume(tmp_path / "cut")
    assert calls == expected
    assert without_times(whole.log) == without_times(resumed.log)
    assert tensors_of(whole.path) == tensors_of(resumed.path)
