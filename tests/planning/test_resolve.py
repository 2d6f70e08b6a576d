"""From a request to a plan: what is read, refused and decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.config import Nested, merge, presets
from hornbook.data import training_data
from hornbook.errors import ConfigError, DataError
from hornbook.planning.bench import Bench
from hornbook.planning.decide.size import SIZES
from hornbook.planning.describe import describe
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.planning.tuning import SMALL_TEXT_DROPOUT, SMALL_TEXT_EPOCHS
from tests.planning.texts import PINNED, TINY_GPT, TINY_MLP, plan_of, stream


@pytest.mark.parametrize("minutes", [None, 5.0])
def test_the_corpus_is_read_once(
    minutes: float | None, words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = training_data.load_corpus

    def counting(*arguments: Any) -> Any:
        read.append(arguments)
        return load(*arguments)

    monkeypatch.setattr("hornbook.data.training_data.load_corpus", counting)
    monkeypatch.setattr(Bench, "step_seconds", lambda *_, **__: 0.01)
    plan = plan_of(words_file, minutes=minutes)
    assert len(read) == 1
    assert plan.data.corpus.n_bytes == words_file.stat().st_size


def test_settings_are_layered(words_file: Path) -> None:
    """What was requested, over the preset, over the fields' defaults."""
    plan = plan_of(words_file, {"model": {"n_layer": 1}, "optim": {"beta1": 0.5}}, steps=3)
    preset = presets.default("gpt", documents=True)
    assert plan.config.model.model_dump()["n_layer"] == 1
    assert plan.config.optim.beta1 == 0.5
    assert plan.config.optim.beta2 == preset["optim"].get("beta2", 0.99)
    assert plan.config.optim.weight_decay == preset["optim"]["weight_decay"]
    assert plan.config.training.steps == plan.schedule.total_steps == 3


def test_ids_of_bpe_that_another_tokenizer_has_no_use_for_are_said(words_file: Path) -> None:
    plan = plan_of(words_file, {"tokenizer": {"kind": "char", "vocab_size": 300}}, steps=1)
    assert plan.config.tokenizer.vocab_size is None
    assert any("--vocab-size is not used" in note for note in plan.data.notes)


def test_the_tokenizer_is_chosen_and_said(tmp_path: Path, words_file: Path) -> None:
    han = tmp_path / "han.txt"
    han.write_text("".join(chr(0x4E00 + i % 2500) for i in range(6000)), "utf-8")
    for corpus, kind, why in ((words_file, "char", "documents"), (han, "bpe", "2,500 different")):
        plan = plan_of(corpus, {"tokenizer": {"kind": "auto"}}, steps=1)
        assert plan.config.tokenizer.kind == plan.data.tokenizer.kind == kind
        assert why in plan.decisions["tokenizer.kind"].reason
        assert any(name == "tokenizer" and why in how for name, how in describe(plan))
    plan = plan_of(words_file, {"tokenizer": {"kind": "auto", "vocab_size": 280}}, steps=1)
    assert plan.data.tokenizer.kind == "bpe"


def test_the_preset_is_that_of_the_text(tmp_path: Path, words_file: Path) -> None:
    for corpus, documents in ((words_file, True), (stream(tmp_path, 8000), False)):
        plan = plan_of(corpus, steps=1)
        expected = presets.default("gpt", documents=documents)["model"]["n_layer"]
        assert plan.config.model.model_dump()["n_layer"] == expected


def test_the_path_of_a_corpus_is_valid_from_anywhere(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(words_file.parent)
    plan = plan_of(words_file.name, TINY_GPT)
    assert plan.config.data.corpus == str(words_file.resolve())
    assert plan_of("names", TINY_GPT).config.data.corpus == "names"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "gptt"}, "model: found 'gptt', no such model; did you mean 'gpt'"),
        ({"model": "mixture"}, "mixture is not trained; make one of runs with `hornbook mix`"),
        ({"preset": "notes-mpl"}, "preset: found 'notes-mpl', no such preset"),
        (
            {"preset": "notes-mlp", "model": "gpt"},
            "found 'gpt', but preset 'notes-mlp' is of 'mlp'",
        ),
        ({"preset": {"model": {"name": "mlp"}}, "model": "gpt"}, "but this rung is of 'mlp'"),
        ({"minutes": 1, "steps": 10}, "minutes: found it beside steps; give one of them"),
        ({"minutes": 0}, "training.minutes: found 0.* greater than 0"),
        ({"settings": {"training.stepz": 1}}, "training.stepz: no such field"),
        ({"settings": {"training.threads": 0}}, "training.threads: found 0"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: dict[str, Any], message: str, words_file: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(read_request(str(words_file), **arguments))


def test_a_corpus_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        plan_of(tmp_path / "none.txt")


def test_counts_have_nothing_to_decide(words_file: Path) -> None:
    plan = plan_of(words_file, model="ngram", minutes=3)
    assert plan.shape.fitted
    assert plan.memory is not None
    assert set(plan.decisions) == {"device", "memory"}
    assert plan.time_budget is None
    assert "counts are fitted in one pass, whatever the minutes" in plan.notes


HYBRID: Nested = {"model": {"n_layer": 1, "n_head": 2, "n_embd": 16}}


def test_a_network_on_counts_is_planned_as_one_that_is_trained(words_file: Path) -> None:
    compiled: Nested = {"training": {"compile": "yes"}}
    plan = plan_of(words_file, merge(HYBRID, compiled), model="hybrid", steps=3)
    assert plan.shape.counted
    assert not plan.shape.fitted
    assert plan.config.training.steps == 3
    assert plan.compiled == "no"
    model = plan.build_model()
    assert model.parts["counts"].n_parameters > 0  # counted before the first step
    assert plan.memory is not None
    tables = sum(t.nbytes for t in model.buffers())
    assert plan.memory.weights > tables


def test_what_cannot_be_counted_is_refused_before_it_is_counted(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr("hornbook.models.hybrid.Hybrid.fit", fit)
    monkeypatch.setattr("hornbook.planning.decide.memory.available_bytes", lambda _: 500_000)
    with pytest.raises(ConfigError, match=r"counting needs .*lower --model\.order"):
        plan_of(words_file, HYBRID, model="hybrid", steps=3)


def epochs(plan: Any) -> float:
    return float(plan.tokens_per_step * plan.config.training.steps / plan.shape.n_train)


def test_a_small_text_is_seen_twelve_times(few_names: Path) -> None:
    plan = plan_of(few_names)
    assert epochs(plan) == pytest.approx(SMALL_TEXT_EPOCHS, rel=0.05)
    assert plan.config.model.model_dump()["dropout"] == SMALL_TEXT_DROPOUT
    assert "12 times through a small text" in plan.decisions["training.steps"].reason
    assert plan.decisions["training.batch_size"].reason == "a small text"


def test_a_text_of_three_names_is_seen_twelve_times(tmp_path: Path) -> None:
    """All of it fits into one of the preset's batches."""
    path = tmp_path / "three.txt"
    path.write_text("anna\nberta\nclara")
    plan = plan_of(path)
    assert epochs(plan) == pytest.approx(SMALL_TEXT_EPOCHS, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({"training": {"steps": 500}}, 500), ({"model": {"name": "bigram"}}, 500)],
    ids=["requested steps", "a model too small to memorize it"],
)
def test_what_a_small_text_does_not_change(settings: Nested, steps: int, few_names: Path) -> None:
    plan = plan_of(few_names, settings)
    assert plan.config.training.steps == steps
    assert "small text" not in plan.decisions["training.steps"].reason
    assert "small text" not in plan.decisions["training.batch_size"].reason


def test_what_is_requested_for_a_small_text_is_kept(few_names: Path) -> None:
    plan = plan_of(few_names, {"model": {"dropout": 0.01}, "training": {"batch_size": 16}})
    assert plan.config.model.model_dump()["dropout"] == 0.01
    assert plan.config.training.batch_size == 16
    assert epochs(plan) == pytest.approx(SMALL_TEXT_EPOCHS, rel=0.05)


def test_a_preset_that_is_named_is_not_fitted_to_a_text_but_a_rung_is(few_names: Path) -> None:
    named = plan_of(few_names, preset="gpt-pairs")
    preset = presets.named("gpt-pairs")
    assert named.config.training.steps == preset["training"]["steps"]
    assert named.config.training.batch_size == preset["training"]["batch_size"]
    assert plan_of(few_names, preset=preset).config.training.steps < named.config.training.steps


def test_fewer_steps_than_the_preset_s_warm_up_less(words_file: Path) -> None:
    plan = plan_of(words_file, {"model": {"name": "gpt"}, "training": {"steps": 50}})
    assert plan.config.optim.warmup == 5
    kept = plan_of(words_file, {"optim": {"warmup": 33}, "training": {"steps": 50}})
    assert kept.config.optim.warmup == 33


@pytest.mark.parametrize("settings", [TINY_GPT, TINY_MLP], ids=["gpt", "mlp"])
def test_resolving_leaves_the_generators_as_they_were(settings: Nested, words_file: Path) -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    plan_of(words_file, settings)
    assert torch.equal(torch.get_rng_state(), before)


def test_old_names_and_the_schedule_of_a_timed_run_are_accepted(words_file: Path) -> None:
    """As config.json of an earlier version has them; its minutes are not counted again."""
    settings = {
        **TINY_GPT,
        "optim": {"final": 0.0, "schedule": "drop", "paces": [[0, 0.0, 20], [7, 7.0, 13]]},
        "training": {**PINNED["training"], "steps": 13, "minutes": 0.5, "plain": False},
    }
    plan = resolve(read_request(str(words_file), settings=settings))
    assert plan.schedule.segments == ((0, 0.0, 20), (7, 7.0, 13))
    assert plan.schedule.total_steps == plan.config.training.steps == 13
    assert plan.time_budget is None
    assert "optim.final is now optim.min_lr_ratio" in plan.notes
    assert any("repeats the schedule of a timed run" in note for note in plan.notes)


def test_a_timed_run_is_repeated_by_the_schedule_of_its_report(words_file: Path) -> None:
    """Steps were counted anew on the way; report.json keeps where."""
    cosine: Nested = {"optim": {"warmup": 3, "schedule": "cosine"}, "training": {"steps": 40}}
    plan = plan_of(words_file, merge(TINY_GPT, cosine))
    used = plan.schedule.with_total(11, 57).with_total(23, 31)
    report = json.loads(json.dumps([list(segment) for segment in used.segments]))
    settings = plan.config.model_dump()
    settings["optim"]["paces"] = report
    settings["training"]["minutes"] = 0.4  # as config.json of a timed run says
    again = resolve(read_request(settings=settings))
    assert again.time_budget is None
    assert again.schedule.total_steps == 31
    assert [again.schedule.rate(i) for i in range(31)] == [used.rate(i) for i in range(31)]


def test_a_model_that_is_sized_itself_is_not_sized_by_time(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any field that a size decides; other fields of the model go with a size."""
    monkeypatch.setattr(Bench, "step_seconds", lambda *_, **__: 0.01)
    assert "size" not in plan_of(words_file, {"model": {"n_layer": 1}}, minutes=5).decisions
    assert "size" not in plan_of(words_file, model="mlp", minutes=5).decisions
    sized = plan_of(words_file, {"model": {"pair_embedding": True}}, minutes=5)
    assert sized.decisions["size"].value in SIZES["documents"]
    assert sized.config.model.model_dump()["pair_embedding"] is True


def test_a_requested_device_that_is_not_there_is_refused(words_file: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match=r"training.device: found 'cuda'"):
        plan_of(words_file, device="cuda")


@pytest.mark.parametrize("settings", [TINY_GPT, TINY_MLP], ids=["sequences", "windows"])
@pytest.mark.parametrize("epochs", [1, 2.5, 40])
def test_epochs_are_passes_through_the_training_part(
    epochs: float, settings: Nested, words_file: Path
) -> None:
    """The last step of the last pass is made, and none after it; a small text is no exception."""
    training = {"batch_size": settings["training"]["batch_size"], "epochs": epochs}
    plan = plan_of(words_file, {"model": settings["model"], "training": training})
    assert plan.config.training.epochs == epochs
    batches = plan.build_batches()
    steps = plan.schedule.total_steps
    assert steps == plan.config.training.steps
    assert (steps - 1) * batches.batch_size < epochs * batches.items_per_epoch
    assert epochs * batches.items_per_epoch <= steps * batches.batch_size
    assert "through the training part" in plan.decisions["training.steps"].reason


@pytest.mark.parametrize("other", [{"steps": 3}, {"minutes": 1}])
def test_epochs_exclude_steps_and_minutes(other: dict[str, int], words_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"found it beside .*; give one of them"):
        plan_of(words_file, {"training": {"epochs": 2, **other}})


def test_counts_are_fitted_whatever_the_epochs(words_file: Path) -> None:
    plan = plan_of(words_file, {"model": {"name": "ngram"}, "training": {"epochs": 2}})
    assert "counts are fitted in one pass, whatever the epochs" in plan.notes
