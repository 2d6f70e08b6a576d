"""The figure of attention: what each token attends to, in every layer and head."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hornbook.figures import style
from hornbook.figures.data import DoesNotApplyError, cut_note, layer_names, texts_of, token_labels
from hornbook.figures.style import Figure, panels, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.layers.attention import CausalAttention, attention_weights
from hornbook.metrics.finding import Finding
from hornbook.runs.directory import StoredRun

MAP_TOKENS = 14  # of a text in a map, four maps in a row; twice as many, two in a row


@torch.inference_mode()
def attention_maps(run: StoredRun, ids: list[int]) -> list[Tensor]:
    """The attention of every layer on a text, (H, T, T) each."""
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        q, k, _, mask = inputs[:4]
        maps.append(attention_weights(q, k, mask)[0].float())

    layers = [m for m in run.model.modules() if isinstance(m, CausalAttention)]
    handles = [layer.register_forward_pre_hook(keep) for layer in layers]
    try:
        run.model(torch.tensor([ids], device=run.model.device))
    finally:
        for handle in handles:
            handle.remove()
    return maps


def attention_layers(run: StoredRun) -> list[str]:
    """The names of the layers of `attention_maps`."""
    modules = [n for n, m in run.model.named_modules() if isinstance(m, CausalAttention)]
    return layer_names(run, modules)


@styled
def attention(run: StoredRun, text: str | None = None) -> Figure:
    """What each token attends to, in every layer and head, of the first 28 tokens of a text."""
    whole = prompt_ids(run.tokenizer, texts_of(run, text)[0], "skip")
    ids = whole[: 2 * MAP_TOKENS if text is not None else MAP_TOKENS][: run.model.context_length]
    maps = attention_maps(run, ids)
    if not maps:
        raise DoesNotApplyError("no attention in this model")
    most = max(len(weights) for weights in maps)  # heads
    columns = min(4 if len(ids) <= MAP_TOKENS else 2, most)
    rows = [-(-len(weights) // columns) for weights in maps]
    side = style.page_width() / columns
    figure, axes = panels([side] * sum(rows), columns=columns)
    names = token_labels(run, ids)
    cell = 62 * side / (len(names) + 1.5)  # points
    labels = [(i, len(names), c) for i, c in enumerate(names)]
    labels += [(-1, i, c) for i, c in enumerate(names)]
    for axis in axes:
        axis.set_visible(False)
    sharpest = (0.0, "")
    if text is not None:
        figure.note = cut_note(run, len(ids), len(whole))
    layers = zip(attention_layers(run), maps, np.cumsum([0, *rows]), strict=False)
    for layer, weights, row in layers:
        for head, weight in enumerate(weights):
            name = f"{layer}, head {head + 1}"
            axis = axes[row * columns + head]
            axis.set_visible(True)
            picture = axis.imshow(weight.numpy(), cmap=style.AMOUNT, vmin=0, vmax=1)
            style.numbers(axis, labels, min(8.0, 0.8 * cell), (cell, cell), style.BLACK)
            style.square_cells(axis, [], [])
            axis.set(xlim=(-1.5, len(names) - 0.5), ylim=(len(names) + 0.5, -0.5))
            axis.set_title(name, fontsize=9)
            sharpest = max(sharpest, (float(weight[-1].max()), name))
    axes[0].set(xlabel="attended token", ylabel="attending token")
    style.color_bar(figure, picture, axes, "share of a row's attention")
    figure.finding = Finding(
        f"sharpest at the last token: {sharpest[1]}, {sharpest[0]:.0%} on one position"
    )
    return figure
