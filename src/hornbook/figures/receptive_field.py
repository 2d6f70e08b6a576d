"""The figure of the receptive field: how far back a changed token changes the prediction."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hornbook.figures import style
from hornbook.figures.data import (
    DoesNotApplyError,
    figure_data,
    layer_names,
    module_outputs,
    once_per_run,
)
from hornbook.figures.style import Figure, panels, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.metrics.finding import Finding
from hornbook.metrics.probes import unit_layers
from hornbook.runs.directory import StoredRun

ROUNDING = 1e-6  # changes of a probability, or relative changes of outputs, below it are rounding
MAX_DISTANCE = 64  # tokens back that are tried


@once_per_run
@torch.inference_mode()
def reach(run: StoredRun) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """How much the outputs at the last position change when a token further back is changed.

    Returns by distance (0: the last token) the mean change of the prediction (half the sum of |dp|),
    (distances,), and for each layer of units the mean relative change of its outputs, (distances,);
    0 beyond the receptive field.
    """
    model, small = run.model, run.model.n_parameters < 1_000_000 or run.model.fitted
    rows, others = (4, 2) if small else (2, 1)
    generator = np.random.default_rng(0)
    bases, first = _reach_rows(run, rows, generator)
    known = np.unique(bases[:, first:])
    if len(known) < 2:
        raise DoesNotApplyError("the text holds only one token, so none can be changed")
    length = bases.shape[1] - first
    modules = dict(unit_layers(model))
    change = np.zeros(length)
    layers = {name: np.zeros(length) for name in modules}
    for row in bases:
        base = torch.from_numpy(row)
        batch = base.repeat(length * others + 1, 1)
        for distance in range(length):
            position = len(row) - 1 - distance
            different = known[known != int(base[position])]
            drawn = torch.from_numpy(generator.choice(different, others))
            batch[distance * others : (distance + 1) * others, position] = drawn
        logits, units = module_outputs(modules, model.next_logits, batch)
        p = logits.double().softmax(-1)
        change += _by_distance((p[:-1] - p[-1]).abs().sum(-1) / 2, length)
        for name, output in units.items():
            h = output.double()
            h = h[:, -1] if h.ndim == 3 else h  # the last position
            moved = (h[:-1] - h[-1]).norm(dim=-1) / h[-1].norm().clamp(min=1e-12)
            layers[name] += _by_distance(moved, length)
    return change / rows, {name: values / rows for name, values in layers.items()}


def _reach_rows(
    run: StoredRun, rows: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Rows of held-out text in which tokens are changed, (rows, length), and the first position to
    change: long documents, but for their start token; for windows, which may be longer than a
    document, and for streams any stretch without an end."""
    model, tokenizer, texts = run.model, run.tokenizer, figure_data(run).held_out
    if run.documents and not model.sliding:
        longest = sorted(texts, key=len)[-rows:]
        length = min(model.context_length, MAX_DISTANCE, 1 + len(longest[0]))
        ids = [prompt_ids(tokenizer, text, "skip")[:length] for text in longest]
        if all(len(row) == length > 1 for row in ids):
            return np.array(ids), 1
    length = min(model.context_length + 4 * model.sliding, MAX_DISTANCE)
    stretch = tokenizer.encode("".join(texts)[: 20 * length], unknown="skip").astype(np.int64)
    if len(stretch) < length:
        stretch = np.resize(stretch, length)
    starts = generator.integers(0, len(stretch) - length + 1, rows)
    return np.array([stretch[start : start + length] for start in starts]), 0


def _by_distance(values: Tensor, length: int) -> NDArray[np.float64]:
    return values.view(length, -1).mean(1).numpy()


@styled
def receptive_field(run: StoredRun) -> Figure:
    """How much the prediction, and each layer, changes when a token further back is changed."""
    change, layers = reach(run)
    figure, axes = panels([2.6] + ([0.5 + 0.33 * len(layers)] if layers else []), sharex=True)
    back = np.arange(len(change))
    changed = change > ROUNDING
    top, bottom = axes[0], axes[-1]
    top.bar(back[changed], 100 * change[changed], color=style.BLUE, width=0.8)
    lowest = 10.0 ** math.floor(math.log10(100 * change[changed].min())) if changed.any() else 1.0
    top.set(
        yscale="log", ylabel="prediction changed by\n(% of probability, log)", ylim=(lowest, 110),
        title="Receptive field: what a changed token changes",
    )  # fmt: skip
    style.plain_digits(top.yaxis)
    context = run.model.context_length
    if context < len(change):
        top.axvline(context - 0.5, color=style.VERMILION, ls="--", lw=1.2)
        top.text(context - 0.4, 0.95, f"context: {context}", color=style.VERMILION, va="top",
                 fontsize=9, transform=top.get_xaxis_transform())  # fmt: skip
    if layers:
        table = np.array(list(layers.values()))
        table = np.where(table > ROUNDING, np.log10(np.maximum(table, ROUNDING)), np.nan)
        picture = bottom.imshow(table, cmap=style.AMOUNT, vmin=-3, vmax=0.3, aspect="auto")
        bottom.set_yticks(range(len(layers)), layer_names(run, layers))
        bottom.set_title("What each layer's units at the last position depend on (white: nothing)")
        bar = figure.colorbar(picture, ax=bottom, label="relative\nchange")
        bar.set_ticks([-3, -2, -1, 0], labels=["0.1%", "1%", "10%", "100%"])
    bottom.set_xlabel("tokens back from the last (0: the last token)")
    style.whole_numbers(bottom)
    farthest = int(back[changed].max()) + 1 if changed.any() else 0
    strong = int(back[change > 0.05 * change.max()].max()) + 1 if changed.any() else 0
    tokens = "token" if farthest == 1 else f"{farthest} tokens"
    words = f"the prediction depends on the last {tokens} tried (by more than {ROUNDING:.0e})"
    if strong < farthest:
        words += f"; beyond {strong} by less than a twentieth of the strongest"
    if layers:
        fields = (np.flatnonzero(found > ROUNDING).max(initial=-1) + 1 for found in layers.values())
        words += f"; layers depend on {', '.join(map(str, fields))}"
    figure.finding = Finding(words)
    if len(change) < context:
        figure.note = f"{len(change)} of the {context} tokens of its context were tried"
    return figure
