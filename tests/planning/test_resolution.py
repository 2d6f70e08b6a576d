"""The settings of a preset on a text: what is decided in which order, without measuring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from hornbook.config import Nested, merge
from hornbook.errors import ConfigError, DataError
from hornbook.machine import cores
from hornbook.parallel.launch import Launch
from hornbook.parallel.ranks import Ranks
from hornbook.planning.bench import Bench
from hornbook.planning.decide import memory
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decision import Decision
from hornbook.planning.describe import describe, facts
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from tests.planning.texts import (
    PINNED,
    TINY_GPT,
    TINY_MLP,
    large_alphabet,
    plan_of,
    resolution_of,
    stream,
)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be timed."""

    def never(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("measured, where something else decides")

    for name in ("seconds_by_threads", "bf16_ratio", "trial_seconds", "compiled_ratio"):
        monkeypatch.setattr(Bench, name, never)


def test_a_longer_context_has_fewer_rows(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("\n".join(f"{'lorem ipsum ' * 12}{i}" for i in range(40)))
    found = resolution_of(path, merge(TINY_GPT, {"training": {"batch_size": 32}}))
    assert found.draft["model.context_length"] == 256  # 16 of the preset
    assert found.draft["training.batch_size"] == 2
    found.decide_execution()
    found.decide_steps(Decision(5, "the preset's"))
    reason = found.draft.decisions["training.batch_size"].reason
    assert reason == "about as many tokens as 32 in the preset's context"
    kept = resolution_of(path, TINY_GPT, {"training": {"batch_size": 32}})
    assert kept.draft["training.batch_size"] == 32
    asked = resolution_of(path, TINY_GPT, {"model": {"context_length": 64}})
    assert asked.draft["model.context_length"] == 64
    assert asked.draft["training.batch_size"] == 4


def test_a_sliding_model_keeps_its_context(tmp_path: Path) -> None:
    """It reads rows of any length."""
    found = resolution_of(stream(tmp_path, 60), TINY_MLP)
    assert found.draft["model.context_length"] == 3
    assert "model.context_length" not in found.draft.decisions


def test_a_context_longer_than_a_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found 512, but the validation part has only \d+ tokens"):
        resolution_of(stream(tmp_path, 900), TINY_GPT, {"model": {"context_length": 512}})


def test_one_window_is_refused_for_batchnorm(words_file: Path) -> None:
    with pytest.raises(ConfigError, match="batchnorm"):
        resolution_of(words_file, TINY_MLP, {"training": {"batch_size": 1}})
    resolution_of(words_file, TINY_MLP, {"training": {"batch_size": 1}, "model": {"norm": "none"}})


def test_a_small_text_never_makes_a_batch_of_one_window(tmp_path: Path) -> None:
    path = tmp_path / "few.txt"
    path.write_text("\n".join(["anna", "berta", "clara", "dora"]))
    resolution = resolution_of(path, merge(TINY_MLP, {"model": {"n_hidden": 64}}))
    resolution.decide_execution()
    resolution.decide_steps(Decision(5000, "the preset's"))
    plan = resolution.plan()
    assert plan.config.training.batch_size == 2
    ids, _ = plan.build_batches().batch(0)
    assert plan.build_model().train().window_logits(ids).isfinite().all()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"reference": True}, "reference kernels"), ({"deterministic": True}, "deterministic")],
)
def test_the_reference_and_determinism_depend_on_no_measurement(
    settings: dict[str, object], reason: str, words_file: Path
) -> None:
    measured = {"precision": "auto", "threads": "auto", "compile": "auto", **settings}
    resolution = resolution_of(words_file, TINY_GPT, {"training": measured})
    resolution.decide_execution()
    resolution.decide_steps(Decision(5, "the preset's"))
    plan = resolution.plan()
    assert (plan.precision, plan.compiled) == ("fp32", "no")
    assert plan.decisions["precision"].reason == plan.decisions["compiled"].reason == reason
    assert plan.threads == torch.get_num_threads()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("settings", [TINY_GPT, TINY_MLP])
def test_no_steps_need_no_measurement(settings: Nested, words_file: Path) -> None:
    """The steps of an MLP with SGD can be compiled, which is worth it by the seconds of all steps."""
    measured = {"steps": 0, "precision": "auto", "threads": "auto", "compile": "auto"}
    descent: Nested = {"optim": {"name": "sgd", "grad_clip": 0.0}}
    resolution = resolution_of(words_file, merge(settings, descent), {"training": measured})
    resolution.decide_execution()
    resolution.decide_steps(resolution.planned_steps())
    plan = resolution.plan()
    assert (plan.config.training.steps, plan.precision, plan.compiled) == (0, "fp32", "no")
    assert plan.decisions["compiled"].reason == "no step is made"


@pytest.mark.usefixtures("two_threads")
def test_as_many_threads_as_are_fastest_make_the_steps(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "seconds_by_threads", lambda *_: {2: 2.0, 1: 1.0})
    resolution = resolution_of(words_file, TINY_GPT, {"training": {"threads": "auto"}})
    resolution.decide_execution()
    assert resolution.decisions["threads"].value == resolution.bench.plan.threads == 1


def test_a_small_text_changes_what_is_timed_and_estimated(few_names: Path) -> None:
    """More dropout keeps more for the backward pass, and cannot be compiled in steps."""
    descent: Nested = {
        "model": {"name": "mlp", "n_hidden": 1000, "dropout": 0.0},
        "optim": {"name": "sgd", "grad_clip": 0.0},
        "training": {"steps": 100_000, "batch_size": 32, "examples": "windows"},
    }
    resolution = resolution_of(few_names, descent)
    resolution.decide_execution()
    resolution.decide_steps(Decision(100_000, "the preset's"))
    plan = resolution.plan()
    assert plan.config.model.model_dump()["dropout"] == 0.3
    bench = resolution._final_bench()
    assert bench.plan.config.model == plan.config.model
    assert any(getattr(m, "p", 0.0) for m in bench.model.modules())
    assert bench.plan.threads == 1


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.usefixtures("unmeasured")
def test_nothing_is_compiled_in_too_short_a_time(words_file: Path) -> None:
    descent: Nested = {"optim": {"name": "sgd", "grad_clip": 0.0}}
    requested: Nested = {"training": {"compile": "auto"}}
    resolution = resolution_of(words_file, merge(TINY_MLP, descent), requested)
    resolution.decide_execution()
    resolution.decide_steps(Decision(5, "as many as fit"), in_time=True)
    plan = resolution.plan(time_budget=TimeBudget(minutes=0.5, began=0.0))
    assert plan.compiled == "no"
    assert plan.decisions["compiled"].reason == "it would not save time within the time budget"


def test_memory_that_is_not_there_is_refused(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolution = resolution_of(words_file, TINY_GPT)
    resolution.decide_execution()
    resolution.decide_steps(Decision(5, "the preset's"))
    assert resolution.plan().memory is not None
    monkeypatch.setattr(memory, "available_bytes", lambda _: 100)
    with pytest.raises(ConfigError, match=r"memory: training needs at least .* found 100 B"):
        resolution.plan()
    with pytest.raises(ConfigError, match=r"memory: weights, .* need .* found 100 B available"):
        resolution_of(words_file, TINY_GPT)


def test_a_large_alphabet_is_told_what_it_costs(
    tmp_path: Path, words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = large_alphabet(tmp_path)
    (note,) = plan_of(text, TINY_GPT).notes
    assert "2,500 different tokens" in note
    assert "--tokenizer byte" in note
    assert "parameters in place of" in note
    (note,) = plan_of(text, model="ngram").notes
    assert "2,500 different tokens" in note
    assert not plan_of(words_file, TINY_GPT).notes
    monkeypatch.setattr(memory, "available_bytes", lambda _: 10_000_000)
    with pytest.raises(ConfigError, match=r"weights, .*train with --tokenizer byte"):
        plan_of(text, model="bigram")


def test_nothing_is_tried_where_memory_is_short(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: Nested = {"training": {"compile": "auto"}}
    resolution = resolution_of(words_file, TINY_GPT, requested)
    resolution.decide_execution()
    resolution.decide_steps(Decision(9, "the preset's"))
    monkeypatch.setattr(memory.MemoryEstimate, "can_be_tried", lambda *_: False)
    assert resolution.plan().decisions["compiled"].reason == "there is too little memory to try it"


@pytest.mark.parametrize("in_time", [True, False])
def test_a_named_preset_keeps_batch_and_dropout(in_time: bool, few_names: Path) -> None:
    preset: Nested = {"model": {"name": "gpt"}, "training": {"steps": 100_000, "batch_size": 32}}
    resolution = resolution_of(few_names, preset, named="as named")
    resolution.decide_execution()
    limit = resolution.max_steps
    assert limit is not None
    resolution.decide_steps(Decision(100_000, "the preset's"), in_time=in_time)
    config = resolution.draft.config()
    assert config.training.batch_size == 32
    assert (
        config.model.model_dump()["dropout"]
        == resolution.draft.preset.model.model_dump()["dropout"]
    )
    assert config.training.steps == (limit if in_time else 100_000)


def test_a_timed_run_is_limited_by_the_batch_that_it_gets(few_names: Path) -> None:
    """Of smaller batches more steps are as many epochs."""
    preset: Nested = {"model": {"name": "gpt"}, "training": {"batch_size": 256}}
    resolution = resolution_of(few_names, preset)
    resolution.decide_execution()
    resolution.decide_steps(Decision(60, "as many as fit"), in_time=True)
    plan = resolution.plan()
    assert plan.config.training.steps == 60
    assert plan.max_steps is not None
    assert plan.max_steps >= 60


def test_long_documents_are_announced(words_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    path.write_text("\n".join(["short"] * 60 + ["long " * 30] * 40))
    resolution = resolution_of(path, TINY_GPT, {"model": {"context_length": 8}})
    resolution.decide_execution()
    resolution.decide_steps(Decision(5, "the preset's"))
    (note,) = [n for n in resolution.plan().notes if "longer than the context" in n]
    assert note.endswith("documents are longer than the context of 8: read in pieces")


def test_processes_share_a_batch_and_the_cores(words_file: Path) -> None:
    ranks = Ranks(Launch(1, 3, 1, 3, "localhost", 1, run_id="a"))
    settings = merge(PINNED, TINY_GPT, {"training": {"batch_size": 7, "threads": "auto"}})
    plan = resolve(replace(read_request(str(words_file), settings=settings), ranks=ranks))
    assert (plan.rows, plan.own_rows, plan.rows_at_once) == (7, 3, 3)
    assert plan.threads == max(1, cores() // 3)
    assert plan.build_batches().share == (2, 4)
    assert any(what == "processes" and how.startswith("3, ddp (") for what, how in describe(plan))
    found = facts(plan, 1)
    assert (found["hardware"]["ranks"], found["launch"]) == (3, "a")
    tiny = merge(settings, {"training": {"batch_size": 2}})
    with pytest.raises(ConfigError, match="found a batch of 2 for 3 processes, expected 3 or more"):
        resolve(replace(read_request(str(words_file), settings=tiny), ranks=ranks))


def test_what_does_not_fit_is_computed_in_parts(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plan_of(words_file, TINY_GPT)
    assert whole.memory is not None
    assert (whole.config.training.micro_batch, whole.rows_at_once) == (None, 4)
    fits = whole.memory.total - 1
    monkeypatch.setattr(memory, "available_bytes", lambda *_: fits)
    plan = plan_of(words_file, TINY_GPT)
    assert (plan.config.training.micro_batch, plan.rows_at_once) == (2, 2)
    assert any(what == "micro-batch" and "2 of 4 at once" in how for what, how in describe(plan))
    requested = plan_of(words_file, merge(TINY_GPT, {"training": {"micro_batch": 3}}))
    assert (requested.rows_at_once, requested.rows) == (3, 4)
    plan_of(words_file, TINY_MLP)  # a batch of which the statistics are taken stays whole
    with pytest.raises(ConfigError, match="micro_batch: found 2 for a model with batchnorm"):
        plan_of(words_file, merge(TINY_MLP, {"training": {"micro_batch": 2}}))
