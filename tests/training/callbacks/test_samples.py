"""Samples on the way: when, and that training is not changed by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hornbook.planning.plan import Plan
from hornbook.training.callbacks.samples import Samples
from tests.training.helpers import Listen, trainer_of


@pytest.mark.parametrize(("count", "steps"), [(0, []), (1, []), (3, [4, 8])])
def test_they_are_drawn_on_the_way_not_at_the_end(
    count: int, steps: list[int], plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    listen = Listen()
    weights = []
    for callbacks in ([Samples(count), listen], []):
        path = tmp_path / str(len(callbacks))
        with trainer_of(plan_of(), path, callbacks) as trainer:
            trainer.train()
            assert trainer.step.model.training
            weights.append(trainer.step.model.state_dict()["weight"])
            generator = torch.get_rng_state()
            weights.append(generator)
            kept = [(line["step"], line["texts"]) for line in trainer.run.samples]
            assert kept == (listen.samples if callbacks else [])
    assert [step for step, _ in listen.samples] == steps
    assert all(len(texts) == 3 for _, texts in listen.samples)
    assert torch.equal(weights[0], weights[2])
    assert torch.equal(weights[1], weights[3])
