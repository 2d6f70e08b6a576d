"""Probes on the way: which steps, and how much samples copy over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import hornbook
from hornbook.files import read_lines
from hornbook.planning.plan import Plan
from hornbook.training.callbacks.probes import RECORDS, Probes
from tests.training.helpers import PINNED, Listen, trainer_of


@pytest.mark.parametrize("every", [1, 3, 100])
def test_the_first_the_last_and_every_so_many_steps_are_made_alone(
    every: int, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = plan_of(20, probe_every=every, eval_count=1, sample_count=0)
    probes = Probes(plan)
    with trainer_of(plan, tmp_path / "r", [probes]) as trainer:
        step, alone = 0, []
        while step < 20:  # as many steps in a call as are allowed
            due = min(probes.next_due(step) or 20, 20)
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


def test_a_long_run_has_a_bounded_number_of_records(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(100_000, probe_every=1)
    assert len(range(0, 100_000, Probes(plan).every)) + 1 <= RECORDS
    averaged = plan.config.model_copy(
        update={"training": plan.config.training.model_copy(update={"ema_decay": 0.9})}
    )
    assert Probes(plan).early
    assert not Probes(replace(plan, config=averaged)).early  # there are no averages on the way


def test_another_total_moves_the_last_probe(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    plan = plan_of(20, probe_every=100)
    probes = Probes(plan)
    with trainer_of(plan, tmp_path / "r", [probes]):
        assert probes.next_due(16) == 19
        probes.on_total_steps(18)
        assert probes.next_due(16) == 17
        assert probes.next_due(17) == 18


def test_probing_changes_nothing_that_is_trained(tmp_path: Path, words_file: Path) -> None:
    from tests.training.helpers import small, tensors_of, without_times

    runs = [
        hornbook.train(
            str(words_file), model="mlp", out=tmp_path / str(every),
            settings=small("mlp", probe_every=every),
        )
        for every in (0, 2)
    ]  # fmt: skip
    assert without_times(runs[0].log) == without_times(runs[1].log)
    assert tensors_of(runs[0].path) == tensors_of(runs[1].path)


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
