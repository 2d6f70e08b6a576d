"""Pictures say what is so: scales that can be compared, bars with what decides, letters whole."""

from __future__ import annotations

import re
import runpy
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from hornbook.api import Run, train
from hornbook.experiments.comparison import measure
from hornbook.figures import style
from hornbook.figures.comparison import comparison
from hornbook.figures.surprisal import surprise
from tests.acceptance.common import QUICK, SMALL, Cap, trained, typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "initialization.py"


def test_panels_side_by_side_have_one_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the example of initialization: gradients and outputs of each kind can be compared by eye."""
    module = runpy.run_path(str(EXAMPLE), run_name="example")
    figures = []
    drawn = module["draw"]

    def draw(*arguments: object) -> object:
        figures.append(drawn(*arguments))
        return figures[-1]

    monkeypatch.setitem(module["main"].__globals__, "draw", draw)
    module["main"](tmp_path / "p.png")
    (figure,) = figures
    figure.draw_without_rendering()
    panels: dict[str, set[tuple[tuple[float, float], tuple[float, float]]]] = {}
    for axes in figure.axes:
        panels.setdefault(axes.get_xlabel(), set()).add((axes.get_xlim(), axes.get_ylim()))
    assert len(figure.axes) > len(panels)
    assert all(len(scales) == 1 for scales in panels.values()), panels


@pytest.mark.parametrize("narrow", [False, True])
def test_no_column_of_surprisal_is_cut_off(narrow: bool, tmp_path: Path) -> None:
    """Where a model is sure of its last tokens, whose shares are the widest: 98%, in bold."""
    words = [f"{first}{second}nnabellaan" for first in "bcdfg" for second in "aeiou"]
    (tmp_path / "words.txt").write_text("\n".join(words))
    run = train(tmp_path / "words.txt", model="ngram", out=tmp_path / "run")
    with style.narrow() if narrow else nullcontext():
        figure = surprise(run, "annabellaan")
    canvas, axes = FigureCanvasAgg(figure), figure.axes[0]
    canvas.draw()
    whole = axes.get_window_extent()
    assert {"98%", "99%"} <= {written.get_text() for written in axes.texts}
    for written in axes.texts:
        box = written.get_window_extent(canvas.get_renderer())
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1


def test_the_legend_of_a_comparison_covers_no_data(names_run: Run) -> None:
    rows = [measure(names_run, name) for name in ("one", "two")]
    figure = comparison([getattr(row, "result", row) for row in rows])
    figure.draw_without_rendering()
    for axes in figure.axes:
        if legend := axes.get_legend():
            box = legend.get_window_extent()
            assert not any(box.overlaps(other.get_window_extent()) for other in figure.axes)


def test_a_comparison_says_that_pairs_decide(words_file: Path, tmp_path: Path, capsys: Cap) -> None:
    for model in ("bigram", "mlp"):
        trained(capsys, words_file, "--model", model, "--steps", "30", "--out", tmp_path / model)
    code, _, err = typed(
        capsys, "compare", tmp_path / "bigram", tmp_path / "mlp", "--out", tmp_path / "c.svg"
    )
    assert code == 0, err
    assert "the pairs, on the same text, decide" in (tmp_path / "c.svg").read_text()


def test_the_page_begins_with_the_run(
    names_run: Run, tmp_path: Path, capsys: Cap, draw_only: Callable[..., None]
) -> None:
    draw_only("losses", "surprise")
    copy = shutil.copytree(names_run.path, tmp_path / "run")
    assert typed(capsys, "inspect", copy, "--text", "emma")[0] == 0
    page = (copy / "inspect" / "index.html").read_text()
    before = page.partition("<nav>")[0]
    assert names_run.facts["created"][:10] in before
    assert names_run.report["samples"][0] in before
    assert "30 steps" in before


def test_one_of_anything_is_in_the_singular(tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "one.txt").write_text("ab\ncd\nef\ngh\nij\nkl\n")
    said = [typed(capsys, "data", tmp_path / "one.txt")]
    said.append(
        typed(
            capsys, "train", tmp_path / "one.txt", "--model", "gpt", *SMALL, "--steps", "1",
            "--batch-size", "1", "--context-length", "1", "--epochs", "1" , "--out", tmp_path / "x",
        )
    )  # fmt: skip
    said.append(
        typed(
            capsys, "train", tmp_path / "one.txt", "--model", "gpt", *SMALL, "--steps", "1",
            "--batch-size", "1", "--context-length", "1", *QUICK, "--out", tmp_path / "r",
        )
    )  # fmt: skip
    assert said[-1][0] == 0, said[-1][2]
    said.append(typed(capsys, "train", "--resume", tmp_path / "r", "--steps", "0"))
    said.append(typed(capsys, "show", tmp_path / "r"))
    text = "\n".join(out + err for _, out, err in said)
    plural = (
        r"(?<![\d.,-])1 (\w+ )?(minutes|tokens|steps|documents|characters|lines|sequences|epochs)\b"
    )
    assert not re.search(plural, text), re.search(plural, text)
