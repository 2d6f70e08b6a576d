"""The figure of embeddings: tokens and positions in their first two principal components."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import nn

from hornbook.figures import style
from hornbook.figures.data import (
    DoesNotApplyError,
    frequent_tokens,
    next_probabilities,
    token_labels,
)
from hornbook.figures.style import Figure, panels, styled
from hornbook.runs.directory import StoredRun

TOKENS = 80  # at most: the most frequent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = {  # a kind of characters: color, marker
    "vowel": (style.VERMILION, "o"),
    "consonant": (style.BLUE, "s"),
    "capital": (style.GREEN, "^"),
    "digit": (style.PURPLE, "D"),
    "mark": (style.BLACK, "X"),
    "other letter": (style.ORANGE, "P"),
    "byte": (style.GRAY, "d"),
}
ALPHABETS = ("LATIN ", "GREEK ", "CYRILLIC ")  # with vowels and consonants apart


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


def token_vectors(run: StoredRun, chosen: Ints) -> tuple[Floats, str]:
    """One vector for each of some tokens, (n, C), and what it is: the embedding, or the log
    probabilities of what follows."""
    size = run.tokenizer.vocab_size
    for name, module in run.model.named_modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings == size:
            vectors = module.weight.detach()[torch.from_numpy(chosen)]
            return vectors.double().numpy(), f"Embedding ({name})"
    after = [next_probabilities(run, [i])[0].clamp(min=1e-9).log() for i in chosen.tolist()]
    return torch.stack(after).double().numpy(), "No embedding: log p of what follows"


def principal(x: Floats) -> tuple[Floats, Floats]:
    """The first two principal components, (n, 2), and the share of the variance of each, (2,)."""
    centered = x - x.mean(0)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    share = s**2 / max(float((s**2).sum()), 1e-30)
    points = np.zeros((len(x), 2))
    points[:, : min(2, len(s))] = (u * s)[:, :2]
    return points, np.pad(share, (0, 2))[:2]


def spread_apart(points: Floats, least: float = 0.045) -> Floats:
    """The same points pushed apart until none hides another: `least` of the picture's width and
    1.4 times that of its height, (n, 2) -> (n, 2)."""
    size = np.maximum(np.ptp(points, axis=0), 1e-12)
    at = points / size * [1.0, 0.7]
    generator = np.random.default_rng(0)
    at = at + generator.normal(scale=1e-6, size=at.shape)  # separates equal points
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
    """Tokens, and learned positions where there are any, in their first two principal components."""
    chosen, note = frequent_tokens(run, TOKENS)
    vectors, what = token_vectors(run, chosen)
    if len(vectors) < 3:
        raise DoesNotApplyError("fewer than three tokens occur: there is nothing to lay out")
    tables = [m for m in run.model.modules() if isinstance(m, nn.Embedding)]
    positions = [m for m in tables[1:] if m.num_embeddings == run.model.context_length]
    figure, axes = panels([4.6, 3.2] if positions else [4.6])
    points, share = principal(vectors)
    _components(axes[0], share, f"{what}, two of {vectors.shape[1]} directions")
    end = run.tokenizer.end_id
    known = Counter[str]()
    names = token_labels(run, chosen.tolist())
    long = sum(len(name) > 3 for name in names) / len(names)
    moved = spread_apart(points, 0.08 if long > 0.3 else 0.06 if long else 0.045)
    for token, name, (x, y), (px, py) in zip(chosen.tolist(), names, moved, points, strict=True):
        axes[0].plot([px, x], [py, y], color=style.GRAY, lw=0.6, zorder=0)
        symbol = run.tokenizer.symbol(token)
        kind = kind_of(symbol, is_end=token == end)
        known[kind] += 1
        axes[0].plot(x, y, KINDS[kind][1], color=KINDS[kind][0], ms=14, alpha=0.25, mew=0)
        size = 14 if kind == "mark" and len(name) == 1 else style.fitting(name, 9, 3)
        ink = style.BLACK if kind == "other letter" else KINDS[kind][0]  # orange is too pale
        style.written(axes[0], x, y, name, fontsize=size, color=ink, fontweight="bold")
    handles = [
        Line2D([], [], marker=marker, color=color, ls="", alpha=0.6, label=f"{kind}s")
        for kind, (color, marker) in KINDS.items()
        if known[kind]
    ]
    style.legend_beside(axes[0], handles=handles)
    axes[0].margins(0.08)
    figure.note = note
    if positions:
        figure.reading = (
            "Neighboring positions should be neighbors as well; scattered ones were rarely trained."
        )
        points, share = principal(positions[0].weight.detach().double().numpy())
        _components(axes[1], share, "Position embeddings, joined in order")
        axes[1].plot(*points.T, color=style.GRAY, lw=0.8, zorder=1)
        dots = axes[1].scatter(
            points[:, 0], points[:, 1], c=range(len(points)), cmap=style.SEQUENCE, s=18, zorder=2
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
