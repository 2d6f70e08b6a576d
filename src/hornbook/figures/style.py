"""The look of all figures: one palette, one width, fonts that stay readable, light behind everything.

Colors are those of Okabe and Ito (2008), which color-blind readers tell apart; scales of one quantity
run in lightness as well (cividis, blue to white to vermilion), so that they survive in gray. Figures
are objects: no pyplot, no state outside of them.
"""

from __future__ import annotations

import io
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as BaseFigure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath, text_to_path
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import IdentityTransform, ScaledTranslation

from hornbook.metrics.finding import Finding
from hornbook.visible import visible

BLACK, ORANGE, SKY, GREEN = "#1a1a1a", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
PALE, LIGHT = "#e4e4e4", "#bcbcbc"
SEQUENCE = "cividis"
AMOUNT = LinearSegmentedColormap.from_list("amount", ["#ffffff", SKY, BLUE, "#00324f"])
DIFFERENCE = LinearSegmentedColormap.from_list("difference", [BLUE, "#ffffff", VERMILION])

WIDTH, NARROW = 7.0, 3.9  # inches, on a page and on a phone; letters are as large on both
DPI = 130
_page_width = ContextVar("page_width", default=WIDTH)

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": BLACK,
    "text.color": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # looks the same wherever it is opened
    "svg.hashsalt": "hornbook",  # and is the same file each time
    "pdf.fonttype": 42,  # TrueType: journals refuse the default, Type 3
}

# matplotlib's own settings, whatever a session has set; its backend is left alone
BASE: Any = {k: v for k, v in dict.items(matplotlib.rcParamsDefault) if k != "backend"}

FONT = "DejaVu Sans"  # comes with matplotlib; for what it lacks, those of these that are there
OTHERS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans SC",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
    "SimHei", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans", "Noto Sans Hebrew",
    "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Symbols2",
    "Noto Emoji", "Symbola", "Segoe UI Symbol", "Segoe UI Emoji", "Apple Symbols",
    "Arial Unicode MS",
)  # fmt: skip
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

P = ParamSpec("P")


class Figure(BaseFigure):
    """A matplotlib figure that displays itself in notebooks, with what it says in words.

    finding: None where the figure judges nothing. note: what a reader should know about the data.
    reading: how to read what only some runs have, beside what the page says of the figure.
    """

    finding: Finding | None = None
    note: str = ""
    reading: str = ""

    def svg(self) -> str:
        """The figure as an SVG document."""
        return NOT_XML.sub("", self._saved("svg", metadata={"Date": None}).decode("utf-8"))

    def png(self) -> bytes:
        """The figure as a PNG file."""
        return self._saved("png", dpi=DPI)

    def pdf(self) -> bytes:
        """The figure as a PDF file, for a paper."""
        return self._saved("pdf", metadata={"CreationDate": None})

    def _saved(self, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(look()):
            self.savefig(buffer, format=kind, **options)
        return buffer.getvalue()

    def _repr_svg_(self) -> str:
        return self.svg()


def styled(make: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draws a figure in the common look, whatever matplotlib's settings are around it, and lays it
    out once."""

    @wraps(make)
    def make_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(look()):
            figure = make(*args, **kwargs)
            _make_readable(figure)
            if is_narrow():
                _wrap_titles(figure)
            if engine := figure.get_layout_engine():
                engine.execute(figure)
            figure.set_layout_engine(None)  # a placeholder ("none") makes savefig draw it twice
            return figure

    return make_styled


def _make_readable(figure: BaseFigure) -> None:
    """Escapes what no font can draw in the texts of a figure: names of runs and files are in them."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if any(readable(label) != label for label in labels):
                axis.set_ticks(axis.get_ticklocs(), list(map(readable, labels)))
    for text in figure.findobj(Text):
        text.set_text(readable(text.get_text()))


@contextmanager
def narrow() -> Iterator[None]:
    """Figures that are made meanwhile are NARROW inches wide: their letters are larger on a phone."""
    token = _page_width.set(NARROW)
    try:
        yield
    finally:
        _page_width.reset(token)


def page_width() -> float:
    """The width of the figures that are made now, in inches."""
    return _page_width.get()


def is_narrow() -> bool:
    """Whether figures are made for a phone."""
    return page_width() < WIDTH


def _wrap_titles(figure: BaseFigure) -> None:
    """Breaks titles and labels that are longer than a narrow figure is wide."""
    for axes in figure.axes:
        for text in (axes.title, axes._left_title, axes.xaxis.label):  # type: ignore[attr-defined]
            letters = round(370 / float(text.get_fontsize()))
            if len(text.get_text()) > letters:
                text.set_text(textwrap.fill(text.get_text(), letters))


def panels(
    heights: Sequence[float], *, columns: int = 1, width: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of panels one below the other, each so many inches high, row by row.

    width: of the figure, in inches; by default that of the page.
    """
    figure = Figure(figsize=(width or page_width(), sum(heights) + 0.3), layout="constrained")
    options = {"squeeze": False, "height_ratios": list(heights), **options}
    return figure, list(figure.subplots(len(heights), columns, **options).flat)


def color_bar(
    figure: Figure, shown: ScalarMappable, axes: Axes | Sequence[Axes], label: str
) -> None:
    """A bar below the axes, as high and as far away in inches however tall the figure is."""
    height = figure.get_figheight()
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.14 / height, pad=0.1 / height, aspect=50
    )
    bar.set_label(label)


def depth_colors(n: int) -> list[Any]:
    """One color a layer, dark for the first; all of them dark enough on white."""
    return list(matplotlib.colormaps[SEQUENCE](np.linspace(0.0, 0.85, max(n, 2))[:n]))


@cache
def families() -> tuple[str, ...]:
    """The fonts that characters are looked for in, in this order."""
    installed = {font.name for font in fontManager.ttflist}
    return (FONT, *(name for name in OTHERS if name in installed))


def look() -> Any:
    """matplotlib's settings of all figures."""
    return BASE | STYLE | {"font.family": list(families())}


@cache
def _charmap(family: str) -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=family))).get_charmap())


@cache
def _visible(character: str) -> str:
    """A character, or a replacement for one that is invisible or that no installed font has."""
    point, category = ord(character), unicodedata.category(character)
    if character in SIGNS:
        return SIGNS[character]
    if category[0] in "CZ":  # control, format, surrogate, private, unassigned; spaces
        return f"<{point:02X}>"
    if not any(point in _charmap(family) for family in families()):
        return f"U+{point:04X}"
    return "◌" + character if category[0] == "M" else character


def readable(text: str) -> str:
    """A text that can be encoded and drawn, line by line: control characters, and bytes of a path
    that are not UTF-8, are escaped, as the command line prints them."""
    return "\n".join(map(visible, text.split("\n")))


SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥", "$": r"\$"}  # a plain $ would begin a formula


def shown(text: str) -> str:
    """A text as it is drawn in a figure: signs for blanks, code points for characters that are
    invisible or that no font has."""
    return "".join(map(_visible, text))


def name_shown(name: str) -> str:
    """A name of a run or a text as it is drawn in a figure: as `shown`, with its blanks as they are."""
    return " ".join(map(shown, unicodedata.normalize("NFC", name).split(" ")))


def fitting(text: str, size: float, letters: int) -> float:
    """The font size at which a text is no wider than so many letters of `size`."""
    return size * min(1.0, letters / max(1, len(text)))


@cache
def width(text: str, size: float, weight: str = "normal") -> float:
    """How wide a text is in a font of some size, in points."""
    font = FontProperties(family=list(families()), size=size, weight=weight)
    plain = text.replace(r"\$", "$")
    return float(text_to_path.get_text_width_height_descent(plain, font, ismath=False)[0])


def shortened(text: str, length: int) -> str:
    """The end of a text, with an ellipsis before it where it is longer."""
    return text if len(text) <= length else "…" + text[-length + 1 :]


def legend_beside(axes: Axes, **options: Any) -> None:
    """A legend to the right of the axes; in a narrow figure below them, which makes it taller."""
    if not is_narrow():
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **options)
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    labeled = axes.xaxis.get_tick_params()["labelbottom"]
    below = ScaledTranslation(0, -BELOW if labeled else -0.1, figure.dpi_scale_trans)
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, 0.0), bbox_transform=axes.transAxes + below,
        borderaxespad=0, **options,
    )  # fmt: skip
    lines = "".join(text.get_text() + "\n" for text in legend.get_texts()).count("\n")
    lines += bool(legend.get_title().get_text())
    figure.set_figheight(figure.get_figheight() + 0.165 * lines + 0.1)


BELOW = 0.45  # inches between axes and a legend below them: ticks and their label


def legend_below(axes: Axes, columns: int = 2) -> None:
    """A legend below the label of the x axis, where it covers no data."""
    below = axes.transAxes + ScaledTranslation(0, -0.42, axes.figure.dpi_scale_trans)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, ncols=columns, borderaxespad=0,
        columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def plain_digits(axis: Axis, digits: str = "g") -> None:
    """Major ticks of a logarithmic axis in plain digits, the others without a label."""
    axis.set_major_formatter(lambda value, _: f"{value:{digits}}")
    axis.set_minor_formatter(lambda value, _: "")


class _PlainLogFormatter(LogFormatter):
    """Labels where matplotlib would put them, without exponents."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plain_minor_digits(axis: Axis) -> None:
    """Minor ticks of a logarithmic axis in plain digits, where no full decade is shown."""
    axis.set_minor_formatter(_PlainLogFormatter())


def whole_numbers(axes: Axes) -> None:
    """Whole numbers along x, thousands apart."""
    axes.locator_params(axis="x", integer=True, nbins=4 if is_narrow() else 6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def written(axes: Axes, x: float, y: float, text: str, **options: Any) -> None:
    """Text inside the axes that takes no part in the layout: cells of a table are many."""
    options = {"ha": "center", "va": "center", **options}
    axes.text(x, y, text, **options).set_in_layout(False)


def numbers(
    axes: Axes,
    entries: Sequence[tuple[float, float, str]],
    size: float,
    cell: tuple[float, float],
    color: str,
) -> None:
    """Numbers in the cells of a table: one marker a digit, so that thousands are drawn in a moment.

    entries: (x, y, number), centered there. size: of the font; cell: width and height of a cell, all
    in points; a cell is 1 wide and 1 high in the units of the axes.
    """
    width, height = cell
    positions: dict[str, list[tuple[float, float]]] = {}
    for x, y, text in ((x, y, text.replace(r"\$", "$")) for x, y, text in entries):
        left = x - sum(_glyph(character)[1] for character in text) * size / width / 2
        for character in text:
            positions.setdefault(character, []).append((left, y + 0.36 * size / height))
            left += _glyph(character)[1] * size / width
    for character, at in positions.items():
        marks = PathCollection(
            [_glyph(character)[0]], [size**2], offsets=at, offset_transform=axes.transData,
            facecolors=[color], linewidths=[0], clip_on=False,
        )  # fmt: skip
        marks.set_transform(IdentityTransform())
        marks.set_snap(False)  # snapped to pixels an E loses its bars
        marks.set_in_layout(False)
        axes.add_artist(marks)


@cache
def _glyph(character: str) -> tuple[Path, float]:
    """The outline of a character in a font of size 1, and its width."""
    font = FontProperties(family=list(families()), size=100)
    width, _, _ = text_to_path.get_text_width_height_descent(character, font, ismath=False)
    path = TextPath((0, 0), character, prop=font)
    return Path(np.asarray(path.vertices) / 100, path.codes), float(width) / 100


def square_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], size: float = 8) -> None:
    """Names the rows and columns of an image, one a cell, without tick marks; long names of columns
    stand upright."""
    upright = 90 if any(len(name) > 2 for name in columns) else 0
    axes.set_xticks(range(len(columns)), columns, fontsize=size, rotation=upright)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
