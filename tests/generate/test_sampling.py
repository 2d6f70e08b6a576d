"""Filters of logits, and draws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hornbook.errors import ConfigError
from hornbook.generate.sampling import (
    Sampling,
    draw_key,
    make_generator,
    min_p,
    top_k,
    top_p,
    uniforms,
)

LOGITS = st.lists(st.floats(-8, 8), min_size=2, max_size=12, unique=True).map(
    lambda row: torch.tensor([row])
)


@given(LOGITS, st.integers(1, 12))
def test_top_k_keeps_the_k_most_probable(logits: torch.Tensor, k: int) -> None:
    kept = top_k(logits, k).isfinite()[0]
    order = logits[0].argsort(descending=True)
    assert kept[order[:k]].all()
    assert (logits[0, kept] >= logits[0, order[min(k, len(order)) - 1]]).all()


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_fewest_that_reach_p(logits: torch.Tensor, p: float) -> None:
    probability = logits.softmax(-1)[0].double()
    kept = top_p(logits, p).isfinite()[0]
    least = probability[kept].min()
    assert probability[kept].sum() >= p - 1e-5
    assert probability[kept].sum() - least < p + 1e-5
    assert not (~kept & (probability > least)).any()


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_near_the_best(logits: torch.Tensor, p: float) -> None:
    ratio = logits.softmax(-1)[0] / logits.softmax(-1)[0].max()
    kept = min_p(logits, p).isfinite()[0]
    sure = (ratio - p).abs() > 1e-5
    assert torch.equal(kept[sure], (ratio >= p)[sure])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -0.1}, "temperature: found -0.1, expected 0"),
        ({"temperature": math.nan}, "temperature: found nan"),
        ({"top_p": 1.5}, "top_p: found 1.5, expected above 0 and at most 1"),
        ({"top_p": 0.0}, "top_p: found 0.0"),
        ({"top_k": 0}, "top_k: found 0, expected 1 or more"),
        ({"min_p": 2.0}, "min_p: found 2.0"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_the_draw_follows_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(30_000, 3)
    drawn = Sampling().choose(logits, make_generator(1))
    share = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)
    cold = Sampling(temperature=0.5).choose(logits, make_generator(1))
    expected = torch.tensor([0.25, 0.09, 0.04]) / 0.38
    share = cold.bincount(minlength=3) / len(cold)
    torch.testing.assert_close(share, expected, atol=0.015, rtol=0)


@given(LOGITS, st.floats(0, 1, exclude_max=True), st.integers(1, 3))
def test_a_pick_is_the_quantile(logits: torch.Tensor, u: float, k: int) -> None:
    sampling = Sampling(top_k=k)
    (chosen,) = sampling.pick(logits, torch.tensor([u], dtype=torch.float64)).tolist()
    p = sampling.filter(logits).softmax(-1)[0].double()
    assert p[chosen] > 0
    assert p[:chosen].sum() <= u + 1e-6
    assert p[: chosen + 1].sum() >= u - 1e-6


def test_the_greatest_share_never_picks_what_is_cut() -> None:
    greatest = torch.tensor([1 - 2.0**-52], dtype=torch.float64)
    for seed in range(50):
        logits = torch.randn(1, 40, generator=make_generator(seed))
        logits[0, 30:] = -math.inf
        assert Sampling().pick(logits, greatest).item() < 30
    assert Sampling().pick(logits.roll(10, -1), torch.zeros(1, dtype=torch.float64)).item() == 10


def test_uniforms_are_even_over_samples_positions_and_keys() -> None:
    samples = torch.arange(20_000)
    u = torch.stack([uniforms(key, samples, position) for key in (0, 5) for position in (0, 1, 2)])
    assert u.min() >= 0
    assert u.max() < 1
    for row in u:  # chi-square of 64 bins: 63 expected, standard deviation 11.2
        counts = torch.histc(row.float(), 64, 0, 1)
        assert ((counts - 312.5) ** 2 / 312.5).sum() < 63 + 5 * 11.2
    along = torch.corrcoef(torch.cat([u, u.roll(1, dims=1)])) - torch.eye(12)
    assert along.abs().max() < 5 / math.sqrt(20_000)
    assert u.unique().numel() == u.numel()


def test_picks_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(30_000, 3)
    drawn = Sampling().pick(logits, uniforms(1, torch.arange(30_000), 4))
    share = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)


def test_logits_that_are_nan_still_pick_a_token() -> None:
    logits = torch.tensor([[float("nan"), 0.0, 1.0], [float("inf"), 0.0, 1.0]])
    drawn = Sampling().pick(logits, torch.tensor([0.3, 0.9], dtype=torch.float64))
    assert all(0 <= token < 3 for token in drawn.tolist())


def test_a_seed_out_of_range_is_refused() -> None:
    for seed in (-1, 2**63):
        with pytest.raises(ConfigError, match=rf"seed: found {seed}, expected 0 to 2\^63 - 1"):
            make_generator(seed)


def test_without_a_seed_generators_differ() -> None:
    assert make_generator(None).initial_seed() != make_generator(None).initial_seed()


def test_keys_and_positions_of_each_row_draw_as_alone() -> None:
    keys = torch.tensor([3, 2**63 - 2, 0, 3, 12345678901234567])
    samples, positions = torch.tensor([0, 5, 1, 2, 7]), torch.tensor([0, 9, 400, 0, 3])
    found = uniforms(keys, samples, positions)
    rows = zip(keys.tolist(), samples, positions.tolist(), strict=True)
    alone = [uniforms(key, sample[None], position)[0] for key, sample, position in rows]
    assert torch.equal(found, torch.stack(alone))
    assert torch.equal(uniforms(keys[0], samples, 4), uniforms(3, samples, 4))


def test_a_key_is_the_one_number_that_samples_take() -> None:
    a, b = make_generator(7), make_generator(7)
    assert draw_key(a) == int(torch.randint(2**63 - 1, (), generator=b))
