"""The plan of a run that exists: by its own facts, whatever is here now."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from hornbook.config import merge
from hornbook.errors import ConfigError
from hornbook.parallel.launch import Launch
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.planning.bench import Bench
from hornbook.planning.decide import memory
from hornbook.planning.describe import describe, facts
from hornbook.planning.resume import plan_of_run
from tests.planning.texts import TINY_GPT, plan_of


def test_nothing_is_measured_or_decided_again(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_of(words_file, TINY_GPT)
    known = facts(before, before.shape.n_parameters)
    known["hardware"] |= {"threads": 3, "precision": "bf16", "compiled": "loss"}

    def never(*_: Any) -> NoReturn:
        raise AssertionError("measured again")

    for name in ("step_seconds", "trial_seconds", "seconds_by_threads", "bf16_ratio"):
        monkeypatch.setattr(Bench, name, never)
    plan = plan_of_run(before.config, known, before.data, before.schedule, ("a note",))
    assert (plan.threads, plan.precision, plan.compiled) == (3, "bf16", "loss")
    assert plan.config == before.config
    assert plan.shape == before.shape
    assert plan.schedule is before.schedule
    assert plan.time_budget is None
    assert ("threads", "3 (as before)") in describe(plan)
    assert plan.notes == ("a note",)
    with pytest.raises(TypeError):
        plan.decisions["threads"] = plan.decisions["memory"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("compiled", "n_ranks", "parallel", "expected"),
    [
        ("loss", 2, "fsdp", "blocks"),
        ("blocks", 1, "fsdp", "loss"),
        ("blocks", 2, "ddp", "loss"),
        ("steps", 2, "fsdp", "no"),
        ("no", 2, "fsdp", "no"),
    ],
)
def test_what_was_compiled_is_compiled_again_as_its_processes_allow(
    compiled: str, n_ranks: int, parallel: str, expected: str, words_file: Path
) -> None:
    before = plan_of(words_file, merge(TINY_GPT, {"training": {"parallel": parallel}}))
    known = facts(before, before.shape.n_parameters)
    known["hardware"]["compiled"] = compiled
    ranks = Ranks(Launch(0, n_ranks, 0, n_ranks, "localhost", 1)) if n_ranks > 1 else SINGLE
    plan = plan_of_run(before.config, known, before.data, before.schedule, ranks=ranks)
    assert plan.compiled == plan.decisions["compiled"].value == expected


@pytest.mark.parametrize(("n_ranks", "replicas"), [(6, 3), (4, 1), (9, 3)])
def test_replicas_that_do_not_divide_the_ranks_that_are_left_become_fewer(
    n_ranks: int, replicas: int, words_file: Path
) -> None:
    """A launch goes on where a machine was lost: its command still asks for one replica a machine."""
    requested = {"training": {"batch_size": 24, "parallel": "fsdp", "replicas": 3}}
    before = plan_of(words_file, merge(TINY_GPT, requested))
    known = facts(before, before.shape.n_parameters)
    ranks = Ranks(Launch(0, n_ranks, 0, n_ranks, "localhost", 1))
    plan = plan_of_run(before.config, known, before.data, before.schedule, ranks=ranks)
    assert plan.shards == n_ranks // replicas
    assert plan.config.training.replicas == 3  # as the command has it
    note = "training.replicas: 3 do not divide 4 processes; the weights have 1 replica"
    assert plan.notes == ((note,) if replicas < 3 else ())


def test_a_small_text_is_one_when_resumed(words_file: Path) -> None:
    before = plan_of(words_file, merge(TINY_GPT, {"model": {"n_embd": 64, "n_hidden": 64}}))
    known = facts(before, before.shape.n_parameters)
    plan = plan_of_run(before.config, known, before.data, before.schedule)
    assert plan.max_steps is not None
    assert plan.max_steps == before.max_steps


def test_threads_that_were_not_recorded_are_those_of_now(words_file: Path) -> None:
    before = plan_of(words_file, TINY_GPT)
    known = facts(before, before.shape.n_parameters)
    known["hardware"]["threads"] = None
    plan = plan_of_run(before.config, known, before.data, before.schedule)
    assert plan.threads == torch.get_num_threads()


def test_counts_have_memory_to_estimate(words_file: Path) -> None:
    before = plan_of(words_file, model="ngram")
    plan = plan_of_run(before.config, facts(before, 1), before.data, before.schedule)
    assert plan.memory == before.memory
    assert plan.shape.fitted


def test_memory_that_is_gone_is_refused(words_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_of(words_file, merge(TINY_GPT, {"training": {"batch_size": 2}}))
    known = facts(before, before.shape.n_parameters)
    monkeypatch.setattr(memory, "available_bytes", lambda _: 100)
    with pytest.raises(ConfigError, match="memory: training needs at least"):
        plan_of_run(before.config, known, before.data, before.schedule)
