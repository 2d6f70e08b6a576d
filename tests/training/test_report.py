"""report.json: figures of the best weights, and what another training would equal this one in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.report import determinism
from tests.conftest import TINY_GPT
from tests.training.helpers import PINNED, SETTINGS, Listen, small


@pytest.fixture(scope="module")
def plan(corpus: Path) -> Plan:
    return resolve(read_request(str(corpus), model="bigram", settings=small("bigram")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, f"bitwise on this machine, with torch {torch.__version__} and 1 thread; elsewhere"),
        ({"threads": 2}, "and 2 threads; elsewhere statistical"),
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
