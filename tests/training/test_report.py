"""report.json: figures of the best weights, and what another training would equal this one in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.metrics.novelty import measure_novelty
from hornbook.metrics.text_index import TextIndex
from hornbook.models.hybrid import Hybrid
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.report import determinism, minutes_to_reach, parts_alone
from tests.conftest import TINY_GPT, tiny_model
from tests.training.helpers import PINNED, SETTINGS, Listen, small


@pytest.fixture(scope="module")
def plan(corpus: Path) -> Plan:
    return resolve(read_request(str(corpus), model="bigram", settings=small("bigram")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, f"bitwise on this machine, with torch {torch.__version__}, 1 thread and fp32; "),
        ({"threads": 2}, "2 threads and fp32; elsewhere statistical"),
        ({"precision": "bf16"}, "as bf16 is rounded differently"),
        ({"compiled": "steps"}, "statistical: compiled"),
        ({"device": torch.device("cuda")}, "statistical: a cuda device adds in no fixed order"),
    ],
)
def test_determinism_is_said_as_it_is(changes: dict[str, Any], expected: str, plan: Plan) -> None:
    assert expected in determinism(replace(plan, **changes))


def test_counts_are_the_same_everywhere(corpus: Path) -> None:
    counts = resolve(read_request(str(corpus), model="ngram"))
    assert determinism(counts) == "bitwise: counts are the same everywhere"


def test_deterministic_algorithms_are_asked_for_and_put_back(corpus: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "deterministic": True}}
    run = hornbook.train(str(corpus), out=tmp_path / "r", settings=settings)
    assert run.report["determinism"].startswith("bitwise on this machine, with torch")
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_best_weights_are_measured_not_the_last(tmp_path: Path) -> None:
    words = ["emma", "olivia", "ava", "noah", "liam", "otto", "mia", "zoe", "ian", "uma"]
    (tmp_path / "few.txt").write_text("\n".join(words))
    settings = {
        **TINY_GPT,
        "data": {"kind": "documents"},
        "optim": {"learning_rate": 0.02, "schedule": "constant"},
        "training": {"steps": 120, "eval_count": 12, "sample_count": 0, "patience": 6, **PINNED},
    }
    heard = Listen()
    run = hornbook.train(
        str(tmp_path / "few.txt"), out=tmp_path / "r", settings=settings, callbacks=[heard]
    )
    losses = {r["step"]: r["val_loss"] for r in run.log if "val_loss" in r and r["step"]}
    best = min(losses, key=losses.__getitem__)
    assert run.report["best_step"] == best < max(losses)
    assert run.report["loss"] == next(r["loss"] for r in run.log if r["step"] == best)
    assert run.evaluate("val").nats == pytest.approx(losses[best], abs=1e-5)
    assert heard.says("overfitting since step")
    assert heard.says("stopped at step")
    assert max(losses) < 120


def test_samples_are_counted_against_the_corpus(corpus: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(corpus), model="ngram", out=tmp_path / "r")
    made = set(run.report["samples"]) - {""}
    assert run.report["samples_different"] == len(made)
    assert run.report["samples_new"] == len(made - set(corpus.read_text().split("\n")))
    assert "schedule" not in run.report


def test_a_report_has_the_best_counts_and_passes_and_never_calls_little_learned(
    names_run: Run,
) -> None:
    report = names_run.report
    part = names_run.part("train")
    assert report["passes"] == pytest.approx(report["tokens"] / part.n_targets)
    assert report["passes"] < 0.5
    counts = report["counts"]
    assert counts["order"] == 6
    assert counts["loss"] == pytest.approx(2.0158, abs=1e-3)
    assert report["verdict"]["word"] == "counts are better"
    assert report["verdict"]["too_little"]
    assert "learned" not in report["verdict"]["text"]


def test_a_trained_bigram_has_not_learned(tmp_path: Path) -> None:
    run = hornbook.train(
        "names", model="bigram", out=tmp_path / "r", steps=60, precision="fp32",
        settings={"training.sample_count": 0, "training.threads": 1, "training.compile": "no"},
    )  # fmt: skip
    verdict = run.report["verdict"]
    assert verdict["word"] == "counts are better"
    assert not verdict["good"]
    assert verdict["minutes"] is None  # by its curve it never gets there
    assert "does not reach them" in verdict["advice"][0]


@pytest.mark.parametrize("steps", [20, 30])
def test_a_short_curve_does_not_promise_what_the_context_cannot_give(
    steps: int, tmp_path: Path
) -> None:
    """A bigram sees one token, however steep its first losses are."""
    run = hornbook.train(
        "names", model="bigram", out=tmp_path / "r", steps=steps, precision="fp32",
        settings={"training.sample_count": 0, "training.threads": 1, "training.compile": "no"},
    )  # fmt: skip
    verdict = run.report["verdict"]
    assert verdict["minutes"] is None
    assert any("does not reach them" in line for line in verdict["advice"])


def test_counts_are_compared_with_the_best_order(tmp_path: Path) -> None:
    run = hornbook.train("names", model="ngram", out=tmp_path / "r", settings={"model.order": 3})
    assert run.report["verdict"]["word"] == "counts are better"
    assert run.report["verdict"]["advice"] == ["use order 6"]
    assert run.report["passes"] == 1


def test_an_mlp_on_few_titles_is_not_praised(tmp_path: Path) -> None:
    draw = random.Random(3)
    pool = ["".join(draw.choices("abcdefghiklmnoprstu", k=draw.randint(2, 8))) for _ in range(60)]
    titles = {" ".join(draw.choices(pool, k=draw.randint(2, 4))) for _ in range(200)}
    (tmp_path / "titles.txt").write_text("\n".join(sorted(titles)))
    run = hornbook.train(
        str(tmp_path / "titles.txt"), model="mlp", out=tmp_path / "r", precision="fp32",
        settings={"data.kind": "documents", "training.steps": 200, "training.sample_count": 0,
                  "training.batch_size": 64, "training.eval_count": 10,
                  "model.context_length": 8, "optim.learning_rate": 0.01, **{
                      f"training.{k}": v for k, v in PINNED.items()}},
    )  # fmt: skip
    verdict = run.report["verdict"]
    assert run.report["loss"] < run.report["validation"]["nats"] - 0.5
    assert run.report["passes"] > 4
    assert not verdict["good"]
    assert verdict["word"] == "counts are better"
    assert run.report["counts"]["loss"] < run.report["validation"]["nats"] - 0.2


def test_the_minutes_to_the_counts_are_those_of_the_curve() -> None:
    steps = range(20, 401, 20)

    def log(lr: Callable[[int], float], at: Callable[[float], float]) -> list[dict[str, Any]]:
        progress, found = 0.0, []
        for step in steps:
            progress += 20 * lr(step)
            found.append({"step": step, "seconds": step * 0.3, "loss": at(progress), "lr": lr(step),
                          "val_loss": at(progress)})  # fmt: skip
        return found

    def loss(progress: float) -> float:
        return 1.0 + 4 * progress**-0.5

    minutes = minutes_to_reach(log(lambda step: 1.0, loss), loss(800.0))
    assert minutes == pytest.approx(2 * 400 * 0.3 / 60, rel=0.05)  # twice as long
    # the same curve over the sum of the learning rates, with a schedule that ends near 0
    falling = log(lambda step: 1.0 - step / 410, loss)
    total = sum(20 * r["lr"] for r in falling)
    minutes = minutes_to_reach(falling, loss(2 * total))
    assert minutes == pytest.approx(2 * 400 * 0.3 / 60, rel=0.05)
    # few evaluations: by the training losses, as far above as the last evaluation is
    few = [{k: v for k, v in r.items() if k != "val_loss"} for r in falling[:-1]]
    few.append({**falling[-1], "val_loss": falling[-1]["val_loss"] + 0.5})
    found = minutes_to_reach(few, loss(2 * total) + 0.5)
    assert found == pytest.approx(2 * 400 * 0.3 / 60, rel=0.2)
    assert minutes_to_reach([{"step": 1, "seconds": 1.0, "loss": 2.0, "lr": 1.0}], 1.0) is None
    assert minutes_to_reach([], 1.0) is None
    untrained = {"step": 0, "seconds": 0.0, "loss": None, "lr": None, "val_loss": 3.3}
    assert minutes_to_reach([untrained], 1.0) is None
    assert minutes_to_reach([untrained, *falling], loss(2 * total)) == minutes


def test_a_run_of_no_steps_has_learned_nothing(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="bigram", out=tmp_path / "r", steps=0)
    assert run.report["passes"] == 0
    assert not run.report["verdict"]["good"]
    assert run.report["verdict"]["word"] == "not trained"


def test_of_a_hybrid_that_copies_its_network_is_measured(
    names_run: Run,
) -> None:
    model = tiny_model("hybrid", names_run.model.vocab_size)
    assert isinstance(model, Hybrid)
    model.count_dropout = 0.25
    index, tokenizer = TextIndex(names_run.split()), names_run.tokenizer
    kept = measure_novelty(names_run.model, tokenizer, index)
    copies = replace(kept, samples=replace(kept.samples, verbatim=0.9), expected=0.1)
    losses = {"counts": {"nats": 2.0}, "network": {"nats": 2.25}}
    assert parts_alone(model, copies, losses, tokenizer, index) == (
        "its network alone does not copy: 2.2500 nats per token (--part network)",
    )
    assert parts_alone(model, replace(kept, samples=kept.held_out), losses, tokenizer, index) == ()
    assert parts_alone(names_run.model, copies, {}, tokenizer, index) == ()
    assert parts_alone(model, None, losses, tokenizer, index) == ()
