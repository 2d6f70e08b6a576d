"""Statistics of copies, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hornbook.data.split import Split
from hornbook.metrics.copying import copy_statistics, share_error
from hornbook.metrics.text_index import TextIndex


def test_the_statistics_of_a_few_texts_are_those_by_hand() -> None:
    index = TextIndex(Split(("abcd", "wxyz"), ("q",), (), documents=True))
    found = copy_statistics(["abcd", "abxy", "", "abcd"], index)
    assert (found.texts, found.empty, found.compared) == (3, 1, 3)
    assert found.verbatim == pytest.approx(2 / 3)
    assert found.spans == (4, 2, 4)
    assert found.longest == 4
    assert found.covered == pytest.approx((1 + 0.5 + 1) / 3)
    assert found.distances == (0, 2, 0)
    assert found.different == pytest.approx(2 / 3)
    assert found.distinct[0] == pytest.approx(6 / 12)  # a b c d x y
    assert found.span_error == pytest.approx(np.std([4, 2, 4], ddof=0) / math.sqrt(2))
    assert copy_statistics(["abcd", "abxy"], index, compared=1).spans == (4,)


def test_the_error_of_a_share_is_never_nothing_and_shrinks_with_draws() -> None:
    assert 0 < share_error(0.0, 10) < 0.15
    assert share_error(0.5, 100) == pytest.approx(0.05, rel=0.02)
    draws = np.random.default_rng(0).binomial(1000, 0.2, 4000) / 1000
    assert share_error(0.2, 1000) == pytest.approx(draws.std(), rel=0.05)
