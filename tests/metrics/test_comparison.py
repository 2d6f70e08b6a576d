"""Paired differences, and when they are significant."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hornbook.metrics.comparison import Difference, corrected, difference, differences
from hornbook.metrics.results import Group
from tests.metrics.made import made


def test_sentences_say_whether_a_difference_is_real() -> None:
    real = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert real.sentence.startswith("a is better than b by 0.0500")
    unclear = replace(real, mean=0.015)
    assert "do not differ significantly" in unclear.sentence
    assert "1.5 standard errors" in unclear.sentence


def test_few_units_need_more_standard_errors_and_very_few_judge_nothing() -> None:
    many = Difference("a", "b", "nats per token", 0.021, 0.01, 1000)
    assert "significant, 2.1 standard errors over 1,000 units" in many.sentence
    assert "do not differ significantly" in replace(many, units=10).sentence  # 2.26 are needed
    assert "over 10 units" in replace(many, units=10).sentence
    for units in (1, 2, 9):
        sentence = replace(many, mean=1.0, units=units).sentence
        assert "too few to judge" in sentence
        assert "significant, " not in sentence


def test_one_seed_each_is_said_and_two_seeds_of_one_setting_are_no_settings() -> None:
    one = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert "on these documents, one seed each: significant" in one.sentence
    assert "on this text, one seed each" in replace(one, documents=False).sentence
    counts = difference(made("a", np.arange(20.0), None), made("b", np.arange(20.0) + 1, None))
    assert "seed" not in counts.sentence


def settings_alike(
    rng: np.random.Generator, seeds: int, seed_effect: float, documents: int = 100
) -> tuple[Group, Group]:
    """Two settings that differ by chance alone: their seeds, and what those do to each document."""
    base = rng.normal(2, 0.5, documents)
    groups = []
    for name in ("a", "b"):
        runs = tuple(
            made(
                f"{name}{seed}",
                base + rng.normal(0, seed_effect) + rng.normal(0, 0.1, documents),
                seed,
            )
            for seed in range(seeds)
        )
        groups.append(Group(name, runs))
    return groups[0], groups[1]


@pytest.mark.parametrize(("seeds", "seed_effect"), [(2, 0.05), (3, 0.05), (5, 0.05), (3, 0.0)])
def test_settings_that_differ_by_their_seeds_alone_are_rarely_called_different(
    seeds: int, seed_effect: float
) -> None:
    """Once in twenty times at most, where an error over documents alone errs most of the time."""
    rng, trials = np.random.default_rng(seeds), 400
    found = [difference(*settings_alike(rng, seeds, seed_effect)) for _ in range(trials)]
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert np.mean([d.is_significant for d in found]) <= most
    if seed_effect:
        first = [
            difference(made("a", a.runs[0].nats), made("b", b.runs[0].nats))
            for a, b in (settings_alike(rng, 1, seed_effect) for _ in range(50))
        ]
        assert np.mean([d.is_significant for d in first]) > 0.5  # what one seed each would say
        assert all(d.seeds_error is None for d in first)


def test_single_runs_beside_a_group_of_seeds_are_rarely_called_different() -> None:
    """The variance between its seeds stands for theirs; by the documents alone most would differ."""
    rng, trials, false = np.random.default_rng(7), 300, 0
    for _ in range(trials):
        a, b = settings_alike(rng, 3, 0.05)
        single = [Group(f"s{i}", (m,)) for i, m in enumerate(b.runs)]
        false += any(d.is_significant for d in differences([a, *single]))
    assert false / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_seeds_that_both_have_are_paired() -> None:
    """What a seed does to both settings cancels; by hand: the variance of three differences."""
    rng = np.random.default_rng(1)
    base, effects = rng.normal(2, 0.5, 50), {1: 0.3, 2: -0.4, 3: 0.1, 4: 0.0}
    a = [made(f"a{s}", base + effects[s], s) for s in (1, 2, 3)]
    shifts = {1: 0.10, 2: 0.11, 3: 0.12, 4: 5.0}
    b = [made(f"b{s}", base + effects[s] + shifts[s], s) for s in (2, 3, 1, 4)]
    found = difference(Group("a", tuple(a)), Group("b", tuple(b)))
    assert found.mean == pytest.approx(0.11)
    assert found.seeds_error == pytest.approx(0.01 / math.sqrt(3))
    assert found.standard_error == pytest.approx(0.01 / math.sqrt(3))  # documents agree exactly
    assert found.interval == pytest.approx(4.3027 * found.standard_error, rel=1e-4)
    assert "3 seeds in pairs" in found.sentence
    assert found.is_significant


def test_other_seeds_are_not_paired_and_one_run_borrows_the_variance_of_the_others() -> None:
    base = np.random.default_rng(2).normal(2, 0.5, 50)
    a = Group("a", tuple(made(f"a{s}", base + s / 100, s) for s in (1, 2, 3)))
    b = Group("b", tuple(made(f"b{s}", base + s / 100, s) for s in (4, 6)))
    welch = difference(a, b)
    assert welch.seeds_error == pytest.approx(math.sqrt(1e-4 / 3 + 2e-4 / 2))
    over = [4.30265**2 * 1e-4 / 3, 12.7062**2 * 1e-4]  # 2 and 1 degrees of freedom
    assert welch.interval == pytest.approx(math.sqrt(sum(over)), rel=1e-4)
    alone = difference(a, made("c", base + 1, 9))
    assert alone.seeds_error == pytest.approx(math.sqrt(1e-4 * (1 + 1 / 3)))
    assert alone.interval == pytest.approx(4.30265 * alone.seeds_error, rel=1e-4)
    assert "taken to vary alike" in alone.sentence
    counts = difference(a, made("n", base + 1, None))  # no seed decides counts
    assert counts.seeds_error == pytest.approx(0.01 / math.sqrt(3))
    unknown = difference(made("c", base, 1), made("n", base[::-1], None))
    assert unknown.seeds_error is None
    assert "one seed" in unknown.sentence


def test_a_large_difference_of_two_seeds_lacks_seeds() -> None:
    """With one degree of freedom 12.7 standard errors are needed; with many seeds 2 would do."""
    base = np.random.default_rng(4).normal(2, 0.5, 50)
    a = Group("a", tuple(made(f"a{s}", base, s) for s in (1, 2)))
    b = Group("b", tuple(made(f"b{s}", base + 0.10 + s / 50, s) for s in (1, 2)))
    found = difference(a, b)  # 0.13, standard error 0.01
    assert found.mean / found.standard_error == pytest.approx(13)
    assert found.is_significant
    found = corrected([found] * 3)[0]
    assert not found.is_significant
    assert found.lacks_seeds
    assert not replace(found, mean=0.01).lacks_seeds
    assert not Difference("a", "b", "nats per token", 0.019, 0.01, 100).lacks_seeds


def test_several_comparisons_are_corrected() -> None:
    """Of 15 pairs of settings that are all alike, none is significant 19 times in 20."""
    rng, trials, wrong = np.random.default_rng(3), 200, 0
    for _ in range(trials):
        base = rng.normal(2, 0.5, 100)
        runs = [made(f"r{i}", base + rng.normal(0, 0.1, 100)) for i in range(6)]
        wrong += any(d.is_significant for d in differences(runs))
    assert wrong / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    found = differences([made("x", np.arange(20.0)), made("y", np.arange(20.0) ** 1.01)])
    assert [d.comparisons for d in found] == [1]
    barely = [Difference("a", "b", "nats per token", 0.021, 0.01, 1000)] * 3
    assert barely[0].is_significant
    assert not any(d.is_significant for d in corrected(barely))
    assert "2.40 are needed for 3 comparisons (Holm)" in corrected(barely)[0].sentence
