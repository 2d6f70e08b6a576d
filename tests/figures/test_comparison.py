"""The figure of a comparison."""

from __future__ import annotations

from dataclasses import replace

from hornbook.api import Run
from hornbook.experiments.comparison import measure
from hornbook.figures.comparison import comparison


def test_the_picture_ranks_different_tokenizers_by_bits_per_byte(names_run: Run) -> None:
    base = measure(names_run, "base").result
    bad = replace(base, name="bad", tokenizer="x", validation=1.0, bits_per_byte=4.0, test=1.0)
    good = replace(base, name="good", tokenizer="y", validation=3.0, bits_per_byte=2.0, test=3.0)
    losses, times = comparison([bad, good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["bad", "good"]  # the best on top
    assert "bits per byte" in losses.get_xlabel()
    assert "bits per byte" in times.get_ylabel()
    marks = losses.containers[0].lines[0].get_xdata()
    assert list(marks) == [4.0, 2.0]
    losses, _ = comparison([replace(bad, tokenizer="y"), good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["good", "bad"]
    assert "nats per token" in losses.get_xlabel()


def test_the_labels_of_costs_do_not_overprint_and_times_are_true(names_run: Run) -> None:
    base = measure(names_run, "base").result
    costs = [(0.0004, 2.45), (15.0, 1.968), (15.5, 1.967), (58.0, 1.932), (58.1, 1.905)]
    costs += [(16.0 + i / 10, 1.969) for i in range(10)]
    rows = [
        replace(base, name=f"rung-{i}", seconds=s, validation=v) for i, (s, v) in enumerate(costs)
    ]
    figure = comparison(rows)
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
    _, times = comparison([replace(base, seconds=s) for s in (2.1, 3.9)]).axes  # less than a decade
    labels = [t.get_text() for t in times.get_xticklabels(minor=True)]
    assert "3" in labels
    assert not any("$" in label for label in labels)
