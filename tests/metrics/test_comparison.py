"""Paired differences, and when they are significant."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hornbook.data.split import Split
from hornbook.metrics.comparison import Difference, share_of_new, t_quantile


def test_sentences_say_whether_a_difference_is_real() -> None:
    real = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert real.sentence.startswith("a is better than b by 0.0500")
    unclear = replace(real, mean=0.015)
    assert "do not differ significantly" in unclear.sentence
    assert "1.5 standard errors" in unclear.sentence


@pytest.mark.parametrize(
    ("freedom", "expected"), [(9, 2.262157), (19, 2.093024), (29, 2.045230), (99, 1.984217),
                              (10**9, 1.959964)],
)  # fmt: skip
def test_the_quantile_is_students(freedom: int, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=1e-4)  # as in printed tables
    if freedom < 1000:  # and 2.5% of the density lie beyond it, by summing
        x = np.linspace(t_quantile(freedom), 1000, 2_000_001)
        log_c = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
        c = math.exp(log_c) / math.sqrt(freedom * math.pi)
        density = c * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
        assert np.trapezoid(density, x) == pytest.approx(0.025, abs=1e-5)


def test_few_units_need_more_standard_errors_and_very_few_judge_nothing() -> None:
    many = Difference("a", "b", "nats per token", 0.021, 0.01, 1000)
    assert "significant, 2.1 standard errors over 1,000 units" in many.sentence
    assert "do not differ significantly" in replace(many, units=10).sentence  # 2.26 are needed
    assert "over 10 units" in replace(many, units=10).sentence
    for units in (1, 2, 9):
        sentence = replace(many, mean=1.0, units=units).sentence
        assert "too few to judge" in sentence
        assert "significant, " not in sentence


def test_empty_samples_are_no_new_documents() -> None:
    split = Split(("emma", "ava"), ("mia",), (), documents=True)
    assert share_of_new(["", "", "emma", "xyzzy"], split) == 0.5
    assert share_of_new(["", ""], split) == 0


def test_a_stream_is_new_where_its_pieces_are() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(200))
    split = Split((text,), (text,), (), documents=False)
    assert share_of_new([text], split) == 0
    assert share_of_new([text[:100] + "x" * 100], split) == pytest.approx(4 / 9)
