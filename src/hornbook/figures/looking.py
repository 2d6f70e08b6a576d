"""Figures of what happens inside on a text: attention, reach, hidden states, single units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hornbook.data.batches import Draw, WindowBatches, build_batches
from hornbook.figures import style
from hornbook.figures.source import DoesNotApplyError, layer_names, source, symbols
from hornbook.figures.style import Figure, panels, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.layers.attention import CausalAttention, attention_weights
from hornbook.layers.recurrent import Recurrent
from hornbook.metrics.probes import Verdict, watched
from hornbook.runs.directory import StoredRun

MAP_TOKENS = 14  # of a text in an attention map, four in a row; twice as many, two in a row
STATE_TOKENS = 60
SEEN = 1e-6  # a change of a probability, or of outputs relative to their size; less is rounding
STATE_UNITS = 40
REACH = 64  # symbols back that are tried
READ = 6000  # tokens that the units are searched in
UNITS, SPANS, CONTEXT = 8, 5, 10  # shown, spans of each, symbols before the one that excites it


def first_line(run: StoredRun, text: str | None) -> str:
    """The text that is shown: a document, or a stretch of a stream."""
    text = source(run).text if text is None else text
    return text.split("\n")[0] if run.documents else text


def _cut(run: StoredRun, drawn: int, whole: int) -> str:
    """What of a text is left out, in words."""
    starts = ", starts of documents counted" if run.documents else ""
    return f"the first {drawn} of {whole:,} symbols are shown{starts}" if drawn < whole else ""


@torch.inference_mode()
def outputs(
    modules: Mapping[str, nn.Module], call: Callable[[Tensor], Tensor], ids: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `call(ids)` gives, and what modules give on the way, by name."""
    found: dict[str, Tensor] = {}

    def look(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    handles = [module.register_forward_hook(look(name)) for name, module in modules.items()]
    try:
        result = call(ids)
    finally:
        for handle in handles:
            handle.remove()
    return result, {name: found[name] for name in modules if name in found}


@torch.inference_mode()
def attention_maps(run: StoredRun, ids: list[int]) -> list[Tensor]:
    """The attention of every layer on a text, (H, T, T) each."""
    maps: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        q, k, _, mask = inputs[:4]
        maps.append(attention_weights(q, k, mask)[0].float())

    layers = [m for m in run.model.modules() if isinstance(m, CausalAttention)]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        run.model(torch.tensor([ids]))
    finally:
        for handle in handles:
            handle.remove()
    return maps


@styled
def attention(run: StoredRun, text: str | None = None) -> Figure:
    """What each symbol looks at, in every layer and head. The text is cut to 28 symbols."""
    whole = prompt_ids(run.tokenizer, first_line(run, text), "skip")
    ids = whole[: 2 * MAP_TOKENS if text is not None else MAP_TOKENS][: run.model.context_length]
    maps = attention_maps(run, ids)
    if not maps:
        raise DoesNotApplyError("no attention in this model")
    most = max(len(weights) for weights in maps)  # heads
    columns = min(4 if len(ids) <= MAP_TOKENS else 2, most)
    rows = [-(-len(weights) // columns) for weights in maps]
    side = style.WIDTH / columns
    figure, axes = panels([side] * sum(rows), columns=columns)
    names = symbols(run, ids)
    cell = 62 * side / (len(names) + 1.5)  # points
    for axis in axes:
        axis.set_visible(False)
    decided = (0.0, "")
    if text is not None:
        figure.note = _cut(run, len(ids), len(whole))
    modules = [n for n, m in run.model.named_modules() if isinstance(m, CausalAttention)]
    layer_of = layer_names(run, modules)
    for layer, weights in enumerate(maps):
        for head, weight in enumerate(weights):
            name = f"{layer_of[layer]}, head {head + 1}"
            axis = axes[sum(rows[:layer]) * columns + head]
            axis.set_visible(True)
            picture = axis.imshow(weight.numpy(), cmap=style.AMOUNT, vmin=0, vmax=1)
            labels = [(i, len(names), c) for i, c in enumerate(names)]
            labels += [(-1, i, c) for i, c in enumerate(names)]
            style.numbers(axis, labels, min(8.0, 0.8 * cell), (cell, cell), style.BLACK)
            style.square_cells(axis, [], [])
            axis.set(xlim=(-1.5, len(names) - 0.5), ylim=(len(names) + 0.5, -0.5))
            axis.set_title(name, fontsize=9)
            decided = max(decided, (float(weight[-1].max()), name))
    axes[0].set(xlabel="looked at", ylabel="looking symbol")
    style.colour_bar(figure, picture, axes, "share of a row's attention")
    figure.verdict = Verdict(
        f"most decided at the last symbol: {decided[1]}, {decided[0]:.0%} on one place"
    )
    return figure


@torch.inference_mode()
def reach(run: StoredRun) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """How far back anything counts, exactly: a symbol is changed and the outputs are watched.

    Gives by distance (0: the last symbol) the mean change of the prediction (half the sum of |dp|),
    and for each layer of units the mean relative change of its outputs at the last place; 0 where
    nothing can get through.
    """
    model, small = run.model, run.model.n_parameters < 1_000_000 or run.model.fitted
    rows, others = (4, 2) if small else (2, 1)
    generator = np.random.default_rng(0)
    bases, first = _reach_rows(run, rows, generator)
    known = np.unique(bases[:, first:])
    if len(known) < 2:
        raise DoesNotApplyError("the text holds only one symbol: none can be changed")
    length = bases.shape[1] - first
    modules = dict(watched(model))
    change = np.zeros(length)
    layers = {name: np.zeros(length) for name in modules}
    for row in bases:
        base = torch.from_numpy(row)
        batch = base.repeat(length * others + 1, 1)
        for distance in range(length):
            place = len(row) - 1 - distance
            wrong = known[known != int(base[place])]
            drawn = torch.from_numpy(generator.choice(wrong, others))
            batch[distance * others : (distance + 1) * others, place] = drawn
        logits, units = outputs(modules, model.next_logits, batch)
        p = logits.double().softmax(-1)
        change += _by_distance((p[:-1] - p[-1]).abs().sum(-1) / 2, length)
        for name, output in units.items():
            h = output.double()
            h = h[:, -1] if h.ndim == 3 else h  # the last place
            moved = (h[:-1] - h[-1]).norm(dim=-1) / h[-1].norm().clamp(min=1e-12)
            layers[name] += _by_distance(moved, length)
    return change / rows, {name: values / rows for name, values in layers.items()}


def _reach_rows(
    run: StoredRun, rows: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Rows of held-out text in which symbols are changed, (rows, length), and the first place to
    change: long documents as they are, after the start that is left alone; for windows, whose reach
    may be longer than a document, and for streams any stretch without an end."""
    model, tokenizer, texts = run.model, run.tokenizer, source(run).held_out
    if run.documents and not model.sliding:
        longest = sorted(texts, key=len)[-rows:]
        length = min(model.context_length, REACH, 1 + len(longest[0]))
        ids = [prompt_ids(tokenizer, text, "skip")[:length] for text in longest]
        if all(len(row) == length > 1 for row in ids):
            return np.array(ids), 1
    length = min(model.context_length + 4 * model.sliding, REACH)
    stretch = tokenizer.encode("".join(texts)[: 20 * length], unknown="skip").astype(np.int64)
    if len(stretch) < length:
        stretch = np.resize(stretch, length)
    starts = generator.integers(0, len(stretch) - length + 1, rows)
    return np.array([stretch[start : start + length] for start in starts]), 0


def _by_distance(values: Tensor, length: int) -> NDArray[np.float64]:
    return values.view(length, -1).mean(1).numpy()


@styled
def receptive_field(run: StoredRun) -> Figure:
    """How much the prediction, and each layer, changes when a symbol further back is changed."""
    change, layers = reach(run)
    figure, axes = panels([2.6] + ([0.5 + 0.33 * len(layers)] if layers else []), sharex=True)
    back = np.arange(len(change))
    seen = change > SEEN
    axes[0].bar(back[seen], 100 * change[seen], color=style.BLUE, width=0.8)
    axes[0].set_yscale("log")
    axes[0].set(ylabel="prediction changed by\n(% of probability, log)")
    lowest = 10.0 ** math.floor(math.log10(100 * change[seen].min())) if seen.any() else 1.0
    axes[0].set_ylim(lowest, 110)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0].yaxis.set_minor_formatter(lambda value, _: "")
    axes[0].set_title("Reach: what a changed symbol changes")
    context = run.model.context_length
    if context < len(change):
        axes[0].axvline(context - 0.5, color=style.VERMILION, ls="--", lw=1.2)
        axes[0].text(context - 0.4, 0.95, f"context: {context}", color=style.VERMILION, va="top",
                     fontsize=9, transform=axes[0].get_xaxis_transform())  # fmt: skip
    if layers:
        table = np.array(list(layers.values()))
        table = np.where(table > SEEN, np.log10(np.maximum(table, SEEN)), np.nan)
        picture = axes[1].imshow(table, cmap=style.AMOUNT, vmin=-3, vmax=0.3, aspect="auto")
        axes[1].set_yticks(range(len(layers)), layer_names(run, layers))
        axes[1].set_title("What each layer's units at the last place see (white: nothing)")
        bar = figure.colorbar(picture, ax=axes[1], label="relative\nchange")
        bar.set_ticks([-3, -2, -1, 0], labels=["0.1%", "1%", "10%", "100%"])
    axes[-1].set_xlabel("symbols back from the last (0: the last symbol)")
    style.whole_numbers(axes[-1])
    farthest = int(back[seen].max()) + 1 if seen.any() else 0
    strong = int(back[change > 0.05 * change.max()].max()) + 1 if seen.any() else 0
    sees = ", ".join(
        str(int((values > SEEN).nonzero()[0].max(initial=-1)) + 1) for values in layers.values()
    )
    figure.verdict = Verdict(
        f"the prediction depends on the last {farthest} symbols tried (by more than {SEEN:.0e}); "
        f"beyond {strong} by less than a twentieth of the strongest"
        + (f"; layers see {sees}" if layers else "")
    )
    if len(change) < context:
        figure.note = f"{len(change)} of the {context} symbols of its context were tried"
    return figure


@styled
def hidden_states(run: StoredRun, text: str | None = None) -> Figure:
    """The state of each recurrent layer along a text: its liveliest units."""
    modules = {n: m for n, m in run.model.named_modules() if isinstance(m, Recurrent)}
    if not modules:
        raise DoesNotApplyError("no recurrent layer in this model")
    lines = source(run).text if text is None else text
    ids: list[int] = []
    for line in lines.split("\n") if run.documents else [lines]:
        ids += prompt_ids(run.tokenizer, line, "skip")
    whole, ids = len(ids), ids[: min(STATE_TOKENS, run.model.context_length)]
    _, found = outputs(modules, run.model, torch.tensor([ids]))
    figure, axes = panels([3.6] * len(found))
    if text is not None:
        figure.note = _cut(run, len(ids), whole)
    layers = layer_names(run, found)
    for layer, panel, states in zip(layers, axes, found.values(), strict=True):
        h = states[0].float().numpy().T  # (units, T)
        lively = np.argsort(-h.std(1))[:STATE_UNITS]
        lively = lively[np.argsort(np.abs(h[lively]).argmax(1), kind="stable")]
        picture = panel.imshow(
            h[lively], cmap=style.DIFFERENCE, vmin=-1, vmax=1, aspect="auto", interpolation="none"
        )
        style.square_cells(panel, [], symbols(run, ids), 8 if len(ids) <= 40 else 6)
        panel.set(
            title=f"State of {layer} along the text",
            xlabel="symbols, in order", ylabel=f"{len(lively)} of {len(h)} units",
        )  # fmt: skip
        figure.colorbar(picture, ax=panel, label="state")
    return figure


@torch.inference_mode()
def excited(run: StoredRun) -> tuple[NDArray[np.float32], list[str], list[tuple[str, ...]]]:
    """The outputs of all units on held-out text, (examples, units), the units' names, and for each
    example the symbols up to it, the last being the one that was read."""
    model, part, tokenizer = run.model, source(run).part, run.tokenizer
    modules = dict(watched(model))
    if not modules:
        raise DoesNotApplyError(
            "no layer of units (tanh, ReLU, GELU, SiLU, recurrent) in this model"
        )
    if model.sliding:
        n = min(READ, part.n_targets)
        windows = WindowBatches(part, model.context_length, Draw(batch_size=n, seed=0))
        ids = windows.batch(0)[0]
        _, found = outputs(modules, model.next_logits, ids)
        values = [h[:, -1] if h.ndim == 3 else h for h in found.values()]
        ends = [(row, len(row)) for row in ids.tolist()]
    else:
        length = min(model.context_length, part.n_targets)
        rows = Draw(batch_size=max(1, READ // length), seed=0)
        ids = build_batches(part, "sequences", length, rows).batch(0)[0]
        _, found = outputs(modules, model, ids)
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
    """For each of the most selective units the spans of held-out text that excite it most.

    Selective: its largest outputs (or most negative, marked -) lie furthest from its mean, in
    deviations; units of the same layer that fire at the same place are shown once.
    """
    values, names, texts = excited(run)
    centred = (values - values.mean(0)) / np.maximum(values.std(0), 1e-6)
    centred[:, values.std(0) < 1e-4] = 0
    top = max(3, len(values) // 500)
    high = np.sort(centred, axis=0)[-top:].mean(0)
    low = -np.sort(centred, axis=0)[:top].mean(0)
    sign = np.where(high >= low, 1, -1)
    chosen: list[int] = []
    places: set[tuple[str, ...]] = set()
    for unit in np.argsort(-np.maximum(high, low)).tolist():
        strongest = texts[int((centred[:, unit] * sign[unit]).argmax())][-3:]
        if strongest not in places:
            places.add(strongest)
            chosen.append(unit)
        if len(chosen) == UNITS:
            break
    mono = ["DejaVu Sans Mono", *style.families()]
    figure, (axes,) = panels([0.62 * len(chosen) + 0.2])
    axes.axis("off")
    axes.set(xlim=(0, 100), ylim=(len(chosen), 0))
    axes.set_title("Units and what excites them most (the last symbol)")
    for row, unit in enumerate(chosen):
        z = centred[:, unit] * sign[unit]
        mark = "" if sign[unit] > 0 else " (−)"
        axes.text(0, row + 0.3, f"{names[unit]}{mark}", fontsize=9, va="center", fontweight="bold")
        axes.text(0, row + 0.68, f"up to {z.max():.1f} deviations", fontsize=8, va="center",
                  color=style.GREY)  # fmt: skip
        spans: list[tuple[tuple[str, ...], float]] = []
        for i in np.argsort(-z).tolist():
            if texts[i] not in (text for text, _ in spans):
                spans.append((texts[i], float(z[i])))
            if len(spans) == SPANS:
                break
        for column, (text, strength) in enumerate(spans):
            x = 26 + column * 15 + 13
            *before, last = map(style.shown, text)
            while sum(map(len, before)) > 9 - len(last):
                before.pop(0)
            axes.text(x - 1.3 * len(last), row + 0.3, "".join(before), family=mono, fontsize=8.5,
                      ha="right", va="center")  # fmt: skip
            axes.text(x, row + 0.3, last, family=mono, fontsize=9 if len(last) > 1 else 9.5,
                      ha="right", va="center", fontweight="bold", color=style.VERMILION)  # fmt: skip
            axes.text(x, row + 0.68, f"{strength:.1f}", fontsize=7.5, ha="right", va="center",
                      color=style.GREY)  # fmt: skip
    return figure
