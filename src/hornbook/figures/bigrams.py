"""The figure of bigrams: how often each token follows each, counted and expected by the model."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from hornbook.data.packing import Rows
from hornbook.data.part import Part
from hornbook.figures import style
from hornbook.figures.data import figure_data, frequent_tokens, token_labels
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.finding import Finding
from hornbook.runs.directory import StoredRun

TOKENS, NARROW_TOKENS = 30, 14  # at most: the most frequent
MAX_PROBABILITIES = 1 << 22  # computed at once
MODEL_TOKENS = 16_000  # of the corpus on which the model's own bigrams are averaged

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@styled
def bigrams(run: StoredRun) -> Figure:
    """How often each token follows each: counted in the corpus, expected by the model, difference.

    The model's counts: its mean prediction after each token, in context, times how often the token
    occurs. The notes, "Bigram".
    """
    order, note = frequent_tokens(run, NARROW_TOKENS if style.is_narrow() else TOKENS)
    counts, expected = bigram_counts(run, order)
    names = token_labels(run, order.tolist())
    side = 0.235 * len(order) + 0.6
    figure, axes = panels([side] * 3)
    what = "own samples" if figure_data(run).missing else "corpus"
    for panel, table, title in (
        (axes[0], counts, f"Counted in the {what}"),
        (axes[1], expected, "Expected by the model on the same text"),
        (axes[2], expected - counts, "Model minus counted"),
    ):
        _matrix(panel, table, names, title, float(counts.max()))
    far = np.abs(expected - counts).sum() / max(1.0, float(counts.sum()))
    which = f" of {len(order)} tokens" if len(order) < run.facts["vocab_size"] else ""
    figure.finding = Finding(
        f"{far / 2:.1%} of the pairs{which} would have to change to agree", bool(far < 0.2)
    )
    figure.note = note
    return figure


def _matrix(axes: Axes, table: Floats, names: list[str], title: str, most: float) -> None:
    signed = table.min() < 0
    shade = np.sign(table) * np.sqrt(np.abs(table) / max(most, 1.0))
    scale = style.DIFFERENCE if signed else style.AMOUNT
    axes.imshow(shade, cmap=scale, vmin=-1 if signed else 0, vmax=1, aspect="auto")
    dark = np.abs(shade) > (0.75 if signed else 0.6)
    width, height = 68 * style.page_width() / len(table), 72 * 0.235  # points
    for ink, chosen in (("white", dark), (style.BLACK, ~dark)):
        cells = np.argwhere(chosen & (np.abs(table) >= 0.5)).tolist()
        entries = [(j, i, _short(float(table[i, j]))) for i, j in cells]
        style.numbers(axes, entries, min(9.0, 0.36 * width), (width, height), ink)
    style.square_cells(axes, names, names, 7 if max(map(len, names)) < 3 else 6)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(title=title, xlabel="next token", ylabel="token")


def _short(count: float) -> str:
    return f"{count / 1000:.0f}k" if abs(count) >= 9999.5 else f"{count:.0f}"


def bigram_counts(run: StoredRun, chosen: Ints | None = None) -> tuple[Floats, Floats]:
    """Counts of each pair of some tokens (by default all) in the whole corpus, and the model's
    expected counts, (n, n) each."""
    part, size = figure_data(run).whole, run.tokenizer.vocab_size
    chosen = np.arange(size) if chosen is None else chosen
    index, n = np.full(size, -1), len(chosen)
    index[chosen] = np.arange(n)
    first, second = index[part.tokens[:-1]], index[part.tokens[1:]]
    both = (first >= 0) & (second >= 0)
    pairs = np.bincount(first[both] * n + second[both], minlength=n * n)
    occur = np.bincount(first[first >= 0], minlength=n).astype(np.float64)
    sums, count = _mean_predictions(run, part, torch.from_numpy(index), torch.from_numpy(chosen))
    expected = occur[:, None] * sums / np.maximum(count, 1e-12)[:, None]
    return pairs.reshape(n, n).astype(np.float64), expected


@torch.inference_mode()
def _mean_predictions(
    run: StoredRun, part: Part, index: Tensor, chosen: Tensor
) -> tuple[Floats, Floats]:
    """The summed predictions of the chosen tokens after each of them, (n, n), and the number of
    predictions, (n,). index: of each id among the chosen, or -1, (V,)."""
    model, n = run.model, len(chosen)
    length = min(256 if model.sliding else model.context_length, part.n_targets)
    chunks = part.chunks(length)
    rows = Rows(chunks, np.arange(len(chunks.start)), length)
    tokens = torch.from_numpy(part.tokens.astype(np.int64))
    wanted = np.linspace(0, len(rows) - 1, max(1, min(len(rows), MODEL_TOKENS // length)))
    sums = torch.zeros(n, n, dtype=torch.float32, device="cpu")
    count = torch.zeros(n, dtype=torch.float32, device="cpu")
    at_once = min(64, max(1, MAX_PROBABILITIES // (length * len(index))))
    rows_of = np.unique(wanted.astype(np.int64)).tolist()
    for first in range(0, len(rows_of), at_once):
        positions = np.concatenate(
            [rows.positions(i, i + 1)[0] for i in rows_of[first : first + at_once]]
        )
        safe, real = torch.from_numpy(positions.clip(min=0)), torch.from_numpy(positions >= 0)
        ids = tokens[safe]
        if model.end_id is not None:
            ids = ids.masked_fill(~real, model.end_id)
        real &= index[ids] >= 0
        p = model(ids)[real].float().softmax(-1)[:, chosen]
        sums.index_add_(0, index[ids[real]], p)
        count += torch.bincount(index[ids[real]], minlength=n)
    return sums.double().numpy(), count.double().numpy()
