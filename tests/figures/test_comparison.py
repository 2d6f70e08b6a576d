"""The figure of a comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hornbook.api import Run
from hornbook.experiments.comparison import measure
from hornbook.figures.comparison import comparison
from hornbook.figures.losses import curves
from hornbook.metrics.comparison import differences
from hornbook.metrics.groups import grouped
from tests.metrics.made import made


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


def test_pairs_are_drawn_as_the_sentences_judge_them_and_legends_cover_nothing() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(2, 0.5, 200)  # documents differ far more than models do: bars overlap
    shifts = {"best": 0.0, "like": 0.0005, "worse": 0.02}
    runs = [
        made(f"{name}-{seed}", base + shift + rng.normal(0, 0.01, 200) + seed / 1000, seed,
             f"runs/{name}/{seed}", {"model.n_layer": name})
        for name, shift in shifts.items() for seed in (1, 2, 3)
    ]  # fmt: skip
    groups = grouped(runs)
    found = differences(groups)
    assert {d.other: d.is_significant for d in found} == {"like": False, "worse": True}
    figure = comparison([group.result for group in groups], "three", groups, found)
    figure.png()
    losses, pairs, times = figure.axes
    bars = [container.lines[2][0].get_segments() for container in losses.containers]
    low, high = zip(*[(segment[0][0], segment[1][0]) for segment in bars[0]], strict=True)
    assert max(low) < min(high)  # they do overlap
    names = [text.get_text() for text in pairs.get_yticklabels()]
    for container in pairs.containers:
        for (left, right), at in zip(
            [(s[0][0], s[1][0]) for s in container.lines[2][0].get_segments()],
            container.lines[0].get_ydata(), strict=True,
        ):  # fmt: skip
            assert (left <= 0 <= right) == (names[int(at)] == "like")
    assert any("the pairs" in text.get_text() for text in pairs.texts)
    seeds = next(line for line in losses.lines if line.get_label() == "validation, each seed")
    assert len(seeds.get_xdata()) == 9
    for axes in (losses, pairs, times):
        legend = axes.get_legend().get_window_extent()
        assert not legend.overlaps(axes.get_window_extent())
        assert not legend.overlaps(axes.xaxis.label.get_window_extent())
        for other in (losses, pairs, times):
            assert not legend.overlaps(other.get_window_extent())
            assert not legend.overlaps(other.title.get_window_extent())
        assert figure.bbox.contains(legend.x1, legend.y0)


def test_a_legend_names_only_what_is_drawn() -> None:
    trained = made("trained", [2.0, 2.1, 2.2]).result
    counted = made("counted", [2.3, 2.4, 2.5], seed=None).result
    for rows, expected in (
        ([trained], {"trained"}),
        ([counted], {"counted"}),
        ([trained, counted], {"trained", "counted"}),
    ):
        legend = comparison(rows).axes[-1].get_legend()
        assert {text.get_text() for text in legend.get_texts()} == expected


def test_a_long_name_is_cut_where_it_says_least(names_run: Run) -> None:
    row = measure(names_run, "a").result
    names = ["gpt (too little training)", "runs/a/learning_rate=0.01/seed-1", "b"]
    figure = comparison([replace(row, name=name) for name in names])
    found = [text.get_text() for text in figure.axes[-1].texts]
    assert sorted(found) == ["b", "gpt (too little tra…", "…ng_rate=0.01/seed-1"]


def test_names_that_no_font_has_are_drawn_as_code_points_and_a_dollar_is_no_formula(
    names_run: Run,
) -> None:
    strange = chr(0x10FFFD)  # of no font
    row = measure(names_run, "a").result
    rows = [replace(row, name=f"a {strange}"), replace(row, name="$x_1$")]
    figure = comparison(rows, f"The ladder on {strange}")
    figure.png()  # a glyph that is missing warns, and a warning is an error here
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == [r"\$x_1\$", "a <10FFFD>"]
    groups = grouped([replace(m, result=r) for r in rows for m in [measure(names_run, "a")]])
    assert groups
    curves([replace(groups[0], name=f"a {strange}")]).png()
