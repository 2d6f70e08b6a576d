"""Plans of a time budget: by a clock that stands and seconds that are given."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hornbook.config import Nested, merge
from hornbook.errors import ConfigError
from hornbook.metrics.counts import MOST_TOKENS, search_order
from hornbook.planning import timed
from hornbook.planning.bench import Bench
from hornbook.planning.decide.size import SIZES
from hornbook.planning.decide.time_budget import TimeBudget, TooShortError
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request, read_request
from hornbook.planning.resolution import Resolution
from hornbook.planning.resolve import resolve
from hornbook.planning.timed import (
    Choice,
    counted_tokens,
    measuring_seconds,
    plan_in_time,
    resolution_of_size,
    searched_tokens,
)
from hornbook.planning.tuning import (
    COUNTED_A_SECOND,
    COUNTING_SHARE,
    FEWEST_COUNTED,
    HYBRID_EPOCHS,
    HYBRID_SMALL_TEXT_EPOCHS,
    HYBRID_STREAM_EPOCHS,
    SMALL_TEXT_DROPOUT,
)
from tests.planning.texts import PINNED, TINY_GPT, data_of, resolution_of, stream

EVALUATION, REPORT = 0.5, 2.0


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation takes half a second, the report two."""
    monkeypatch.setattr(Bench, "report_seconds", lambda *_: (EVALUATION, REPORT))


def budget(minutes: float, spent: float = 0.0) -> TimeBudget:
    return TimeBudget(minutes=minutes, began=0.0, clock=lambda: spent)


def planned(
    corpus: Path, minutes: float, seconds: float, requested: Nested | None = None,
    preset: Nested = TINY_GPT, spent: float = 0.0, reserve: float = 1.0,
) -> Plan:  # fmt: skip
    """The plan of a preset whose steps take so many seconds."""
    resolution = resolution_of(corpus, preset, requested, reserve=reserve)
    resolution.decide_execution()
    return plan_in_time(budget(minutes, spent), resolution, seconds)


def test_as_many_steps_as_fit(words_file: Path) -> None:
    plan = planned(words_file, 1.0, seconds=0.1, spent=8.0)
    evaluations = plan.config.training.eval_count
    assert evaluations == 10  # a tenth of the fifty seconds that are left
    assert plan.config.training.steps == int((60 - 8 - REPORT - 11 * EVALUATION) / 0.1)
    assert plan.schedule.total_steps == plan.config.training.steps
    assert plan.step_seconds == 0.1
    assert plan.time_budget is not None
    assert (plan.time_budget.evaluation, plan.time_budget.report) == (EVALUATION, REPORT)
    assert "as many as fit into 1 minute, 100 ms each" in plan.decisions["training.steps"].reason
    assert plan.config.training.minutes is None  # of a request alone


def test_evaluations_are_fewer_in_a_short_time_unless_requested(words_file: Path) -> None:
    assert planned(words_file, 0.3, seconds=0.1).config.training.eval_count == 3
    requested: Nested = {"training": {"eval_count": 7}}
    assert (
        planned(words_file, 0.3, seconds=0.1, requested=requested).config.training.eval_count == 7
    )


def test_time_is_left_for_what_comes_after_the_run(words_file: Path) -> None:
    """A ladder measures each rung again."""
    plain = planned(words_file, 1.0, seconds=0.1)
    reserved = planned(words_file, 1.0, seconds=0.1, reserve=4.0)
    assert plain.config.training.steps - reserved.config.training.steps == 3 * REPORT / 0.1


@pytest.mark.parametrize("seconds", [0.001, 1.0])
def test_too_short_a_time_is_refused_with_one_that_is_enough(
    seconds: float, words_file: Path
) -> None:
    with pytest.raises(TooShortError, match="too few here for two steps") as found:
        planned(words_file, 0.01, seconds, spent=5.0)
    minutes = found.value.needed
    try:  # the first advice is from before the report was timed
        planned(words_file, minutes, seconds, spent=5.0)
    except TooShortError as error:
        minutes = error.needed
    assert planned(words_file, minutes, seconds, spent=5.5).config.training.steps >= 2


def test_a_timed_run_warms_up_over_a_tenth_at_most(words_file: Path) -> None:
    preset = merge(TINY_GPT, {"optim": {"warmup": 400}, "training": {"steps": 5}})
    plan = planned(words_file, 1.0, seconds=0.1, preset=preset)
    assert plan.config.optim.warmup == plan.config.training.steps // 10
    kept = planned(words_file, 1.0, seconds=0.1, requested={"optim": {"warmup": 77}})
    assert kept.config.optim.warmup == 77


def test_more_minutes_than_a_small_text_needs_are_not_used(few_names: Path) -> None:
    preset: Nested = {"model": {"name": "gpt"}, "training": {"batch_size": 16}}
    plan = planned(few_names, 60.0, seconds=0.01, preset=preset)
    assert plan.max_steps is not None
    assert plan.config.training.steps <= plan.max_steps < 3000
    assert plan.time_budget is None
    assert "ends before the 60 minutes given" in plan.notes[-1]


def sized(
    corpus: str | Path, minutes: float, seconds: dict[int, float], requested: Nested | None = None,
    choices: tuple[Choice, ...] = ("gpt",),
) -> Plan:  # fmt: skip
    """The plan of the size that is chosen where steps take seconds by the number of channels."""
    request = Request(settings=merge(PINNED, requested or {}))
    data = data_of(corpus)
    counts = search_order(data.train, data.tokenizer)
    resolution, took, _ = resolution_of_size(request, data, budget(minutes), counts, choices)
    assert took == seconds[resolution.draft["model.n_embd"]]
    return plan_in_time(budget(minutes), resolution, took)


def test_the_time_for_counting_is_not_taken_from_comparing_sizes(
    seconds: dict[int, float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock, decide = [0.0], Resolution.decide_execution

    def decided(self: Resolution, like: Resolution | None = None) -> None:
        clock[0] += 100.0
        decide(self, like)

    monkeypatch.setattr(Resolution, "decide_execution", decided)
    monkeypatch.setattr(timed, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    seconds |= {64: 0.01, 96: 0.02, 192: 0.9}
    text = tmp_path / "letters.txt"
    text.write_text("".join(random.Random(0).choices("abcdefgh", k=60_000)))
    plan = sized(text, 5.0, seconds, choices=("hybrid",))
    assert plan.decisions["size"].value in {"medium", "large"}
    assert "hybrid tiny" in plan.decisions["size"].reason


@pytest.mark.parametrize(
    ("minutes", "held_back", "samples"), [(0.3, 0.0, False), (1.0, 0.05, True)]
)
def test_a_short_time_is_for_steps(
    minutes: float, held_back: float, samples: bool, seconds: dict[int, float]
) -> None:
    plan = sized("names", minutes, seconds, choices=("hybrid",))
    assert plan.config.model.model_dump()["held_back"] == held_back
    assert (plan.config.training.sample_count > 0) == samples


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Seconds of a step by the channels of a size."""
    found = {48: 0.02, 64: 0.04, 128: 0.2}
    monkeypatch.setattr(
        Bench, "step_seconds", lambda bench, *_: found[bench.plan.config.model.n_embd]
    )
    return found


def test_a_size_is_chosen_with_all_that_belongs_to_it(seconds: dict[int, float]) -> None:
    for minutes, name in ((0.2, "tiny"), (3.0, "small")):  # as the seconds of the steps are given
        plan = sized("names", minutes, seconds)
        size = SIZES["documents"][name]
        assert plan.decisions["size"].value == name
        assert f"{name} " in plan.decisions["size"].reason
        assert f"({seconds[size.n_embd] * 1e3:.0f} ms a step)" in plan.decisions["size"].reason
        model = plan.config.model.model_dump()
        assert {k: model[k] for k in size.model_settings()} == size.model_settings()
        rates = plan.config.optim.learning_rate, plan.config.optim.muon_learning_rate
        assert rates == size.learning_rates(plan.config.training.steps)
        assert plan.config.training.batch_size == size.batch_size
        assert plan.config.optim.warmup == min(40, plan.config.training.steps // 10)


def test_what_is_requested_goes_with_a_size(seconds: dict[int, float]) -> None:
    requested: Nested = {
        "model": {"dropout": 0.25, "pair_embedding": True},
        "optim": {"learning_rate": 0.123},
        "training": {"batch_size": 7},
    }
    plan = sized("names", 0.2, seconds, requested)
    assert plan.config.model.model_dump()["dropout"] == 0.25
    assert plan.config.model.model_dump()["pair_embedding"] is True
    assert plan.config.optim.learning_rate == 0.123
    assert plan.config.training.batch_size == 7


def test_dropout_grows_with_the_minutes(seconds: dict[int, float]) -> None:
    shares = [
        sized("names", minutes, seconds).config.model.model_dump()["dropout"]
        for minutes in (0.2, 2.0, 20.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0.0 < shares[-1]


def test_a_small_text_gets_no_large_size(few_names: Path, seconds: dict[int, float]) -> None:
    plan = sized(few_names, 60.0, seconds)
    assert plan.decisions["size"].value == "tiny"
    assert plan.time_budget is None


def test_measuring_takes_a_small_part_of_the_time() -> None:
    assert measuring_seconds(budget(0.1)) == pytest.approx(0.6)
    assert measuring_seconds(budget(60.0)) == 3.0


def test_a_request_of_minutes_is_planned_and_kept_in_the_settings(
    seconds: dict[int, float],
) -> None:
    plan = resolve(read_request("names", settings=PINNED, minutes=0.5))
    assert plan.config.training.minutes == 0.5
    assert plan.time_budget is not None
    assert plan.time_budget.minutes == 0.5
    with pytest.raises(ConfigError, match="too few"):
        resolve(read_request("names", model="gpt", settings=PINNED, minutes=1e-4))


def test_counts_are_chosen_where_nothing_else_is_ready_in_time() -> None:
    plan = resolve(read_request("names", settings=PINNED, minutes=1e-4))
    assert plan.shape.fitted
    data = plan.data
    found = search_order(data.train, data.tokenizer, searched_tokens(budget(1e-4)))
    assert plan.config.model.model_dump()["order"] == found.order
    assert "no time for a network" in plan.decisions["size"].reason
    assert (
        f"counts of order {found.order} promise {found.loss:.3f}" in plan.decisions["size"].reason
    )
    assert not any("whatever the minutes" in note for note in plan.notes)


def test_counts_are_chosen_where_few_steps_promise_no_more(seconds: dict[int, float]) -> None:
    seconds.update(dict.fromkeys(seconds, 10.0))
    plan = resolve(read_request("names", settings=PINNED, minutes=2))
    assert plan.shape.fitted
    assert "a network on them promises" in plan.decisions["size"].reason


@pytest.mark.parametrize("minutes", [0.2, 5.0])
def test_what_is_requested_of_the_model_is_kept(minutes: float, seconds: dict[int, float]) -> None:
    def model(**arguments: Any) -> dict[str, Any]:
        request = read_request("names", settings=PINNED, minutes=minutes, **arguments)
        return resolve(request).config.model.model_dump()

    assert model()["name"] == "hybrid"
    assert model(model="gpt")["name"] == model(exportable=True)["name"] == "gpt"
    assert model(model="hybrid")["name"] == "hybrid"


def test_a_hybrid_reads_its_text_a_few_times_only(seconds: dict[int, float]) -> None:
    plan = resolve(read_request("names", settings=PINNED, minutes=5))
    epochs = plan.config.training.steps * plan.tokens_per_step / plan.read_part.n_targets
    assert epochs == pytest.approx(HYBRID_SMALL_TEXT_EPOCHS, rel=0.01)
    assert HYBRID_SMALL_TEXT_EPOCHS <= HYBRID_EPOCHS
    assert plan.config.model.model_dump()["dropout"] < SMALL_TEXT_DROPOUT
    assert "ends before the 5 minutes given: 4 times" in plan.notes[-1]


def test_a_hybrid_reads_a_stream_three_times_at_most(
    seconds: dict[int, float], tmp_path: Path
) -> None:
    seconds.update({96: 0.08, 192: 0.4})
    text = stream(tmp_path, 60_000)
    plan = resolve(read_request(str(text), model="hybrid", settings=PINNED, minutes=5))
    epochs = plan.config.training.steps * plan.tokens_per_step / plan.read_part.n_targets
    assert epochs == pytest.approx(HYBRID_STREAM_EPOCHS, rel=0.05)
    assert "3 times through the text are enough" in plan.notes[-1]


def test_settings_of_the_model_alone_are_those_of_the_default(seconds: dict[int, float]) -> None:
    settings = merge(PINNED, {"model": {"conv_kernel": 4}})
    plan = resolve(read_request("names", settings=settings, minutes=1))
    assert plan.config.model.model_dump()["conv_kernel"] == 4
    assert plan.decisions["size"].reason.startswith("network ")


def test_the_size_of_a_hybrid_is_chosen_with_its_order(seconds: dict[int, float]) -> None:
    chosen: tuple[Choice, ...] = ("counts", "hybrid", "gpt")
    plan = sized("names", 1.0, seconds, choices=chosen)
    counts = search_order(plan.data.train, plan.data.tokenizer)
    model = plan.config.model.model_dump()
    assert (model["name"], model["order"]) == ("hybrid", counts.order)
    size = SIZES["documents"][plan.decisions["size"].value]
    assert {k: model[k] for k in size.shared_settings()} == size.shared_settings()
    assert f"counts of order {counts.order} alone" in plan.decisions["size"].reason
    requested = sized("names", 1.0, seconds, {"model": {"order": 3}}, ("hybrid",))
    assert requested.config.model.model_dump()["order"] == 3
    assert f"counts of order 3 alone {counts.losses[2]:.3f}" in requested.decisions["size"].reason


def test_a_plan_of_a_budget_counts_as_many_tokens_as_there_is_time_for() -> None:
    found = [searched_tokens(budget(minutes)) for minutes in (0.01, 0.1, 1.0, 100.0)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (FEWEST_COUNTED, MOST_TOKENS)


def test_the_best_counts_are_searched_in_a_share_of_the_time() -> None:
    found = [counted_tokens(budget(minutes)) for minutes in (0.01, 1.0, 1.5, 100.0)]
    assert found == sorted(found)
    assert found[0] == FEWEST_COUNTED
    assert found[1] / COUNTED_A_SECOND == pytest.approx(COUNTING_SHARE * 60)
    assert found[-1] == MOST_TOKENS
