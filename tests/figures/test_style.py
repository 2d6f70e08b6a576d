"""The look that figures share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hornbook.api import Run
from hornbook.figures import style
from hornbook.figures.losses import losses
from hornbook.figures.style import Figure, shown


def test_a_figure_shows_itself_and_leaves_matplotlib_alone(names_run: Run) -> None:
    code = (
        "import sys, matplotlib; matplotlib.use('svg'); matplotlib.rcParams['font.size'] = 3;"
        "before = dict(dict.items(matplotlib.rcParams));"
        "from hornbook.figures.losses import lr_sweep;"
        "figure = lr_sweep([0.1, 1.0], [3.0, 2.0]); figure.png();"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "assert dict(dict.items(matplotlib.rcParams)) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    figure = losses(names_run)
    assert isinstance(figure, Figure)
    assert figure._repr_svg_().lstrip().startswith("<?xml")
    assert losses(names_run).svg() == figure.svg()
    html = names_run._repr_html_()
    assert "data:image/svg+xml" in html
    assert "gpt" in html


def test_numbers_stand_in_the_middle_of_their_cells() -> None:
    figure, (axes,) = style.panels([2.0])
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5))
    figure.canvas.draw()
    box = axes.get_window_extent()
    cell = (box.width / 3 * 72 / figure.dpi, box.height / 3 * 72 / figure.dpi)
    style.numbers(axes, [(1.0, 1.0, "8")], 9.0, cell, "black")
    (marks,) = axes.collections
    x, y = marks.get_offsets()[0]
    (path,) = marks.get_paths()
    inside = path.get_extents()
    across, down = 9.0 * (inside.x0 + inside.x1) / 2, 9.0 * (inside.y0 + inside.y1) / 2
    assert x + across / cell[0] == pytest.approx(1.0, abs=0.02)
    assert y - down / cell[1] == pytest.approx(1.0, abs=0.05)


def test_labels_stay_within_their_cells() -> None:
    for text, size, letters in (("a", 12, 3), ("<end>", 12, 3), ("U+1F469 12%", 7, 9)):
        assert style.fitting(text, size, letters) * len(text) <= size * letters
    assert style.shortened("abcdef", 4) == "…def"
    assert style.shortened("abcd", 4) == "abcd"


def test_what_cannot_be_seen_or_drawn_has_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(" \n\t") == "␣⏎⇥"
    assert shown("\x01") == "<01>"
    assert shown("\x7f\u200d") == "<7F><200D>"
    assert shown("\ud800") == "<D800>"
    assert shown("$é_ש") == r"\$é_ש"  # matplotlib's plain dollar
    assert shown("\u0301") == "◌\u0301"
    assert shown("<9a>") == "<9a>"
    # without any font that has it: its code point; with one: itself
    for family, expected in ((None, "U+6F22"), (range(0x6F00, 0x7000), "漢")):
        style._visible.cache_clear()
        monkeypatch.setattr(style, "_charmap", lambda name, family=family: frozenset(family or ()))
        assert shown("漢") == expected
    style._visible.cache_clear()
