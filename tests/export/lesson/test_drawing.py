from __future__ import annotations

import numpy as np
import pytest
import torch

from hornbook.export.lesson import drawing
from hornbook.generate import Sampling, make_generator
from hornbook.generate.sampling import uniforms


@pytest.mark.parametrize("seed", [0, 1, 1337, 2**31, 2**32 - 1, 2**32, 2**63 - 1])
def test_a_seed_gives_the_key_and_the_numbers_of_hornbook(seed: int) -> None:
    generator = make_generator(seed)
    key = int(torch.randint(2**63 - 1, (), generator=generator))
    assert drawing.key_of(seed) == key
    for position in (0, 1, 499):
        expected = uniforms(key, torch.arange(3), position)
        found = [drawing.uniform(key, sample, position) for sample in range(3)]
        assert found == expected.tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.0},
        {"temperature": 0.7},
        {"top_k": 3},
        {"top_k": 99},
        {"top_p": 0.8},
        {"top_p": 0.01},
        {"min_p": 0.1},
        {"min_p": 0.0},
        {"temperature": 1.5, "top_k": 8, "top_p": 0.9, "min_p": 0.05},
    ],
)
def test_filters_and_draws_are_those_of_hornbook(settings: dict[str, float]) -> None:
    torch.manual_seed(0)
    logits, u = torch.randn(200, 12) * 2, torch.rand(200, dtype=torch.float64)
    expected = Sampling(**settings).pick(logits, u).tolist()  # type: ignore[arg-type]
    sampling = drawing.Sampling(**settings)  # type: ignore[arg-type]
    found = [sampling.draw(row, float(v)) for row, v in zip(logits.numpy(), u, strict=True)]
    assert found == expected
    if settings.get("temperature") != 0:
        kept = Sampling(**settings).filter(logits).isfinite()  # type: ignore[arg-type]
        own = np.stack([np.isfinite(sampling.filter(row)) for row in logits.numpy()])
        assert own.tolist() == kept.tolist()
