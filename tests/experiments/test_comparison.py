"""Stored runs are compared on the same text."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook.api import Run
from hornbook.errors import DataError
from hornbook.experiments.comparison import compare, measure
from hornbook.metrics.comparison import differences
from hornbook.metrics.loss import token_nats


def test_paired_differences_are_those_computed_by_hand(words_file: Path, tmp_path: Path) -> None:
    runs = [
        hornbook.train(
            str(words_file),
            model="ngram",
            out=tmp_path / f"r{order}",
            settings={"model.order": order},
        )
        for order in (2, 3)
    ]
    comparison = compare(runs)
    measured, (found,) = comparison.measured, comparison.differences
    part = runs[0].part("val")
    losses = [token_nats(run.model, part) for run in runs]
    edges = part.starts[:-1]
    d = np.add.reduceat(losses[0] - losses[1], edges)
    sizes = np.diff(part.starts)
    sign = 1 if measured[1].result.validation < measured[0].result.validation else -1
    mean = d.sum() / sizes.sum()
    residual = d - mean * sizes
    error = math.sqrt((residual**2).sum() * len(d) / (len(d) - 1)) / sizes.sum()
    assert found.mean == pytest.approx(sign * mean)
    assert found.standard_error == pytest.approx(error)
    assert found.unit == "nats per token"
    assert len(d) == found.units == 22
    assert found.is_significant == (abs(mean) > 2.080 * error)  # Student, 21 degrees


def test_a_run_does_not_differ_from_itself(names_run: Run) -> None:
    (found,) = compare([names_run, names_run]).differences
    assert found.mean == 0
    assert "alike" in found.sentence


def test_different_tokenizers_are_compared_in_bits_per_byte(
    words_file: Path, tmp_path: Path
) -> None:
    runs = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / kind, settings={"tokenizer.kind": kind}
        )
        for kind in ("char", "byte")
    ]
    comparison = compare(runs)
    measured, (found,) = comparison.measured, comparison.differences
    assert found.unit == "bits per byte"
    bits = [m.result.bits_per_byte for m in measured]
    assert found.mean == pytest.approx(max(bits) - min(bits))


def test_streams_are_compared_in_stretches_of_the_same_text(tmp_path: Path) -> None:
    text = "".join(f"{i * i} grün bottles,\n\nhanging on the wall. " for i in range(900))
    (tmp_path / "b.txt").write_text(text, "utf-8")
    runs = [
        hornbook.train(
            str(tmp_path / "b.txt"), model="ngram", out=tmp_path / kind,
            settings={"tokenizer.kind": kind},
        )
        for kind in ("char", "byte")
    ]  # fmt: skip
    a, b = (measure(run, run.path.name) for run in runs)
    assert a.bytes.sum() == b.bytes.sum() == len(runs[0].split().validation[0].encode())
    assert len(a.bytes) == len(b.bytes) > 2
    (found,) = differences([a, b])
    assert found.mean >= 0


def test_runs_on_different_texts_are_refused(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "other")
    with pytest.raises(DataError, match=r"different validation texts \(sha256 \w{16} and \w{16}\)"):
        compare([names_run, other])
