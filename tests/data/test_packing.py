"""Rows hold every target once, and cut no document that fits."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hornbook.data.packing import Rows
from hornbook.data.part import Part
from hornbook.tokenizers import build_tokenizer

DOCUMENTS = st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=40)


@given(DOCUMENTS, st.integers(2, 24), st.integers(0, 3))
def test_rows_hold_every_target_once_and_no_document_is_cut_that_fits(
    documents: list[str], length: int, overlap: int
) -> None:
    overlap = min(overlap, length - 1)
    part = Part.of_documents(documents, build_tokenizer("char", "abc", documents=True))
    chunks = part.chunks(length, overlap)
    rows = Rows(chunks, np.random.default_rng(0).permutation(len(chunks.start)), length)
    positions, scored = rows.positions(0, len(rows))
    assert positions.shape == scored.shape == (len(rows), length)
    assert sorted(positions[scored].tolist()) == list(range(part.n_targets))
    assert (positions[scored] >= 0).all()
    for row in positions:  # inside a row tokens of a document follow each other
        for before, after in itertools.pairwise(row):
            assert after in (-1, before + 1) or after in part.starts
    sizes = np.diff(part.starts)
    assert len(chunks.start) == sum(-(-int(s) // (length - overlap)) for s in sizes)
    # any one row equals that row among all
    one, one_scored = rows.positions(len(rows) - 1, len(rows))
    np.testing.assert_array_equal(one[0], positions[-1])
    np.testing.assert_array_equal(one_scored[0], scored[-1])
