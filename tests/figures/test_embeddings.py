"""The figure of embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from hornbook.figures.embeddings import kind_of, principal


def test_components_are_those_of_a_plain_decomposition() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    places, share = principal(x)
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    np.testing.assert_allclose(share, values[:2] / values.sum())
    np.testing.assert_allclose(places.var(0, ddof=1), values[:2])


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [("a", "vowel"), ("é", "vowel"), ("b", "consonant"), ("B", "capital"), ("7", "digit"),
     (" ", "mark"), ("ж", "consonant"), ("—", "mark"), ("漢", "other letter"),
     ("ש", "other letter"), ("<9a>", "byte")],
)  # fmt: skip
def test_symbols_are_told_apart(symbol: str, kind: str) -> None:
    assert kind_of(symbol) == kind
