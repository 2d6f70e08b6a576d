"""Rows of results, and the rows of runs together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hornbook.data.split import Split
from hornbook.metrics.results import Group, share_of_new
from tests.metrics.made import made


def test_a_group_has_the_means_and_an_error_over_documents_and_seeds() -> None:
    rng = np.random.default_rng(0)
    runs = [made(f"r{i}", rng.normal(2 + i / 10, 1, 100), seed=i) for i in (1, 2, 3)]
    group = Group("three", tuple(runs))
    losses = [m.result.validation for m in runs]
    errors = [m.result.validation_error for m in runs]
    assert group.result.validation == pytest.approx(np.mean(losses))
    assert group.deviation == pytest.approx(np.std(losses, ddof=1))
    expected = math.sqrt(np.mean(np.square(errors)) + np.var(losses, ddof=1) / 3)
    assert group.result.validation_error == pytest.approx(expected)
    assert group.seeds == (1, 2, 3)
    assert group.result.test is None
    alone = Group("one", tuple(runs[:1]))
    assert alone.result.validation_error == runs[0].result.validation_error
    assert alone.deviation is None


def test_empty_samples_are_no_new_documents() -> None:
    split = Split(("emma", "ava"), ("mia",), (), documents=True)
    assert share_of_new(["", "", "emma", "xyzzy"], split) == 0.5
    assert share_of_new(["", ""], split) == 0


def test_a_stream_is_new_where_its_pieces_are() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(200))
    split = Split((text,), (text,), (), documents=False)
    assert share_of_new([text], split) == 0
    assert share_of_new([text[:100] + "x" * 100], split) == pytest.approx(4 / 9)
