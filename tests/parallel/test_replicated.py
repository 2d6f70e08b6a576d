"""Replicated weights: several ranks make the steps that one makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hornbook.parallel.replicated import buckets, step_seed
from tests.parallel.helpers import on_ranks
from tests.parallel.work import STEPS, TRAINED, losses_of

MUON = {"optim": {"name": "muon"}, "training": {"ema_decay": 0.9}}


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[list[float], list[float]]]:
    return losses_of(TRAINED, {})


@pytest.mark.parametrize("world_size", [2, 4])
def test_losses_and_norms_are_those_of_one_process(
    world_size: int, alone: dict[str, tuple[list[float], list[float]]]
) -> None:
    """A mean of the ranks' means would differ by 1e-3: they score different numbers of targets."""
    for found in on_ranks(world_size, losses_of, TRAINED, {}):
        assert found.keys() == alone.keys()
        for name, (figures, nats) in found.items():
            expected = alone[name]
            np.testing.assert_allclose(figures[:STEPS], expected[0][:STEPS], 1e-5, err_msg=name)
            np.testing.assert_allclose(figures[STEPS:], expected[0][STEPS:], 1e-3, err_msg=name)
            np.testing.assert_allclose(nats, expected[1], 1e-3, 1e-4, err_msg=name)
