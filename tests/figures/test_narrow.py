"""Every figure on a page and on a phone: letters that can be read, and nothing cut off."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from hornbook.api import Run
from hornbook.figures import style
from hornbook.figures.data import DoesNotApplyError
from hornbook.figures.registry import FIGURES
from hornbook.figures.style import NARROW, WIDTH, Figure
from tests.conftest import WORDS, train_small

PHONE = 358  # pixels that a figure has where the page is 400 pixels wide
LEAST = 7.0  # pixels, of a font


@pytest.fixture(scope="module")
def relu_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small MLP of ReLU, with probes."""
    folder = tmp_path_factory.mktemp("relu")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    return train_small("mlp", folder, folder / "run", settings={"model.activation": "relu"})


def drawn(run: Run, *, narrow: bool) -> dict[str, Figure]:
    """All figures that apply, as wide as on a page or on a phone."""
    found = {}
    for name, entry in FIGURES.items():
        try:
            if narrow:
                with style.narrow():
                    found[name] = entry.draw(run, None)
            else:
                found[name] = entry.draw(run, None)
        except DoesNotApplyError:
            continue
    return found


def texts(figure: Figure) -> list[Text]:
    """All texts that are drawn, but for ticks, of which matplotlib keeps some outside the axes."""
    ticks = [t for a in figure.axes for t in (*a.get_xticklabels(), *a.get_yticklabels())]
    found = [text for axes in figure.axes if axes.get_visible() for text in axes.findobj(Text)]
    return [t for t in found if t.get_visible() and t.get_text().strip() and t not in ticks]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("which", ["names_run", "stream_run", "relu_run"])
def test_letters_can_be_read_and_none_is_cut_off(
    which: str, narrow: bool, request: pytest.FixtureRequest
) -> None:
    figures, problems = drawn(request.getfixturevalue(which), narrow=narrow), []
    assert len(figures) >= 7
    for name, figure in figures.items():
        width, height = figure.bbox.width, figure.bbox.height
        assert figure.get_figwidth() == (NARROW if narrow else WIDTH)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # places the texts of legends
        renderer = canvas.get_renderer()
        for text in texts(figure):
            box = text.get_window_extent(renderer)
            if min(box.x0, width - box.x1, box.y0, height - box.y1) < -1:
                problems.append((name, text.get_text(), "cut off", box))
            pixels = float(text.get_fontsize()) * PHONE / (72 * NARROW)
            if narrow and pixels < LEAST:
                problems.append((name, text.get_text(), "too small", pixels))
    assert not problems, problems


def test_letters_are_larger_on_a_phone_than_a_page_of_that_size_has_them(names_run: Run) -> None:
    wide, narrow = (drawn(names_run, narrow=narrow) for narrow in (False, True))
    for name, figure in narrow.items():
        sizes = [
            max(float(text.get_fontsize()) for text in texts(one)) * PHONE / one.get_figwidth()
            for one in (wide[name], figure)
        ]
        assert sizes[1] > 1.5 * sizes[0], name


def test_narrow_figures_end_with_the_context() -> None:
    with style.narrow():
        assert style.page_width() == NARROW
        with pytest.raises(KeyError), style.narrow():
            raise KeyError
        assert style.is_narrow()
    assert style.page_width() == WIDTH
    assert not style.is_narrow()
