"""Training: what is learned, kept, resumed, and said."""

from __future__ import annotations

import json
import math
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from hornbook.training.watch import Watch

import hornbook
from hornbook.api import Run
from hornbook.config import OptimConfig
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.files import read_tensors
from hornbook.models.registry import MODELS
from hornbook.optim import build_optimizer, learning_rate
from hornbook.planning.plan import Plan, make_plan
from hornbook.training.callbacks import Callback
from hornbook.training.loop import Interrupted
from tests.conftest import TINY, TINY_GPT, tiny_model


def small(name: str, **training: Any) -> dict[str, Any]:
    fields = MODELS[name].config.model_fields
    return {
        "model": {field: size for field, size in TINY.items() if field in fields},
        "training": {"steps": 12, "batch_size": 8, "eval_count": 3, "sample_count": 1, **training},
    }


class Interrupt(Callback):
    """Ctrl-C in the middle of an update."""

    def __init__(self, step: int) -> None:
        self.step = step

    def updated(self, step: int) -> None:
        if step + 1 == self.step:
            signal.raise_signal(signal.SIGINT)


class Crash(Callback):
    """Dies right after an evaluation was written to the log."""

    def __init__(self, step: int) -> None:
        self.step = step

    def logged(self, record: dict[str, Any]) -> None:
        if record["step"] == self.step:
            raise KeyError("power cut")


def test_every_model_trains_through_the_same_call(
    model_name: str, words_file: Path, tmp_path: Path
) -> None:
    if not MODELS[model_name].trained:
        pytest.skip("is made of runs")
    run = hornbook.train(
        str(words_file), model=model_name, out=tmp_path / "run", settings=small(model_name)
    )
    back = hornbook.load(tmp_path / "run")
    evaluation = back.evaluate("val")
    assert run.report["validation"]["nats"] == pytest.approx(evaluation.nats)
    assert evaluation.nats < math.log(back.tokenizer.vocab_size) + 0.7
    assert len(back.sample(3, seed=1)) == 3
    assert back.score("bako")[0].tokens == 5


@pytest.mark.parametrize("at", [1, 5, 8, "evaluation"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    model_name: str, at: Any, words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.training.loop.RECORDS", 4)  # records of three updates each
    entry = MODELS[model_name]
    if not entry.trained or entry.model.fitted:
        pytest.skip("not trained by updates: nothing to resume")
    settings = small(model_name)
    settings["optim"] = {"name": "muon" if at == 5 else "adamw"}
    whole = hornbook.train(
        str(words_file), model=model_name, out=tmp_path / "whole", settings=settings
    )
    with pytest.raises(Interrupted if at != "evaluation" else KeyError):
        hornbook.train(
            str(words_file),
            model=model_name,
            out=tmp_path / "cut",
            settings=settings,
            callbacks=[Crash(8) if at == "evaluation" else Interrupt(at)],
        )
    resumed = hornbook.resume(tmp_path / "cut")
    timed = {"seconds", "tokens_per_second"}
    logs = [
        [{k: v for k, v in record.items() if k not in timed} for record in run.log]
        for run in (whole, resumed)
    ]
    assert logs[0] == logs[1]
    for name in ("model.safetensors", "last/state-00000012-*.safetensors"):
        expected, found = (read_tensors(sorted(r.path.glob(name))[-1]) for r in (whole, resumed))
        assert all(torch.equal(expected[key], found[key]) for key in expected | found)


def test_an_unfinished_run_is_offered_where_another_one_is_begun(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notes: list[str] = []

    class Notes(Callback):
        def planned(self, plan: Plan) -> None:
            notes.append(" ".join(plan.notes))

    settings = small("bigram")
    with pytest.raises(Interrupted):
        hornbook.train(str(words_file), model="bigram", settings=settings, callbacks=[Interrupt(3)])
    for _ in range(2):
        run = hornbook.train(
            str(words_file), model="bigram", settings=settings, callbacks=[Notes()]
        )
    first = f"runs/{words_file.stem}-bigram"
    assert run.path == Path(f"{first}-3")
    assert f"{first} is not finished; to resume it instead: hornbook train --resume" in notes[0]
    assert "not finished" not in notes[1]  # the one before this is


def test_more_steps_continue_a_finished_run(words_file: Path, tmp_path: Path) -> None:
    hornbook.train(str(words_file), model="bigram", out=tmp_path / "r", settings=small("bigram"))
    run = hornbook.resume(tmp_path / "r", steps=20)
    assert run.report["steps"] == 20
    assert [r["step"] for r in run.log if "val_loss" in r][:3] == [4, 8, 12]


def test_a_changed_corpus_is_not_resumed_on(words_file: Path, tmp_path: Path) -> None:
    hornbook.train(str(words_file), model="bigram", out=tmp_path / "r", settings=small("bigram"))
    words_file.write_text(words_file.read_text() + "\nnew")
    with pytest.raises(DataError, match="has changed since this run"):
        hornbook.resume(tmp_path / "r", steps=20)


def test_the_run_directory_moves(names_run: Run, tmp_path: Path) -> None:
    moved = shutil.copytree(names_run.path, tmp_path / "elsewhere")
    assert hornbook.load(moved).score("emma") == names_run.score("emma")
    assert names_run.evaluate("test").tokens > 20_000
    assert not any("pickle" in p.name or p.suffix == ".pt" for p in moved.rglob("*"))
    facts = json.loads((moved / "config.json").read_text())
    assert facts["format"] == 2
    assert facts["corpus"]["sha256"] == names_run.corpus().sha256


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path) -> None:
    words = ["emma", "olivia", "ava", "noah", "liam", "otto", "mia", "zoe", "ian", "uma"] * 3
    (tmp_path / "few.txt").write_text("\n".join(dict.fromkeys(words)))
    settings = {
        **TINY_GPT,
        "optim": {"learning_rate": 0.02, "schedule": "constant"},
        "training": {"steps": 120, "eval_count": 12, "sample_count": 0, "patience": 6},
    }
    told: list[str] = []

    class Listen(Callback):
        def told(self, message: str) -> None:
            told.append(message)

    run = hornbook.train(
        str(tmp_path / "few.txt"),
        out=tmp_path / "r",
        settings={**settings, "data": {"kind": "documents"}},
        callbacks=[Listen()],
    )
    losses = {r["step"]: r["val_loss"] for r in run.log if "val_loss" in r}
    best = min(losses, key=losses.__getitem__)
    assert run.report["best_step"] == best < max(losses)
    assert run.evaluate("val").nats == pytest.approx(losses[best], abs=1e-5)
    assert any("overfitting since step" in message for message in told)
    assert any("stopped at step" in message for message in told)
    assert max(losses) < 120


def test_overfitting_is_told_once_and_only_when_the_training_loss_falls() -> None:
    watch = Watch()
    for step, (loss, val) in enumerate([(2.0, 2.0), (1.8, 1.9), (1.6, 1.95), (1.4, 2.0)], 1):
        watch.evaluated(step, loss, val)
    assert watch.overfitting_since == 2
    assert "since step 2:" in watch.message()
    assert watch.message() == ""
    at_once = Watch()
    for step, (loss, val) in enumerate([(1.8, 1.9), (1.6, 1.95), (1.4, 2.0)], 1):
        at_once.evaluated(step, loss, val)
    assert "since step 1 or before:" in at_once.message()
    noisy = Watch()
    for step, (loss, val) in enumerate([(2.0, 1.9), (2.1, 1.95), (2.2, 2.0)], 1):
        noisy.evaluated(step, loss, val)
    assert noisy.overfitting_since is None
    assert Watch.from_json(json.loads(json.dumps(watch.to_json()))) == watch


def test_schedules_have_their_corners() -> None:
    config = OptimConfig(learning_rate=1.0, schedule="cosine", warmup=10, min_lr_ratio=0.1)
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    drop = OptimConfig(learning_rate=0.1, schedule="step_decay", decay_start=0.5)
    assert {learning_rate(drop, s, 200_000) for s in (0, 99_999)} == {0.1}
    assert learning_rate(drop, 100_000, 200_000) == pytest.approx(0.01)


def test_decay_falls_on_matrices_only() -> None:
    model = tiny_model("gpt2")
    optimizer = build_optimizer(model, OptimConfig(weight_decay=0.3))
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert "blocks.0.attn.qkv.weight" in names
    assert "head.weight" in names
    assert not any("ln" in n or "bias" in n or "embedding" in n for n in names)
    everything = sum(len(g["params"]) for g in optimizer.param_groups)
    assert everything == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training.steps": 0}, r"training\.steps: found 0.*greater than 0"),
        ({"training.stepz": 5}, r"training\.stepz: no such field; did you mean 'steps'"),
        ({"model.n_head": 3}, r"model\.n_head: found 3, expected a divisor of model\.n_embd"),
        ({"trainig.steps": 5}, r"trainig\.steps: no such section.*did you mean 'training\.steps'"),
        ({"optim.learning_rate": "fast"}, r"optim\.learning_rate: found 'fast'.*valid number"),
        ({"training.device": "tpu"}, r"training\.device: found 'tpu'"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_written(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        hornbook.train("names", out=tmp_path / "r", settings=settings)
    assert not (tmp_path / "r").exists()


def test_a_diverging_run_says_so_and_keeps_the_best(words_file: Path, tmp_path: Path) -> None:
    settings = small("gpt", steps=40)
    settings["optim"] = {"name": "sgd", "learning_rate": 1e30, "grad_clip": 0}
    with pytest.raises(RunError, match=r"(?s)no number any more: at update .*learning-rate"):
        hornbook.train(str(words_file), model="gpt", out=tmp_path / "r", settings=settings)


@pytest.mark.parametrize("damage", ["cut", "swap", "none"])
def test_damaged_weights_are_told(names_run: Run, tmp_path: Path, damage: str) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    weights = copy / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:500])
    elif damage == "swap":
        weights.write_bytes(b"\xff" * 100)
    else:
        weights.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors"):
        hornbook.load(copy).score("emma")


def test_a_format_of_the_future_is_refused(names_run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    facts = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**facts, "format": 3}))
    with pytest.raises(RunError, match="found format 3, expected 2 or older; install a newer"):
        hornbook.load(copy)


def test_fewer_steps_than_done_are_refused_and_nothing_is_written(
    words_file: Path, tmp_path: Path
) -> None:
    run = hornbook.train(
        str(words_file), model="bigram", out=tmp_path / "r", settings=small("bigram")
    )
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="found 5, but 12 updates are done"):
        hornbook.resume(run.path, steps=5)
    shutil.rmtree(run.path / "last")
    with pytest.raises(RunError, match="no state to resume from"):
        hornbook.resume(run.path, steps=50)
    assert (run.path / "config.json").read_bytes() == before


def test_a_log_cut_by_a_crash_is_read_up_to_there(names_run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"step": 31, "lo')
    assert hornbook.load(copy).log == names_run.log
    (copy / "log.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(RunError, match=r"log\.jsonl: damaged"):
        _ = hornbook.load(copy).log


def test_facts_that_are_missing_are_told(names_run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    facts = json.loads((copy / "config.json").read_text())
    del facts["corpus"]
    (copy / "config.json").write_text(json.dumps(facts))
    with pytest.raises(RunError, match=r"config\.json: damaged: corpus: found nothing"):
        hornbook.load(copy)


@pytest.mark.parametrize("model", ["gpt", "gpt2"])
def test_a_context_asked_for_as_a_flag_is_a_number(model: str, tmp_path: Path) -> None:
    settings = {**small(model, steps=1), "model.context_length": "32"}
    run = hornbook.train("names", model=model, out=tmp_path / "r", settings=settings)
    assert run.model.context_length == 32


def test_settings_that_disagree_are_refused(tmp_path: Path) -> None:
    for arguments, message in (
        ({"model": "gpt", "settings": {"model.name": "ngram"}}, "--model: found 'gpt', but"),
        ({"steps": 2, "settings": {"training.steps": 1}}, "--steps: found 2, but"),
        ({"settings": {"data.corpus": "shakespeare"}}, "CORPUS: found 'names', but"),
        ({"settings": {"training.steps": True}}, "training.steps: found true"),
    ):
        with pytest.raises(ConfigError, match=message):
            hornbook.train("names", out=tmp_path / "r", **arguments)


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


@pytest.mark.parametrize("sampling", ["epochs", "random"])
def test_a_batch_of_a_stream_predicts_all_its_tokens(sampling: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 100)
    training = {"batch_size": 4, "sampling": sampling}
    settings = {"model": {"context_length": 16}, "training": training, "data": {"kind": "stream"}}
    plan = make_plan(str(text), settings=settings)
    assert plan.tokens_per_step == pytest.approx(4 * 16, rel=0.02)


@pytest.mark.parametrize("finished", [False, True])
def test_states_without_their_pointer_are_found(
    finished: bool, words_file: Path, tmp_path: Path
) -> None:
    callbacks = [] if finished else [Interrupt(3)]
    with nullcontext() if finished else pytest.raises(Interrupted):
        hornbook.train(
            str(words_file), model="bigram", out=tmp_path / "r", settings=small("bigram"),
            callbacks=callbacks,
        )  # fmt: skip
    (tmp_path / "r" / "last" / "state.json").write_text("{")
    told: list[str] = []

    class Told(Callback):
        def told(self, message: str) -> None:
            told.append(message)

    assert hornbook.resume(tmp_path / "r", steps=20, callbacks=[Told()]).report["steps"] == 20
    assert not any("begins again" in message for message in told)


def test_a_run_that_stopped_early_goes_on_to_more_steps(words_file: Path, tmp_path: Path) -> None:
    settings = small("bigram")
    settings["training"] |= {"patience": 1, "steps": 12, "eval_count": 12}
    settings["optim"] = {"name": "sgd", "learning_rate": 300.0, "schedule": "constant"}
    run = hornbook.train(str(words_file), model="bigram", out=tmp_path / "r", settings=settings)
    done = run.report["steps"]
    assert done < 12
    assert hornbook.resume(tmp_path / "r", steps=24).report["steps"] > done


def test_a_batch_too_small_for_batchnorm_leaves_no_run(words_file: Path, tmp_path: Path) -> None:
    settings = {"model": {"name": "mlp", "norm": "batchnorm"}, "training": {"batch_size": 1}}
    with pytest.raises(ConfigError, match="batch of one example"):
        hornbook.train(str(words_file), settings=settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_steps_for_a_run_that_stopped_early_outlive_a_death_before_their_first_state(
    words_file: Path, tmp_path: Path
) -> None:
    settings = small("bigram")
    settings["training"] |= {"patience": 1, "steps": 12, "eval_count": 6}
    settings["optim"] = {"name": "sgd", "learning_rate": 300.0, "schedule": "constant"}
    run = hornbook.train(str(words_file), model="bigram", out=tmp_path / "r", settings=settings)
    done = run.report["steps"]
    assert done < 12

    class Die(Callback):
        def updated(self, step: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hornbook.resume(run.path, steps=24, callbacks=[Die()])
    assert hornbook.resume(run.path).report["steps"] > done
