"""Figures of units: hidden states along a text, and the texts that activate single units most."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from hornbook.data.batches import Draw, build_batches
from hornbook.figures import style
from hornbook.figures.data import (
    NO_UNITS,
    DoesNotApplyError,
    cut_note,
    figure_data,
    layer_names,
    module_outputs,
    texts_of,
    token_labels,
)
from hornbook.figures.style import Figure, panels, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.layers.recurrent import RNN, Recurrent
from hornbook.metrics.probes import unit_layers
from hornbook.runs.directory import StoredRun

STATE_TOKENS, STATE_UNITS = 60, 40
SEARCHED = 6000  # tokens of held-out text
UNITS, SPANS, CONTEXT = 8, 5, 10  # drawn, spans of each, tokens before the one that activates it


@styled
def hidden_states(run: StoredRun, text: str | None = None) -> Figure:
    """The state of each recurrent layer along a text: the units that vary most."""
    modules = {n: m for n, m in run.model.named_modules() if isinstance(m, Recurrent)}
    if not modules:
        raise DoesNotApplyError("no recurrent layer in this model")
    lines = texts_of(run, text)
    every = [token for line in lines for token in prompt_ids(run.tokenizer, line, "skip")]
    ids = every[: min(STATE_TOKENS, run.model.context_length)]
    _, found = module_outputs(modules, run.model, torch.tensor([ids], device=run.model.device))
    figure, axes = panels([3.6] * len(found))
    if all(isinstance(module, RNN) for module in modules.values()):
        figure.reading = "An LSTM or GRU remembers longer."
    if text is not None:
        figure.note = cut_note(run, len(ids), len(every))
    layers = layer_names(run, found)
    for layer, panel, states in zip(layers, axes, found.values(), strict=True):
        h = states[0].float().numpy().T  # (units, T)
        varying = np.argsort(-h.std(1))[:STATE_UNITS]
        varying = varying[np.argsort(np.abs(h[varying]).argmax(1), kind="stable")]
        picture = panel.imshow(
            h[varying], cmap=style.DIFFERENCE, vmin=-1, vmax=1, aspect="auto", interpolation="none"
        )
        style.square_cells(panel, [], token_labels(run, ids), 8 if len(ids) <= 40 else 6)
        panel.set(
            title=f"State of {layer} along the text",
            xlabel="tokens, in order", ylabel=f"{len(varying)} of {len(h)} units",
        )  # fmt: skip
        figure.colorbar(picture, ax=panel, label="state")
    return figure


@torch.inference_mode()
def unit_outputs(run: StoredRun) -> tuple[NDArray[np.float32], list[str], list[tuple[str, ...]]]:
    """The outputs of all units on held-out text, (examples, units), the units' names, and the tokens
    up to each example, the last of which was just read."""
    model, part, tokenizer = run.model, figure_data(run).part, run.tokenizer
    modules = dict(unit_layers(model))
    if not modules:
        raise DoesNotApplyError(NO_UNITS)
    if model.sliding:
        draw = Draw(batch_size=min(SEARCHED, part.n_targets), seed=0)
        ids = build_batches(part, "windows", model.context_length, draw).batch(0)[0]
        _, found = module_outputs(modules, model.next_logits, ids)
        values = [h[:, -1] if h.ndim == 3 else h for h in found.values()]
        ends = [(row, len(row)) for row in ids.tolist()]
    else:
        length = min(model.context_length, part.n_targets)
        draw = Draw(batch_size=max(1, SEARCHED // length), seed=0)
        ids = build_batches(part, "sequences", length, draw).batch(0)[0]
        _, found = module_outputs(modules, model, ids)
        values = [h.reshape(-1, h.shape[-1]) for h in found.values()]
        ends = [(row, t + 1) for row in ids.tolist() for t in range(len(row))]
    names = [
        f"{layer}, unit {unit}"
        for layer, h in zip(layer_names(run, found), values, strict=True)
        for unit in range(h.shape[1])
    ]
    texts = []
    for row, end in ends:
        span = row[max(0, end - CONTEXT - 1) : end]
        if tokenizer.end_id is not None:  # nothing before the start of its own document
            starts = [i for i, token in enumerate(span) if token == tokenizer.end_id]
            span = span[starts[-1] :] if starts else span
        texts.append(tuple(map(tokenizer.symbol, span)))
    return torch.cat(values, dim=1).float().numpy(), names, texts


@styled
def neurons(run: StoredRun) -> Figure:
    """For each of the most selective units the spans of held-out text that activate it most.

    A unit is selective where its largest outputs (or most negative, marked −) lie far from its mean,
    in standard deviations. Of units that are activated most by the same tokens one is drawn.
    """
    values, names, texts = unit_outputs(run)
    centered = (values - values.mean(0)) / np.maximum(values.std(0), 1e-6)
    centered[:, values.std(0) < 1e-4] = 0
    top = max(3, len(values) // 500)
    high = np.sort(centered, axis=0)[-top:].mean(0)
    low = -np.sort(centered, axis=0)[:top].mean(0)
    sign = np.where(high >= low, 1, -1)
    chosen: dict[tuple[str, ...], int] = {}  # by the tokens that activate a unit most
    for unit in np.argsort(-np.maximum(high, low)).tolist():
        strongest = texts[int((centered[:, unit] * sign[unit]).argmax())][-3:]
        chosen.setdefault(strongest, unit)
        if len(chosen) == UNITS:
            break
    mono = ["DejaVu Sans Mono", *style.families()]
    figure, (axes,) = panels([0.62 * len(chosen) + 0.2])
    axes.axis("off")
    axes.set(xlim=(0, 100), ylim=(len(chosen), 0))
    axes.set_title("Units and what activates them most (the last token)")
    write = partial(axes.text, va="center")
    spans_drawn, span_width, names_width = SPANS, 15, 26
    if style.is_narrow():
        spans_drawn, span_width, names_width = 2, 28, 42
    letter = 1.3 * style.WIDTH / style.page_width()
    for row, unit in enumerate(chosen.values()):
        z = centered[:, unit] * sign[unit]
        mark = "" if sign[unit] > 0 else " (−)"
        write(0, row + 0.3, f"{names[unit]}{mark}", fontsize=9, fontweight="bold")
        write(0, row + 0.68, f"up to {z.max():.1f} std. deviations", fontsize=8, color=style.GRAY)
        spans: dict[tuple[str, ...], float] = {}
        for i in np.argsort(-z).tolist():
            spans.setdefault(texts[i], float(z[i]))
            if len(spans) == spans_drawn:
                break
        for column, (text, strength) in enumerate(spans.items()):
            x = names_width + (column + 1) * span_width - 2
            *before, last = map(style.shown, text)
            last = style.shortened(last, 9)  # a token may be a long word
            while before and sum(map(len, before)) > 9 - len(last):
                before.pop(0)
            write(x - letter * len(last), row + 0.3, "".join(before), family=mono, fontsize=8.5,
                  ha="right")  # fmt: skip
            write(x, row + 0.3, last, family=mono, fontsize=9 if len(last) > 1 else 9.5,
                  ha="right", fontweight="bold", color=style.VERMILION)  # fmt: skip
            write(x, row + 0.68, f"{strength:.1f}", fontsize=7.5, ha="right", color=style.GRAY)
    return figure
