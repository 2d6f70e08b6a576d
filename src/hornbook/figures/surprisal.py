"""The figure of surprisal: each token of a text by its bits, and the tokens held likelier."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from hornbook.figures import style
from hornbook.figures.data import DoesNotApplyError, next_probabilities, texts_of
from hornbook.figures.style import Figure, panels, shown, styled
from hornbook.metrics.finding import Finding
from hornbook.metrics.loss import Score, score
from hornbook.runs.directory import StoredRun

TOKENS = 60  # up to which the alternatives are drawn as well
WHOLE = 1600  # tokens drawn in all
LINES = 80  # of many short documents
GAP = 2.0  # points between an alternative and its share
ALTERNATIVES = 5
BITS = 8.0  # the darkest shade


@styled
def surprise(run: StoredRun, text: str | None = None) -> Figure:
    """Each token of a text shaded by its bits, with the model's top five below where they are few.

    Documents are given one a line; each is read from its start to its end, which counts as a token.
    The bits are those of `score`, and the average is that of the whole text, of which at most WHOLE
    tokens are drawn, TOKENS where no text is given.
    """
    long = text is not None
    encode = run.tokenizer.encode
    pieces = [piece for piece in texts_of(run, text) if len(encode(piece, unknown="skip"))]
    if not pieces:
        raise DoesNotApplyError("the text holds no character that the model knows")
    scores = score(run.model, run.tokenizer, pieces, unknown="skip")
    bits = [nats / math.log(2) for one in scores for nats in one.token_nats]
    long = long and len(bits) > TOKENS
    kept = _few(scores) if long else scores
    figure = _narrow(kept) if long else _wide(run, scores)
    figure.finding = _judge(run, bits)
    drawn, notes = min(WHOLE if long else TOKENS, sum(one.tokens for one in kept)), []
    if (n := len(bits)) > drawn:
        notes.append(f"the first {drawn:,} of {n:,} tokens are drawn; the average is of all")
    if long:
        notes.append(
            f"a text of {TOKENS} tokens or fewer, ends counted, is drawn with likelier tokens"
        )
    if run.template is not None:
        notes.append("only answers are trained: the tokens of prompts cost more")
    context = run.model.context_length
    if not run.model.sliding and max(one.tokens for one in scores) > context:
        notes.append(f"read in blocks of {context} tokens, the model's context")
    figure.note = "; ".join(notes)
    return figure


def _few(scores: Sequence[Score]) -> list[Score]:
    """The first texts, of not many more than LINES lines."""
    before = np.cumsum([0] + [-(-one.tokens // _columns()[1]) for one in scores])
    return [one for one, lines in zip(scores, before, strict=False) if lines < LINES]


def _columns() -> tuple[int, int]:
    """Tokens in a line: with the alternatives below them, and without."""
    return (8, 20) if style.is_narrow() else (12, 40)


def _lines(
    scores: Sequence[Score], most: int, columns: int
) -> Iterator[list[tuple[Score, int, str, float]]]:
    """The first tokens of some texts in lines: score, position in it, label, bits."""
    for one in scores:
        n = min(most, one.tokens)
        most -= n
        cells = [(one, i, shown(one.symbols[i]), one.token_nats[i] / math.log(2)) for i in range(n)]
        yield from (cells[i : i + columns] for i in range(0, n, columns))


def _wide(run: StoredRun, scores: Sequence[Score]) -> Figure:
    """A short text, or the beginning of one, with the tokens held likelier."""
    columns = _columns()[0]
    lines = list(_lines(scores, TOKENS, columns))
    figure, (axes,) = panels([1.3 * len(lines) + 0.2])
    likely = cache(lambda text: likeliest(run, text))
    for row, cells in enumerate(lines):
        for column, (one, position, symbol, cost) in enumerate(cells):
            _cell(axes, column, row, symbol, cost)
            _alternatives(axes, column, row, symbol, likely(one.text)[position])
    axes.axis("off")
    scale = axes.imshow([[0.0]], cmap=style.AMOUNT, vmin=0, vmax=BITS, extent=(-2, -1, -2, -1))
    axes.set(
        title="Surprisal of each token, and the tokens the model held likelier", aspect="auto",
        xlim=(0, columns), ylim=(len(lines) + 0.02, -0.02),
    )  # fmt: skip
    style.color_bar(figure, scale, axes, "surprisal (bits)")
    figure.reading = (
        "Below each token are the five that the model held likeliest, in color where the token itself "
        "is among them."
    )
    return figure


def _judge(run: StoredRun, bits: Sequence[float]) -> Finding:
    uniform, mean = math.log2(run.facts["vocab_size"]), sum(bits) / len(bits)
    words = f"{mean:.2f} bits a token on average; uniform baseline: {uniform:.2f}"
    if impossible := sum(map(math.isinf, bits)):
        return Finding(f"{words}: {impossible:,} of {len(bits):,} tokens held impossible", False)
    if mean < uniform:
        return Finding(words)
    nats = (run.report.get("validation") or {}).get("nats")
    cause = "the text is unlike the training text"
    if nats is not None and nats >= uniform * math.log(2):  # on text like it as well
        cause = "the model is on its validation text, too: it has learned nothing yet"
    return Finding(f"{words}: worse than the baseline; {cause}", False)


def _narrow(scores: Sequence[Score]) -> Figure:
    """A longer text, shaded alone."""
    columns = _columns()[1]
    rows = list(_lines(scores, WHOLE, columns))
    figure, (axes,) = panels([0.24 * len(rows) + 0.9])
    table = np.full((len(rows), columns), np.nan)
    cell = (66 * style.page_width() / columns, 72 * 0.24)
    entries: dict[tuple[str, float], list[tuple[float, float, str]]] = {}  # by color and size
    for y, row in enumerate(rows):
        for x, (_, _, symbol, cost) in enumerate(row):
            table[y, x] = min(cost, BITS)  # infinity would be left white
            kind = _ink(cost), 9.0 if len(symbol) < 3 else 3.6
            entries.setdefault(kind, []).append((x, y, symbol))
    picture = axes.imshow(table, cmap=style.AMOUNT, vmin=0, vmax=BITS, aspect="auto")
    for (ink, size), marks in entries.items():
        style.numbers(axes, marks, size, cell, ink)
    style.square_cells(axes, [], [])
    axes.set_title("Surprisal of each token")
    style.color_bar(figure, picture, axes, "surprisal (bits)")
    return figure


def likeliest(run: StoredRun, text: str) -> list[list[tuple[str, float]]]:
    """The likeliest tokens at each position of a text, read in blocks as `score` reads it."""
    tokenizer, model = run.tokenizer, run.model
    ids = [tokenizer.start_id, *tokenizer.encode(text, unknown="skip").tolist()]
    if tokenizer.end_id is None:
        ids.pop()
    ids = ids[:TOKENS]
    block = len(ids) if model.sliding else model.context_length
    p = torch.cat([next_probabilities(run, ids[i : i + block]) for i in range(0, len(ids), block)])
    best = p.topk(min(ALTERNATIVES, p.shape[1]))
    return [
        [(shown(tokenizer.symbol(t)), q) for q, t in zip(shares, tokens, strict=True) if q > 0]
        for shares, tokens in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def _ink(bits: float) -> str:
    """The color of letters on the shade of so many bits."""
    return "white" if bits > 0.45 * BITS else style.BLACK


def _cell(axes: Axes, x: int, y: int, symbol: str, bits: float) -> None:
    """A token in its shade, and its bits."""
    axes.add_patch(
        Rectangle((x + 0.03, y), 0.94, 0.36, facecolor=style.AMOUNT(min(bits / BITS, 1.0)), lw=0.5,
                  edgecolor=style.PALE)
    )  # fmt: skip
    ink, cost = _ink(bits), "∞" if math.isinf(bits) else f"{bits:.1f}"
    size = style.fitting(symbol, 12, 3)
    style.written(axes, x + 0.5, y + 0.13, symbol, fontsize=size, color=ink, fontweight="bold")
    style.written(axes, x + 0.5, y + 0.285, cost, fontsize=7, color=ink)


def _alternatives(axes: Axes, x: int, y: int, symbol: str, best: list[tuple[str, float]]) -> None:
    """The tokens held likelier and their shares, in two columns centered below a token."""
    cell = 68 * style.page_width() / _columns()[0]  # points
    shares = [f"{100 * p:.0f}%" if p >= 0.005 else "<1%" for _, p in best]
    share_width = max((style.width(share, 7, "bold") for share in shares), default=0.0)
    names = [style.width(name, 7, "bold") for name, _ in best]
    name_width = min(max(names, default=0.0), 0.94 * cell - GAP - share_width)
    left = x + 0.5 - (name_width + GAP + share_width) / 2 / cell
    middle = left + name_width / cell
    for i, ((other, _), share, wide) in enumerate(zip(best, shares, names, strict=True)):
        same = other == symbol
        options = {"color": style.VERMILION if same else style.BLACK,
                   "fontweight": "bold" if same else "normal"}  # fmt: skip
        size, line = 7 * min(1.0, name_width / max(1e-9, wide)), y + 0.43 + 0.1 * i
        # apart, as letters that run from right to left would carry the number with them
        style.written(axes, middle, line, other, fontsize=size, ha="right", **options)
        style.written(axes, middle + GAP / cell, line, share, fontsize=7, ha="left", **options)
