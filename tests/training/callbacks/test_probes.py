"""Probes on the way: which steps, how much samples copy, and that nothing trained changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import hornbook
from hornbook.api import Run, train
from hornbook.config import merge
from hornbook.files import read_lines, read_tensors
from hornbook.metrics.novelty import Novelty, measure_novelty
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, parse_run_config
from hornbook.planning.plan import Plan
from hornbook.training.callbacks import probes
from hornbook.training.callbacks.probes import Probes
from tests.conftest import TINY_GPT, WORDS, train_small
from tests.training.helpers import PINNED, Listen, trainer_of


@pytest.mark.parametrize("every", [1, 3, 100])
def test_the_first_the_last_and_every_so_many_steps_are_made_alone(
    every: int, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = plan_of(20, probe_every=every, eval_count=1, sample_count=0)
    callback = Probes(plan)
    with trainer_of(plan, tmp_path / "r", [callback]) as trainer:
        step, alone = 0, []
        while step < 20:  # as many steps in a call as are allowed
            due = min(callback.next_due(step) or 20, 20)
            assert due > step
            if due == step + 1:
                alone.append(step)
            step = due
        trainer.train()
    probed = [r["step"] - 1 for r in read_lines(trainer.run.path / "probes.jsonl")
              if r["kind"] == "probe"]  # fmt: skip
    assert probed == sorted({*range(0, 20, every), 19})
    assert set(probed) <= set(alone)


def test_copies_are_looked_for_early_and_at_evaluations(tmp_path: Path, words_file: Path) -> None:
    training = {"steps": 20, "batch_size": 8, "eval_count": 1, "sample_count": 0, **PINNED}
    run = hornbook.train(
        str(words_file), model="bigram", out=tmp_path / "r",
        settings={"training": {**training, "probe_every": 100}},
    )  # fmt: skip
    found = [(r["kind"], r["step"]) for r in read_lines(run.path / "probes.jsonl")]
    assert found == [("probe", 1), ("novelty", 8), ("novelty", 16), ("probe", 20), ("novelty", 20)]


def test_averaged_weights_are_looked_at_only_at_evaluations(plan_of: Callable[..., Plan]) -> None:
    """There are none on the way."""
    assert Probes(plan_of(100_000, probe_every=1)).early
    assert not Probes(plan_of(100_000, probe_every=1, ema_decay=0.9)).early


def test_another_total_moves_the_last_probe(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    plan = plan_of(20, probe_every=100)
    callback = Probes(plan)
    with trainer_of(plan, tmp_path / "r", [callback]) as trainer:
        assert callback.next_due(16) == 19
        trainer.state.schedule = plan.schedule.with_total(16, 18)
        assert callback.next_due(16) == 17
        assert callback.next_due(17) == 18


def test_a_garbled_line_costs_what_follows_it(tmp_path: Path, words_file: Path) -> None:
    training = {"steps": 4, "batch_size": 8, "eval_count": 1, "sample_count": 0, **PINNED}
    run = hornbook.train(
        str(words_file), model="bigram", out=tmp_path / "run",
        settings={"training": {**training, "probe_every": 1}},
    )  # fmt: skip
    place, heard = run.path / "probes.jsonl", Listen()
    first, *_ = place.read_bytes().splitlines()
    place.write_bytes(first + b"\n{garbled\n" + first + b"\n")
    hornbook.resume(run.path, steps=6, callbacks=[heard])
    assert heard.says("probes.jsonl", "the records from there on are gone")
    steps = [r["step"] for r in read_lines(place)]
    assert steps[0] == 1
    assert set(steps) >= {1, 5, 6}


def test_every_model_trains_the_same_with_and_without_probes(
    small_run: Run, tmp_path: Path
) -> None:
    if not MODELS[small_run.config.model.name].trained:
        pytest.skip("a mixture is not trained")
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    plain = train_small(small_run.config.model.name, tmp_path, tmp_path / "run", probe_every=0)
    assert not (plain.path / "probes.jsonl").exists()
    probed = read_tensors(small_run.path / "model.safetensors")
    for name, tensor in read_tensors(plain.path / "model.safetensors").items():
        torch.testing.assert_close(probed[name], tensor, atol=0, rtol=0)
    assert [(r["loss"], r.get("val_loss")) for r in plain.log] == [
        (r["loss"], r.get("val_loss")) for r in small_run.log
    ]


def test_a_probed_run_gives_the_same_weights(tmp_path: Path) -> None:
    settings = {
        "model.n_layer": 1, "model.n_head": 2, "model.n_embd": 16, "model.dropout": 0.2,
        "model.context_length": 32, "training.batch_size": 4, "training.eval_count": 2,
        "training.threads": 1,
    }  # fmt: skip
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 12), "utf-8")
    weights = []
    for every in (0, 3):
        run = train(
            str(tmp_path / "words.txt"), model="gpt2", steps=8,
            out=tmp_path / str(every), precision="fp32",
            settings={**settings, "training.probe_every": every},
        )  # fmt: skip
        weights.append(read_tensors(run.path / "model.safetensors"))
        assert (run.path / "probes.jsonl").exists() == bool(every)
        losses = [{k: r[k] for k in ("step", "loss")} for r in run.log if r["step"]]
        weights[-1]["losses"] = torch.tensor([r["loss"] for r in losses])
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=0, rtol=0)
    assert (tmp_path / "3" / "probes.jsonl").stat().st_size < 50_000


def test_copies_are_those_of_the_weights_that_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def watched_measure(model: LanguageModel, *rest: Any) -> Novelty:
        seen.append(next(model.parameters()).detach().clone())
        return measure_novelty(model, *rest)

    monkeypatch.setattr(probes, "measure_novelty", watched_measure)
    run = train(
        "names", out=tmp_path / "run", precision="fp32",
        settings=merge(TINY_GPT, {
            "training": {"ema_decay": 0.9, "steps": 20, "eval_count": 1, "probe_every": 10}
        }),
    )  # fmt: skip
    kept = next(run.model.parameters())  # averaged, by the one evaluation
    assert len(seen) == 1
    torch.testing.assert_close(seen[0], kept.detach(), atol=0, rtol=0)


@pytest.mark.parametrize("steps", [1, 499, 500, 501, 998, 1000, 1001, 12_345])
def test_a_run_has_at_most_500_probes(names_run: Run, steps: int) -> None:
    config = merge(names_run.facts["config"], {"training": {"steps": steps, "probe_every": 1}})
    plan: Any = SimpleNamespace(config=parse_run_config(config))
    callback = Probes(plan)
    state = SimpleNamespace(total_steps=steps)
    callback.trainer = SimpleNamespace(state=state)  # type: ignore[assignment]
    due = [step for step in range(steps) if callback._is_due(step)]
    assert min(steps, 250) <= len(due) <= 500
    assert due[0] == 0
    assert due[-1] == steps - 1
