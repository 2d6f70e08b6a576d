"""The figure of bigrams."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hornbook.api import Run
from hornbook.figures.bigrams import bigram_counts


def test_bigram_counts_are_those_of_the_corpus(names_run: Run) -> None:
    counts, expected = bigram_counts(names_run)
    words = names_run.corpus().documents
    plain = Counter((a, b) for w in words for a, b in zip(f".{w}", f"{w}.", strict=True))
    show = names_run.tokenizer.symbol
    for i, j in np.ndindex(*counts.shape):
        assert counts[i, j] == plain[show(i), show(j)]
    np.testing.assert_allclose(expected.sum(1), counts.sum(1), rtol=1e-4)
