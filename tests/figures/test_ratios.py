"""The figure of update : data."""

from __future__ import annotations

import math

import pytest

from hornbook.api import Run
from hornbook.figures import ratios as module
from hornbook.figures.ratios import judge_ratios, ratios


@pytest.mark.parametrize("n", [5, 9, 23])
def test_ratios_of_many_matrices_name_the_outliers_of_both_pictures(
    n: int, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ratio(i: int, step: int) -> dict[str, float | None]:
        update = {0: 1e-5, 1: 1e-1}.get(i, 1e-3) * (1 + i / 100)
        gradient = 1e2 / step if i == n - 1 else {2: 1e-7}.get(i, 1e-2) * (1 + i / 100)
        return {"update_ratio": update, "grad_ratio": gradient if step > 1 or i == n - 1 else 0.0}

    found = [
        {"step": step, "parameters": {f"m{i}.weight": ratio(i, step) for i in range(n)}}
        for step in range(1, 40)
    ]
    monkeypatch.setattr(module, "probe_records", lambda run, kind: found)
    figure = ratios(names_run)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert "1e-3, the target" in words  # in no box that hides lines
    assert not any(text.get_bbox_patch() for text in figure.axes[0].texts)
    named = [word for word in words if word.startswith("m")]
    assert len(named) == n if n <= 9 else {"m0", "m1", "m2", f"m{n - 1}"} <= set(named)
    assert (f"{n - len(named)} others" in words) == (n > 9)
    for axes in figure.axes:  # told apart, and the same in both
        looks = {
            line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.get_lines()
        }
        assert len({looks[name] for name in named}) == len(named)
        if axes is figure.axes[0]:
            upper = {name: looks[name] for name in named}
        assert upper == {name: looks[name] for name in named}


def test_ratios_that_are_not_finite_are_no_clean_bill() -> None:
    for wrong in (math.nan, None):
        found = [
            {"parameters": {"w": {"update_ratio": 1e-3}}},
            {"parameters": {"w": {"update_ratio": wrong}}},
        ]
        finding = judge_ratios(found, ["w"])  # type: ignore[arg-type]
        assert not finding.good
        assert "w has values that are NaN or infinite" in finding.text


def test_the_rule_of_thumb_is_not_for_matrices_of_muon() -> None:
    found = [{"parameters": {"e": {"update_ratio": 1e-3}, "w": {"update_ratio": 2e-2}}}] * 4
    assert not judge_ratios(found, ["e", "w"]).good
    finding = judge_ratios(found, ["e", "w"], frozenset({"w"}))
    assert finding.good
    assert "near 1e-3; those of Muon, which the rule is not for, by 2.0e-02" in finding.text
    assert judge_ratios(found, ["w"], frozenset({"w"})).good
