"""What a model is expected to reach, as it was fitted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hornbook.planning.decide.laws import LAWS, expected_ratio
from hornbook.planning.decide.size import SIZES

EVERY = [(kind, model, size) for kind in LAWS for model in LAWS[kind] for size in LAWS[kind][model]]


def test_every_size_has_a_law() -> None:
    assert LAWS.keys() == SIZES.keys()
    for kind, sizes in SIZES.items():
        assert LAWS[kind].keys() == {"gpt", "hybrid"}
        assert all(list(laws) == list(sizes) for laws in LAWS[kind].values())


@pytest.mark.parametrize(("kind", "model", "size"), EVERY)
def test_every_law_expects_less_after_more_steps(kind: str, model: str, size: str) -> None:
    ratios = [expected_ratio(kind, model, size, steps) for steps in (50, 200, 1000, 5000)]  # type: ignore[arg-type]
    assert ratios == sorted(ratios, reverse=True)
    assert 0.8 < ratios[-1] < ratios[1] < 1.5


@pytest.mark.parametrize("kind", list(LAWS))
def test_a_hybrid_begins_as_the_counts_and_is_ahead_of_the_network(kind: str) -> None:
    for size in SIZES[kind]:
        assert expected_ratio(kind, "hybrid", size, 0) == 1.0
        for steps in (0, 100, 1000):
            hybrid, network = (
                expected_ratio(kind, "hybrid", size, steps),
                expected_ratio(kind, "gpt", size, steps),
            )
            assert hybrid < network


@pytest.mark.parametrize("kind", list(LAWS))
@pytest.mark.parametrize("model", ["gpt", "hybrid"])
def test_larger_sizes_get_further(kind: str, model: str) -> None:
    ratios = [expected_ratio(kind, model, size, 1e6) for size in SIZES[kind]]  # type: ignore[arg-type]
    assert all(a >= b for a, b in pairwise(ratios))
