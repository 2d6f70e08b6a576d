"""`train` and `resume` as a whole: every model, what is refused, and what is never written again."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.models.registry import MODELS
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import SETTINGS, After, At, Listen, die, small, stop


def test_every_model_trains_through_the_same_call(
    model_name: str, corpus: Path, tmp_path: Path
) -> None:
    if not MODELS[model_name].trained:
        pytest.skip("is made of runs")
    listen = Listen()
    run = hornbook.train(
        str(corpus), model=model_name, out=tmp_path / "run", settings=small(model_name),
        callbacks=[listen],
    )  # fmt: skip
    back = hornbook.load(tmp_path / "run")
    evaluation = back.evaluate("val")
    assert run.report["validation"]["nats"] == pytest.approx(evaluation.nats)
    assert evaluation.nats < math.log(back.tokenizer.vocab_size) + 0.7
    assert len(back.sample(3, seed=1)) == 3
    assert back.score("bako")[0].tokens == 5
    assert listen.records == back.log


def test_an_unfinished_run_is_offered_where_another_one_is_begun(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments: dict[str, Any] = {"model": "bigram", "settings": small("bigram")}
    with pytest.raises(Interrupted):
        hornbook.train(str(corpus), callbacks=[After(3, stop)], **arguments)
    heard = Listen(), Listen()
    for listen in heard:
        run = hornbook.train(str(corpus), callbacks=[listen], **arguments)
    first = f"runs/{corpus.stem}-bigram"
    assert run.path == Path(f"{first}-3")
    assert heard[0].says(f"{first} is not finished", "hornbook train --resume")
    assert not heard[1].says("not finished")  # the one before this is


@pytest.mark.parametrize("model", ["bigram", "gpt", "mlp"])
def test_no_steps_save_the_untrained_model(model: str, corpus: Path, tmp_path: Path) -> None:
    settings = small(model, steps=0)
    run = hornbook.train(str(corpus), model=model, out=tmp_path / "r", settings=settings)
    assert (run.report["steps"], run.report["best_step"], run.report["tokens"]) == (0, 0, 0)
    ((step, val_loss, train_loss),) = [(r["step"], r["val_loss"], r["train_loss"]) for r in run.log]
    assert (step, run.report["validation"]["nats"]) == (0, pytest.approx(val_loss, abs=1e-5))
    assert run.report["train_loss"] == train_loss
    assert len(run.sample(3, seed=1)) == 3
    listen = Listen()
    hornbook.resume(run.path, callbacks=[listen])
    assert listen.says("To train it further: ", "--steps 1000")
    longer = hornbook.resume(tmp_path / "r", steps=12)
    whole = hornbook.train(
        str(corpus), model=model, out=tmp_path / "w", settings=small(model, steps=12)
    )
    losses = [[(r["step"], r["loss"]) for r in one.log if r["step"]] for one in (longer, whole)]
    assert losses[0] == losses[1]


def test_rows_may_be_shorter_than_64(corpus: Path, tmp_path: Path) -> None:
    settings = small("bigram", row_length=8, batch_size=4, examples="sequences")
    run = hornbook.train(str(corpus), model="bigram", out=tmp_path / "r", settings=settings)
    assert run.log[1]["tokens"] <= 4 * 8


def test_more_steps_continue_a_finished_run(corpus: Path, tmp_path: Path) -> None:
    hornbook.train(str(corpus), model="bigram", out=tmp_path / "r", settings=small("bigram"))
    run = hornbook.resume(tmp_path / "r", steps=20)
    assert run.report["steps"] == 20
    assert [r["step"] for r in run.log if "val_loss" in r][:4] == [0, 4, 8, 12]


@pytest.mark.parametrize("how", ["whole", "resumed", "changed", "damaged", "counts"])
def test_config_json_is_written_once(how: str, corpus: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "r", list[bytes]()
    look = After(1, lambda trainer: found.append((trainer.run.path / "config.json").read_bytes()))
    model = "ngram" if how == "counts" else "bigram"
    interruption = [] if how in ("whole", "counts") else [At(10, stop if how == "resumed" else die)]
    try:
        hornbook.train(
            str(corpus), model=model, out=out, settings=small(model),
            callbacks=[look, *interruption],
        )  # fmt: skip
    except KeyboardInterrupt:
        assert interruption
    found.append((out / "config.json").read_bytes())
    if how == "damaged":
        (out / "last" / "state.json").write_text("{")
    changes: dict[str, Any] = {"steps": 30, "settings": {"optim.learning_rate": 0.01}}
    if how != "counts":
        hornbook.resume(out, **(changes if how == "changed" else {}))
    found.append((out / "config.json").read_bytes())
    assert len(set(found)) == 1


def test_a_run_that_is_resumed_after_its_end_stays_as_it_is(copy: Path) -> None:
    whole = hornbook.resume(copy)
    weights, log, report = (copy / "model.safetensors").read_bytes(), whole.log, whole.report
    again = hornbook.resume(copy)
    assert (copy / "model.safetensors").read_bytes() == weights
    assert (again.log, again.report) == (log, report)


def test_a_changed_corpus_is_not_resumed_on(corpus: Path, copy: Path) -> None:
    text = corpus.read_text()
    try:
        corpus.write_text(text.replace("bako", "baka"))
        with pytest.raises(DataError, match=r"has changed since .*\(sha256 .*, was "):
            hornbook.resume(copy)
        corpus.unlink()
        with pytest.raises(DataError, match=r"no such file.*This run was trained on it"):
            hornbook.resume(copy)
    finally:
        corpus.write_text(text)
    assert hornbook.resume(copy).report["steps"] == 12


def test_a_run_that_was_moved_with_its_corpus_is_resumed(
    corpus: Path, copy: Path, tmp_path: Path
) -> None:
    text = corpus.read_text()
    try:
        corpus.rename(tmp_path / "the same text")
        assert hornbook.resume(copy, steps=14).report["steps"] == 14
    finally:
        corpus.write_text(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training.steps": -1}, r"training\.steps: found -1.*greater than or equal to 0"),
        ({"training.stepz": 5}, r"training\.stepz: no such field; did you mean 'steps'"),
        ({"model.n_head": 3}, r"model\.n_head: found 3, expected a divisor of model\.n_embd"),
        ({"trainig.steps": 5}, r"trainig\.steps: no such section.*did you mean 'training\.steps'"),
        ({"optim.learning_rate": "fast"}, r"optim\.learning_rate: found 'fast'.*valid number"),
        ({"training.device": "tpu"}, r"training\.device: found 'tpu'"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        hornbook.train("names", out=tmp_path / "r", settings=settings)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "gpt", "settings": {"model.name": "ngram"}}, "model: found 'gpt', but"),
        ({"steps": 2, "settings": {"training.steps": 1}}, "steps: found 2, but"),
        ({"settings": {"data.corpus": "shakespeare"}}, "corpus: found 'names', but"),
        ({"settings": {"training.steps": True}}, "training.steps: found true"),
    ],
)
def test_settings_that_disagree_are_refused(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        hornbook.train("names", out=tmp_path / "r", **arguments)


def test_without_a_state_there_is_nothing_to_resume_from(copy: Path) -> None:
    hornbook.resume(copy)
    shutil.rmtree(copy / "last")
    with pytest.raises(RunError, match="no state to resume from"):
        hornbook.resume(copy, steps=50)


def test_a_batch_too_small_for_batchnorm_leaves_no_run(corpus: Path, tmp_path: Path) -> None:
    settings = {"model": {"name": "mlp", "norm": "batchnorm"}, "training": {"batch_size": 1}}
    with pytest.raises(ConfigError, match="batch of one example"):
        hornbook.train(str(corpus), settings=settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_counts_without_smoothing_can_be_infinitely_surprised(tmp_path: Path) -> None:
    run = hornbook.train(
        "names",
        model="ngram",
        out=tmp_path / "r",
        settings={"model.order": 5, "model.smoothing": "add-k", "model.k": 0},
    )
    assert run.report["validation"]["nats"] is None
    assert run.facts["n_parameters"] > 10_000
    assert math.isinf(run.evaluate("val").nats)
    from hornbook.cli.main import main

    assert main(["show", str(run.path)]) == main(["eval", str(run.path)]) == 0


@pytest.mark.parametrize("model", ["gpt", "gpt2"])
def test_a_context_that_is_requested_as_a_flag_is_a_number(model: str, tmp_path: Path) -> None:
    settings = {**small(model, steps=1), "model.context_length": "32"}
    run = hornbook.train("names", model=model, out=tmp_path / "r", settings=settings)
    assert run.model.context_length == 32


@pytest.mark.parametrize("sampling", ["epochs", "random"])
def test_a_batch_of_a_stream_predicts_all_its_tokens(sampling: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 100)
    settings = {
        "model": {"context_length": 16},
        "training": {**SETTINGS["training"], "batch_size": 4, "sampling": sampling},
        "data": {"kind": "stream"},
    }
    plan = resolve(read_request(str(text), settings=settings))
    assert plan.tokens_per_step == pytest.approx(4 * 16, rel=0.02)


def test_a_disk_without_space_is_reported_before(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RunError, match=r"needs .* of disk, found 1\.0 kB free"):
        hornbook.train(str(corpus), out=tmp_path / "r", settings=SETTINGS)
    assert not (tmp_path / "r").exists()


def test_the_threads_of_a_run_are_those_it_was_planned_with(
    corpus: Path, tmp_path: Path, two_threads: None
) -> None:
    import torch

    threads: list[int] = []
    look = After(1, lambda _: threads.append(torch.get_num_threads()))
    hornbook.train(
        str(corpus), model="bigram", out=tmp_path / "r", settings=small("bigram"), callbacks=[look]
    )
    resumed = After(13, lambda _: threads.append(torch.get_num_threads()))
    hornbook.resume(tmp_path / "r", steps=14, callbacks=[resumed])
    assert threads == [1, 1]
    assert torch.get_num_threads() == 2
