"""The dial of minutes: what it chooses, and that what came of it can be repeated."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from hornbook.api import resume, train
from hornbook.config import Nested
from hornbook.engine.step import TrainStep
from hornbook.errors import ConfigError
from hornbook.planning import minutes as dial
from hornbook.planning.budget import Budget
from hornbook.planning.plan import Plan, make_plan
from hornbook.planning.sizes import SIZES, Size, dropout_for
from hornbook.planning.trials import seconds_of
from hornbook.training.report import seconds_of_report

SPEED = [1e-3 * 4**i for i in range(5)]  # seconds of an update of each size, as if


@pytest.mark.parametrize("size", [size for sizes in SIZES.values() for size in sizes.values()])
def test_every_law_promises_less_for_more_updates(size: Size) -> None:
    losses = [size.promised(updates) for updates in (50, 200, 1000, 5000)]
    assert losses == sorted(losses, reverse=True)
    assert 1.0 < losses[-1] < losses[0] < 6.0


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_more_minutes_promise_no_worse_and_no_smaller_a_model(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = dict(zip([(s.n_layer, s.n_embd) for s in SIZES[kind].values()], SPEED, strict=False))
    monkeypatch.setattr(
        dial,
        "_measure",
        lambda plan, _: speed[(plan.config.model.n_layer, plan.config.model.n_embd)],
    )
    monkeypatch.setattr(dial, "choose_precision", lambda _: None)
    plan = make_plan("names", settings={"training": {"steps": 1}})
    plan.corpus = type("Text", (), {"kind": kind})()  # type: ignore[assignment]
    chosen, losses = [], []
    for minutes in (0.25, 0.5, 1, 2, 4, 60):
        name, _, seconds, why = dial._best_size(plan, Budget(60 * minutes, time.monotonic()), {})
        chosen.append(list(SIZES[kind]).index(name))
        losses.append(SIZES[kind][name].promised(60 * minutes / seconds))
        assert name in why
    assert chosen == sorted(chosen)
    assert losses == sorted(losses, reverse=True)


def test_a_size_promises_no_more_than_a_small_text_lets_it_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four minutes of the notes' names once went to a size that was stopped after two and a half."""
    monkeypatch.setattr(dial, "_measure", lambda *_: 1e-3)
    plan = make_plan("names", settings={"training": {"steps": 1}})
    chosen, sized, _, why = dial._best_size(plan, Budget(3600, time.monotonic()), {})
    assert chosen == "small"
    assert sized.most_updates is None
    medium = dial._sized(SIZES["documents"]["medium"], plan, {})
    assert medium.most_updates is not None
    if "medium" in why:
        assert f"medium {SIZES['documents']['medium'].promised(medium.most_updates):.2f}" in why


def test_sizes_that_cannot_promise_most_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def measure(plan: Plan, _: float) -> float:
        measured.append(plan.model.n_parameters)
        return 2e-9 * plan.model.n_parameters * plan.tokens_per_step

    monkeypatch.setattr(dial, "_measure", measure)
    monkeypatch.setattr(dial, "choose_precision", lambda _: None)
    plan = make_plan("names", settings={"training": {"steps": 1}})
    plan.corpus = type("Text", (), {"kind": "stream"})()  # type: ignore[assignment]
    for minutes in (0.1, 4):
        measured.clear()
        dial._best_size(plan, Budget(60 * minutes, time.monotonic()), {})
        assert len(measured) == len(set(measured)) < len(SIZES["stream"])


def test_what_is_seen_more_often_is_dropped_more() -> None:
    shares = [dropout_for(epochs) for epochs in (0.5, 5, 10, 50)]
    assert shares == sorted(set(shares))


def test_minutes_and_updates_are_not_both_asked_for() -> None:
    with pytest.raises(ConfigError, match="minutes: found it beside steps"):
        train("names", minutes=1, steps=10)
    with pytest.raises(ConfigError, match="greater than 0"):
        train("names", minutes=0)


def test_slow_updates_are_not_measured_for_long() -> None:
    made: list[int] = []

    def slow(i: int) -> None:
        made.append(i)
        time.sleep(0.02)

    assert seconds_of(slow, torch.device("cpu"), most=0.03) >= 0.02
    assert len(made) <= 2


def test_a_size_is_measured_with_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, object]] = []

    def seconds_of(step: TrainStep, *_: object, **__: object) -> float:
        seen.append((step.batches.batch_size, step.config.model.model_dump()["dropout"]))
        return 1.0

    monkeypatch.setattr(dial, "seconds_of", seconds_of)
    plan = make_plan("names", settings={"training": {"steps": 1}})
    asked: Nested = {"training": {"batch_size": 7}, "model": {"dropout": 0.25}}
    for settings in (asked, {}):
        dial._measure(dial._sized(SIZES["documents"]["tiny"], plan, settings), 1.0)
    assert seen[0] == (7, 0.25)
    assert seen[1][0] == 16


@pytest.mark.parametrize("asked", ["auto", "fp32"])
def test_each_size_chooses_its_own_precision(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        dial, "choose_precision", lambda plan: seen.append(plan.config.training.precision)
    )
    plan = _planned(0.3, {"training": {"precision": "fp32"}} if asked == "fp32" else {})
    assert set(seen) == {asked}
    assert plan.config.training.precision == asked


def test_nothing_is_compiled_in_too_short_a_time() -> None:
    notes = {"training": {"precision": "fp32"}}
    began = time.monotonic()
    plan = dial.plan_in_time(0.5, began, "names", model=None, preset="notes-mlp", settings=notes)
    assert (plan.compiled, plan.why_compiled) == ("no", "it would not pay back within the time")


def test_too_short_a_time_is_told_with_one_that_is_enough(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(f"{i:b}" for i in range(3000)))
    with pytest.raises(ConfigError, match="too few here for two updates") as found:
        train(str(words), minutes=0.001, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    advised = float(str(found.value).split("give ")[1].split()[0])
    assert 0.05 < advised < 1
    began = time.monotonic()
    plan = dial.plan_in_time(advised, began, str(words), model=None, preset=None, settings={})
    assert plan.config.training.steps >= 2


@pytest.mark.parametrize("model", ["gpt", "mlp"])
def test_a_run_of_minutes_says_what_it_did_and_is_repeated_by_it(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "seconds_of_report", lambda _: (0.0, 0.0))
    small = {"data.corpus": str(tmp_path / "words.txt"), "training.eval_count": 2}
    (tmp_path / "words.txt").write_text("\n".join(f"word{i % 7}{i % 5}" for i in range(200)))
    settings = {**small, "model.name": model}
    run = train(minutes=0.03, out=tmp_path / "run", settings=settings)
    training, optim = run.config.training, run.config.optim
    assert training.minutes == 0.03
    assert run.log[-1]["step"] == training.steps
    rates = [r["lr"] for r in run.log]
    assert rates[-1] < 0.1 * optim.learning_rate
    warm = [rate for r, rate in zip(run.log, rates, strict=True) if r["step"] > optim.warmup]
    assert warm == sorted(warm, reverse=True)
    sections = run.config.model_dump()
    sections["training"] |= {"minutes": None}
    again = train(out=tmp_path / "again", settings=sections)
    assert [r["loss"] for r in again.log if r["step"] == training.steps] == [run.log[-1]["loss"]]
    further = resume(run.path, steps=training.steps + 5)
    assert further.config.optim.paces == ()  # as told: it follows the schedule of the new total


def test_few_updates_are_not_all_spent_on_warming_up() -> None:
    plan = _planned(0.2, {"model": {"name": "gpt2"}})
    assert plan.config.optim.warmup <= max(1, plan.config.training.steps // 10)
    plan = _planned(0.2, {"model": {"name": "gpt2"}, "optim": {"warmup": 77}})
    assert plan.config.optim.warmup == 77


def test_the_size_is_chosen_where_other_things_are_asked_of_the_model(tmp_path: Path) -> None:
    settings: Nested = {"model": {"pair_embedding": True}}
    plan = _planned(0.3, settings)
    assert plan.notes[0].startswith("0.3 minutes: size ")
    assert plan.config.model.model_dump()["pair_embedding"] is True
    assert not any("size " in note for note in _planned(0.3, {"model": {"n_layer": 1}}).notes)


def _planned(minutes: float, settings: Nested) -> Plan:
    began = time.monotonic()
    return dial.plan_in_time(minutes, began, "names", model=None, preset=None, settings=settings)


def test_a_text_too_short_for_a_context_gets_a_shorter_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be, that is the question\n" * 30)
    run = train(str(path), minutes=0.1, out=tmp_path / "run")
    assert run.model.context_length < 128


def test_the_report_is_tried_beforehand() -> None:
    """Of all models but those that are asked for: what it takes is left for it."""
    plan = _planned(0.2, {"model": {"name": "mlp"}})
    assert plan.budget is not None
    assert 0 < plan.budget.evaluation < plan.budget.report < 6
    state = torch.get_rng_state()
    seconds_of_report(plan)
    assert torch.equal(state, torch.get_rng_state())
    assert plan.model.training


def test_more_minutes_than_a_small_text_needs_are_not_used(few_names: Path) -> None:
    plan = dial.plan_in_time(
        60, time.monotonic(), str(few_names), model=None, preset=None, settings={}
    )
    assert plan.config.training.steps <= plan.most_updates < 500
    assert plan.budget is None
    assert "ends before its 60 minutes are over" in plan.notes[-1]
    assert "medium" not in plan.notes[0]  # eight times the parameters
