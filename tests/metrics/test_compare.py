"""Runs side by side: paired differences, and when they are real."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hornbook.figures.standings import standings as draw
from hornbook.metrics.compare import (
    Difference,
    compare,
    differences,
    measure,
    t_quantile,
)

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.errors import DataError
from hornbook.generate import Sample
from hornbook.metrics.loss import token_nats
from tests.conftest import strict


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
    measured, (found,) = compare(runs)
    part = runs[0].part("val")
    losses = [token_nats(run.model, part) for run in runs]
    edges = part.starts[:-1]
    d = np.add.reduceat(losses[0] - losses[1], edges)
    sizes = np.diff(part.starts)
    sign = 1 if measured[1].standing.validation < measured[0].standing.validation else -1
    mean = d.sum() / sizes.sum()
    residual = d - mean * sizes
    error = math.sqrt((residual**2).sum() * len(d) / (len(d) - 1)) / sizes.sum()
    assert found.mean == pytest.approx(sign * mean)
    assert found.standard_error == pytest.approx(error)
    assert found.unit == "nats per token"
    assert len(d) == found.units == 22
    assert ("real" in found.sentence) == (abs(mean) > 2.080 * error)  # Student, 21 degrees


def test_a_run_does_not_differ_from_itself(names_run: Run) -> None:
    _, (found,) = compare([names_run, names_run])
    assert found.mean == 0
    assert "alike" in found.sentence


def test_sentences_say_whether_a_difference_is_real() -> None:
    real = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert real.sentence.startswith("a is better than b by 0.0500")
    unclear = replace(real, mean=0.015)
    assert "cannot be told apart" in unclear.sentence
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
    assert "real, 2.1 standard errors over 1,000 units" in many.sentence
    assert "cannot be told apart" in replace(many, units=10).sentence  # 2.26 are needed
    assert "over 10 units" in replace(many, units=10).sentence
    for units in (1, 2, 9):
        sentence = replace(many, mean=1.0, units=units).sentence
        assert "too few to judge" in sentence
        assert "real, " not in sentence


def test_infinite_losses_are_said_in_words_and_are_null_in_json(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts without smoothing give new names no probability."""
    paths = []
    for name, fields in (
        ("none", {"order": 6, "smoothing": "add-k", "k": 0}),
        ("nothing", {"order": 7, "smoothing": "add-k", "k": 0}),
        ("some", {"order": 2}),
    ):
        settings = {f"model.{field}": value for field, value in fields.items()}
        hornbook.train(str(words_file), model="ngram", out=tmp_path / name, settings=settings)
        paths.append(str(tmp_path / name))
    capsys.readouterr()
    picture = tmp_path / "p.png"
    assert main(["compare", *paths, "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "none has an infinite loss: it gives some of the validation text no probability" in out
    assert "real" not in out
    assert "inf " not in out
    assert "nan" not in out
    assert main(["compare", *paths, "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert [row["validation"] for row in found["standings"][:2]] == [None, None]
    assert [pair["mean"] for pair in found["differences"]] == [None, None]
    _, (both,) = compare([Run.load(path) for path in paths[:2]])
    assert "cannot be compared: both have an infinite loss" in both.sentence


def test_the_picture_ranks_different_tokenizers_by_bits_per_byte(names_run: Run) -> None:
    base = measure(names_run, "base").standing
    bad = replace(base, name="bad", tokenizer="x", validation=1.0, bits_per_byte=4.0, test=1.0)
    good = replace(base, name="good", tokenizer="y", validation=3.0, bits_per_byte=2.0, test=3.0)
    losses, times = draw([bad, good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["bad", "good"]  # the best on top
    assert "bits per byte" in losses.get_xlabel()
    assert "bits per byte" in times.get_ylabel()
    marks = losses.containers[0].lines[0].get_xdata()
    assert list(marks) == [4.0, 2.0]
    losses, _ = draw([replace(bad, tokenizer="y"), good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["good", "bad"]
    assert "nats per token" in losses.get_xlabel()


def test_the_labels_of_costs_do_not_overprint_and_times_are_true(names_run: Run) -> None:
    base = measure(names_run, "base").standing
    costs = [(0.0004, 2.45), (15.0, 1.968), (15.5, 1.967), (58.0, 1.932), (58.1, 1.905)]
    costs += [(16.0 + i / 10, 1.969) for i in range(10)]
    rows = [
        replace(base, name=f"rung-{i}", seconds=s, validation=v) for i, (s, v) in enumerate(costs)
    ]
    figure = draw(rows)
    figure.png()
    _, times = figure.axes
    boxes = [text.get_window_extent() for text in times.texts]
    assert len(boxes) == len(costs)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    drawn = {float(x) for line in times.lines for x in line.get_xdata()[:1]}
    assert drawn == {s for s, _ in costs}
    (left, right), (low, high) = times.get_xlim(), times.get_ylim()
    assert left < 0.0004 < right
    assert all(low < v < high for _, v in costs)
    figure.draw_without_rendering()
    labels = [t.get_text() for t in times.get_xticklabels()]
    assert "0.001" in labels
    assert not any("$" in label for label in labels)
    _, times = draw([replace(base, seconds=s) for s in (2.1, 3.9)]).axes  # less than a decade
    labels = [t.get_text() for t in times.get_xticklabels(minor=True)]
    assert "3" in labels
    assert not any("$" in label for label in labels)


def test_different_tokenizers_are_compared_in_bits_per_byte(
    words_file: Path, tmp_path: Path
) -> None:
    runs = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / kind, settings={"tokenizer.kind": kind}
        )
        for kind in ("char", "byte")
    ]
    measured, (found,) = compare(runs)
    assert found.unit == "bits per byte"
    bits = [m.standing.bits_per_byte for m in measured]
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
    assert main(["compare", str(names_run.path), str(other.path)]) == 1


def test_empty_samples_are_no_new_documents(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    texts = ["", "", run.split().train[0], "xyzzy"]
    samples = [Sample(text, "", len(text), True) for text in texts]
    monkeypatch.setattr(Run, "sample", lambda self, *_, **__: samples)
    assert measure(run, "run").standing.new == 0.5
