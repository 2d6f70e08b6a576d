"""Figures of single symbols: what follows what, and where symbols and positions lie."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor, nn

from hornbook.data.packing import Rows
from hornbook.data.part import Part
from hornbook.figures import style
from hornbook.figures.source import DoesNotApplyError, next_probabilities, source, symbols
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.probes import Verdict
from hornbook.runs.directory import StoredRun

SYMBOLS = 30  # at most in the bigram picture: the most frequent
LAID_OUT = 80  # at most among the embeddings
ROOM = 1 << 22  # probabilities kept at once
MODEL_TOKENS = 16_000  # of the corpus on which the model's own bigrams are averaged
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = {  # a class of symbols: colour, marker
    "vowel": (style.VERMILION, "o"),
    "consonant": (style.BLUE, "s"),
    "capital": (style.GREEN, "^"),
    "digit": (style.PURPLE, "D"),
    "mark": (style.BLACK, "X"),
    "other letter": (style.ORANGE, "P"),
    "byte": (style.GREY, "d"),
}
ALPHABETS = ("LATIN ", "GREEK ", "CYRILLIC ")  # with vowels and consonants apart


@styled
def bigrams(run: StoredRun) -> Figure:
    """How often each symbol follows each: counted in the corpus, expected by the model, difference.

    The model's counts: its mean prediction after each symbol, in context, times how often the symbol
    occurs. The notes, "Bigram".
    """
    order = frequent(run, SYMBOLS)
    counts, expected = bigram_counts(run, order)
    names = symbols(run, order.tolist())
    side = 0.235 * len(order) + 0.6
    figure, axes = panels([side] * 3)
    what = "own samples" if source(run).missing else "corpus"
    for panel, table, title in (
        (axes[0], counts, f"Counted in the {what}"),
        (axes[1], expected, "Expected by the model on the same text"),
        (axes[2], expected - counts, "Model minus counted"),
    ):
        _matrix(panel, table, names, title, float(counts.max()))
    far = np.abs(expected - counts).sum() / max(1.0, float(counts.sum()))
    which = f" of {len(order)} symbols" if len(order) < run.facts["vocab_size"] else ""
    figure.verdict = Verdict(
        f"{far / 2:.1%} of the pairs{which} would have to change to agree", bool(far < 0.2)
    )
    figure.note = _which(run, len(order), SYMBOLS)
    return figure


def _matrix(axes: Axes, table: Floats, names: list[str], title: str, most: float) -> None:
    signed = table.min() < 0
    shade = np.sign(table) * np.sqrt(np.abs(table) / max(most, 1.0))
    scale = style.DIFFERENCE if signed else style.AMOUNT
    axes.imshow(shade, cmap=scale, vmin=-1 if signed else 0, vmax=1, aspect="auto")
    dark = np.abs(shade) > (0.75 if signed else 0.6)
    width, height = 68 * style.WIDTH / len(table), 72 * 0.235  # points
    for ink, chosen in (("white", dark), (style.BLACK, ~dark)):
        places = np.argwhere(chosen & (np.abs(table) >= 0.5)).tolist()
        entries = [(j, i, _short(float(table[i, j]))) for i, j in places]
        style.numbers(axes, entries, min(9.0, 0.36 * width), (width, height), ink)
    style.square_cells(axes, names, names, 7 if max(map(len, names)) < 3 else 6)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(title=title, xlabel="next symbol", ylabel="symbol")


def _short(count: float) -> str:
    return f"{count / 1000:.0f}k" if abs(count) >= 9999.5 else f"{count:.0f}"


def frequent(run: StoredRun, most: int) -> Ints:
    """The most frequent symbols that occur, at most so many, in the order of their ids."""
    often = np.bincount(source(run).whole.tokens, minlength=run.tokenizer.vocab_size)
    order = np.argsort(-often, kind="stable")[:most]
    return np.sort(order[often[order] > 0])


def _which(run: StoredRun, n: int, most: int) -> str:
    """Which n symbols are drawn, in words; nothing where it is all of them."""
    size = run.tokenizer.vocab_size
    if n == size:
        return ""
    return (
        f"the {n} most frequent of {size:,} symbols"
        if n == most
        else (f"the {n} of {size:,} symbols that occur")
    )


def bigram_counts(run: StoredRun, chosen: Ints | None = None) -> tuple[Floats, Floats]:
    """Counts of each pair of some symbols (left out: of all) in the whole corpus and the model's
    expected counts, (n, n) each."""
    part, size = source(run).whole, run.tokenizer.vocab_size
    chosen = np.arange(size) if chosen is None else chosen
    place, n = np.full(size, -1), len(chosen)
    place[chosen] = np.arange(n)
    first, second = place[part.tokens[:-1]], place[part.tokens[1:]]
    both = (first >= 0) & (second >= 0)
    pairs = np.bincount(first[both] * n + second[both], minlength=n * n)
    occur = np.bincount(first[first >= 0], minlength=n).astype(np.float64)
    sums, seen = _mean_predictions(run, part, torch.from_numpy(place), torch.from_numpy(chosen))
    expected = occur[:, None] * sums / np.maximum(seen, 1e-12)[:, None]
    return pairs.reshape(n, n).astype(np.float64), expected


@torch.inference_mode()
def _mean_predictions(
    run: StoredRun, part: Part, place: Tensor, chosen: Tensor
) -> tuple[Floats, Floats]:
    """The summed predictions of the chosen symbols after each of them, (n, n), and how often it was
    predicted after. place: of each id among the chosen, or -1."""
    model, n = run.model, len(chosen)
    length = min(256 if model.sliding else model.context_length, part.n_targets)
    chunks = part.chunks(length)
    rows = Rows(chunks, np.arange(len(chunks.start)), length)
    tokens = torch.from_numpy(part.tokens.astype(np.int64))
    wanted = np.linspace(0, len(rows) - 1, max(1, min(len(rows), MODEL_TOKENS // length)))
    sums, seen = torch.zeros(n, n), torch.zeros(n)
    at_once = min(64, max(1, ROOM // (length * len(place))))
    rows_of = np.unique(wanted.astype(np.int64)).tolist()
    for first in range(0, len(rows_of), at_once):
        positions = np.concatenate(
            [rows.positions(i, i + 1)[0] for i in rows_of[first : first + at_once]]
        )
        places, real = torch.from_numpy(positions.clip(min=0)), torch.from_numpy(positions >= 0)
        ids = tokens[places]
        if model.end_id is not None:
            ids = ids.masked_fill(~real, model.end_id)
        real &= place[ids] >= 0
        p = model(ids)[real].float().softmax(-1)[:, chosen]
        sums.index_add_(0, place[ids[real]], p)
        seen += torch.bincount(place[ids[real]], minlength=n)
    return sums.double().numpy(), seen.double().numpy()


def kind_of(symbol: str, *, is_end: bool = False) -> str:
    """vowel, consonant, capital, digit, mark, a letter of another alphabet, or a byte of one."""
    if is_end or len(symbol) != 1:
        return "mark" if is_end else "byte"
    category = unicodedata.category(symbol)
    if category in {"Lu", "Lt"}:
        return "capital"
    if category.startswith("L"):
        base = unicodedata.normalize("NFD", symbol)[0]
        if not unicodedata.name(base, "").startswith(ALPHABETS):
            return "other letter"
        return "vowel" if base in "aeiouаеёиоуыэюяαεηιουω" else "consonant"
    return "digit" if category.startswith("N") else "mark"


def symbol_vectors(run: StoredRun, chosen: Ints) -> tuple[Floats, str]:
    """One vector for each of some symbols, (n, C), and what it is: the embedding, or what the model
    expects next."""
    size = run.tokenizer.vocab_size
    for name, module in run.model.named_modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings == size:
            vectors = module.weight.detach()[torch.from_numpy(chosen)]
            return vectors.double().numpy(), f"Embedding ({name})"
    after = [next_probabilities(run, [i])[0].clamp(min=1e-9).log() for i in chosen.tolist()]
    return torch.stack(after).double().numpy(), "No embedding: log p of what follows"


def position_vectors(run: StoredRun) -> Floats | None:
    """One vector a position, (context, C); None where the model has no learned positions."""
    tables = [m for m in run.model.modules() if isinstance(m, nn.Embedding)]
    found = [m for m in tables[1:] if m.num_embeddings == run.model.context_length]
    return found[0].weight.detach().double().numpy() if found else None


def principal(x: Floats) -> tuple[Floats, Floats]:
    """The first two principal components, (n, 2), and the share of the variance of each, (2,)."""
    centred = x - x.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    share = s**2 / max(float((s**2).sum()), 1e-30)
    places = np.zeros((len(x), 2))
    places[:, : min(2, len(s))] = (u * s)[:, :2]
    return places, np.pad(share, (0, 2))[:2]


def apart(places: Floats, least: float = 0.045) -> Floats:
    """The same points pushed apart until none hides another: `least` of the picture's width and
    1.4 times that of its height, (n, 2) -> (n, 2)."""
    size = np.maximum(np.ptp(places, axis=0), 1e-12)
    at = places / size * [1.0, 0.7]
    generator = np.random.default_rng(0)
    at = at + generator.normal(scale=1e-6, size=at.shape)  # equal points part as well
    for _ in range(200):
        gap = at[:, None] - at[None]
        distance = np.sqrt((gap**2).sum(-1)) + np.eye(len(at))
        push = np.clip(least - distance, 0, None) / distance
        if push.max() < 1e-4:
            break
        at = at + 0.5 * (gap * push[..., None]).sum(1)
    moved: Floats = at * size / [1.0, 0.7]
    return moved


@styled
def embeddings(run: StoredRun) -> Figure:
    """Symbols, and learned positions where there are any, in their first two principal components."""
    chosen = frequent(run, LAID_OUT)
    vectors, what = symbol_vectors(run, chosen)
    if len(vectors) < 3:
        raise DoesNotApplyError("fewer than three symbols: nothing to lay out")
    positions = position_vectors(run)
    figure, axes = panels([4.6] + ([3.2] if positions is not None else []))
    places, share = principal(vectors)
    _components(axes[0], share, f"{what}, two of {vectors.shape[1]} directions")
    end = run.tokenizer.end_id
    known = Counter[str]()
    names = symbols(run, chosen.tolist())
    long = sum(len(name) > 3 for name in names) / len(names)
    moved = apart(places, 0.08 if long > 0.3 else 0.06 if long else 0.045)
    for token, name, (x, y), (px, py) in zip(chosen.tolist(), names, moved, places, strict=True):
        axes[0].plot([px, x], [py, y], color=style.GREY, lw=0.6, zorder=0)
        symbol = run.tokenizer.symbol(token)
        kind = kind_of(symbol, is_end=token == end)
        known[kind] += 1
        axes[0].plot(x, y, KINDS[kind][1], color=KINDS[kind][0], ms=14, alpha=0.25, mew=0)
        size = 14 if kind == "mark" and len(name) == 1 else style.fitting(name, 9, 3)
        ink = style.BLACK if kind == "other letter" else KINDS[kind][0]  # orange is too pale
        style.written(axes[0], x, y, name, fontsize=size, color=ink, fontweight="bold")
    handles = [
        Line2D([], [], marker=marker, color=colour, ls="", alpha=0.6, label=f"{kind}s")
        for kind, (colour, marker) in KINDS.items()
        if known[kind]
    ]
    axes[0].legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes[0].margins(0.08)
    figure.note = _which(run, len(chosen), LAID_OUT)
    if positions is not None:
        places, share = principal(positions)
        _components(axes[1], share, "Position embeddings, joined in order")
        axes[1].plot(*places.T, color=style.GREY, lw=0.8, zorder=1)
        dots = axes[1].scatter(
            places[:, 0], places[:, 1], c=range(len(places)), cmap=style.SEQUENCE, s=18, zorder=2
        )
        figure.colorbar(dots, ax=axes[1], label="position (tokens)")
    return figure


def _components(axes: Axes, share: Floats, title: str) -> None:
    axes.set(
        title=title,
        xlabel=f"first component ({share[0]:.0%} of the variance)",
        ylabel=f"second ({share[1]:.0%})",
    )
    axes.locator_params(axis="x", nbins=6)
