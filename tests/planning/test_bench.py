"""Timed steps: by a clock that ticks with each look at it, and nothing outside changes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from hornbook.config import Nested, merge
from hornbook.engine.step import OptimizerStep
from hornbook.kernels.tuning import SPAN
from hornbook.planning import tuning
from hornbook.planning.bench import Bench
from hornbook.planning.tuning import TRIAL_TOKENS
from tests.planning.texts import TINY_GPT, TINY_MLP, plan_of


def bench_of(corpus: Path, settings: Nested) -> Bench:
    """Its clock is one second later each time: whatever is timed takes a second."""
    ticks = itertools.count()
    return Bench(plan_of(corpus, settings), clock=lambda: float(next(ticks)))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What steps were made: whole ones, or gradients alone, and with how many threads."""
    found: list[str] = []
    gradients, call = OptimizerStep.gradients, OptimizerStep.__call__

    def counting_gradients(self: OptimizerStep, step: int) -> torch.Tensor:
        found.append(f"{self.precision} gradients, {torch.get_num_threads()} threads")
        return gradients(self, step)

    def counting(self: OptimizerStep, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        result = call(self, step)
        found[-1] = f"{self.precision} step"
        return result

    monkeypatch.setattr(OptimizerStep, "gradients", counting_gradients)
    monkeypatch.setattr(OptimizerStep, "__call__", counting)
    return found


def test_a_step_is_timed_until_time_is_over(words_file: Path, made: list[str]) -> None:
    bench = bench_of(words_file, TINY_GPT)
    assert bench.step_seconds(most=0.4) == 1.0
    assert made == ["fp32 step"]


def test_a_step_of_a_large_model_is_timed_by_few_rows(
    words_file: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(words_file, TINY_GPT)
    monkeypatch.setattr(tuning, "TIMED_OPERATIONS", 6.0 * bench.plan.shape.n_parameters)
    assert bench.step_seconds(most=0.4) == bench.plan.own_rows / 2  # of two rows, a second
    assert made == ["fp32 step", "fp32 step"]  # the first warms up
    assert bench.plan.own_rows > 2
    scored: list[int] = []
    monkeypatch.setattr(
        "hornbook.planning.bench.mean_nats",
        lambda _, parts: scored.append(sum(part.n_targets for part in parts)),
    )
    evaluation, _ = bench.report_seconds()
    assert len(scored) == 2  # in fp32, and in the precision of the steps
    assert evaluation == pytest.approx(bench.plan.tokens_per_evaluation / scored[1])


def test_a_trial_that_is_short_enough_is_made_once(words_file: Path, made: list[str]) -> None:
    """It is timed with few rows; `least` is of a whole step."""
    bench = bench_of(words_file, TINY_GPT)
    assert bench.trial_seconds(least=1.5) == 1.0
    assert len(made) == 1
    made.clear()
    assert bench.trial_seconds(least=0.5) == 1.0
    assert len(made) == 7


def test_precisions_are_timed_in_turns(words_file: Path, made: list[str]) -> None:
    assert bench_of(words_file, TINY_GPT).bf16_ratio() == 1.0
    precisions = [found.split()[0] for found in made]
    assert precisions == ["fp32", "bf16"] * (len(made) // 2)
    assert len(made) == 2 * 3  # two turns of two seconds leave no time for a third


def test_threads_are_timed_in_turns(words_file: Path, made: list[str]) -> None:
    before = torch.get_num_threads()
    found = bench_of(words_file, TINY_GPT).seconds_by_threads([3, 1])
    assert found == {3: 1.0, 1: 1.0}
    assert made == ["fp32 gradients, 3 threads", "fp32 gradients, 1 threads"] * 3
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("seconds", "expected", "used"),
    [([9, 1, 5], 3.0, 3), ([9, 0.1, 0.3, 0.1, 0.1, 5, 0.1, 0.1], 0.1, 6), ([0.1] * 9, 0.1, 8)],
)
def test_turns_end_when_time_is_over_and_their_median_counts(
    seconds: list[float], expected: float, used: int, words_file: Path
) -> None:
    """The first only warms up."""
    now, turns = [0.0], list[int]()

    def work(turn: int) -> None:
        turns.append(turn)
        now[0] += seconds[turn]

    bench = Bench(plan_of(words_file, TINY_GPT), clock=lambda: now[0])
    assert bench._in_turns({"a step": work})["a step"] == pytest.approx(expected)
    assert turns == list(range(used))


def test_steps_are_timed_with_the_threads_that_were_decided(
    words_file: Path, made: list[str]
) -> None:
    bench = bench_of(words_file, TINY_GPT)
    bench.plan = replace(bench.plan, threads=3)
    bench.bf16_ratio()
    assert {found.split(", ")[1] for found in made} == {"3 threads"}


def test_a_trial_has_few_rows(words_file: Path) -> None:
    large = merge(TINY_GPT, {"model": {"n_embd": 512, "n_hidden": 2048}})
    rows = bench_of(words_file, merge(large, {"training": {"batch_size": 64}})).trial("fp32")
    assert 2 <= rows.batches.batch_size < TRIAL_TOKENS // 16


@pytest.mark.parametrize("settings", [TINY_GPT, TINY_MLP], ids=["gpt", "mlp"])
def test_nothing_outside_changes(settings: Nested, words_file: Path) -> None:
    dropout: Nested = {"model": {"dropout": 0.5}}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    bench = bench_of(words_file, merge(settings, dropout))
    weights = {name: t.clone() for name, t in bench.model.state_dict().items()}
    training = bench.model.training
    bench.seconds_by_threads([1])
    bench.bf16_ratio()
    bench.step_seconds(1.0)
    bench.kept_bytes(2)
    bench.report_seconds()
    assert torch.equal(torch.get_rng_state(), before)
    assert bench.model.training is training
    for name, tensor in bench.model.state_dict().items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize("settings", [TINY_GPT, TINY_MLP], ids=["gpt", "mlp"])
def test_what_is_kept_for_the_backward_pass_grows_with_rows(
    settings: Nested, words_file: Path
) -> None:
    bench = bench_of(words_file, settings)
    two, three = bench.kept_bytes(2), bench.kept_bytes(3)
    assert 0 < three - two <= two
    wider = merge(settings, {"model": {"n_hidden": 60}})
    assert bench_of(words_file, wider).kept_bytes(2) > two


def test_steps_that_cannot_be_compiled_raise(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> NoReturn:
        raise RuntimeError("no such loop")

    descent: Nested = {"optim": {"name": "sgd", "grad_clip": 0.0}}
    bench = bench_of(words_file, merge(TINY_MLP, descent))
    monkeypatch.setattr("hornbook.engine.compiled.compile_trace", failing)
    with pytest.raises(RuntimeError, match="several steps cannot be compiled"):
        bench.compiled_ratio("steps")
    monkeypatch.setattr("hornbook.engine.compiled.compile_trace", lambda graph, *_: graph)
    assert bench.compiled_ratio("steps") == 1 / SPAN  # a second for each call


def test_the_report_is_timed_beforehand(words_file: Path) -> None:
    bench = bench_of(words_file, TINY_GPT)
    evaluation, report = bench.report_seconds()
    assert 0 < evaluation < report
