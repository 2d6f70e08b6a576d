"""Replicated weights: several ranks make the steps that one makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hornbook.parallel.ranks import SINGLE
from hornbook.parallel.replicated import buckets, has_batchnorm, step_seed
from tests.conftest import tiny_model
from tests.parallel.helpers import on_ranks
from tests.parallel.work import STEPS, TRAINED, Figures, losses_of, step_of

OTHER = {  # what else a step may do
    "optim": {"name": "muon", "l2": 0.1, "grad_clip": 0.1},
    "training": {"ema_decay": 0.9, "micro_batch": 2},
}


def check(found: Figures, expected: Figures) -> None:
    """Losses of the steps are equal within rounding, and so are norms and what was learned."""
    assert found.keys() == expected.keys()
    for name, (figures, nats) in found.items():
        own, learned = expected[name]
        np.testing.assert_allclose(figures[:STEPS], own[:STEPS], 1e-5, err_msg=name)
        np.testing.assert_allclose(figures[STEPS:], own[STEPS:], 1e-4, err_msg=name)
        np.testing.assert_allclose(nats, learned, 1e-3, 1e-4, err_msg=name)


@pytest.fixture(scope="module")
def alone() -> Figures:
    return losses_of(TRAINED, {})


@pytest.mark.parametrize("world_size", [2, 4])
def test_losses_and_norms_are_those_of_one_process(world_size: int, alone: Figures) -> None:
    """A mean of the ranks' means would differ by 1e-3: they score different numbers of targets."""
    first, *others = on_ranks(world_size, losses_of, TRAINED, {})
    check(first, alone)
    assert all(other == first for other in others)


def test_micro_batches_penalty_clipping_and_muon_are_those_of_one_process() -> None:
    whole = {**OTHER, "training": {"ema_decay": 0.9}}
    expected = losses_of(["gpt"], whole)
    check(losses_of(["gpt"], OTHER), expected)
    check(on_ranks(2, losses_of, ["gpt"], OTHER)[0], expected)


def test_batchnorm_measures_the_batch_of_all_ranks() -> None:
    settings = {"model": {"norm": "batchnorm"}}
    found = on_ranks(2, losses_of, ["mlp", "wavenet"], settings)
    check(found[0], losses_of(["mlp", "wavenet"], settings))
    assert found[0] == found[1]  # running averages, too


def test_dropout_is_drawn_by_seed_step_and_rank() -> None:
    """A single process draws from torch's global generator, as it always did."""
    seeds = {step_seed(seed, step, rank) for seed in (1, 2) for step in (0, 5) for rank in (0, 1)}
    assert len(seeds) == 8
    step = step_of("gpt2", SINGLE, {"model": {"dropout": 0.5}})
    torch.manual_seed(5)
    first = step.gradients(3)
    assert not torch.equal(step.gradients(3), first)
    torch.manual_seed(5)
    assert torch.equal(step.gradients(3), first)


def test_gradients_are_sent_in_buckets_of_one_dtype() -> None:
    parameters = [torch.empty(n, dtype=torch.float32) for n in (10, 10, 50, 1)]
    parameters.append(torch.empty(1, dtype=torch.float64))
    sizes = [[p.numel() for p in bucket] for bucket in buckets(parameters, most=100)]
    assert sizes == [[10, 10], [50], [1], [1]]


def test_models_that_measure_a_whole_batch_are_known() -> None:
    assert has_batchnorm(step_of("mlp", SINGLE, {"model": {"norm": "batchnorm"}}).model)
    assert not has_batchnorm(tiny_model("gpt"))
