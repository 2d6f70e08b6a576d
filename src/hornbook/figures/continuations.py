"""The figure of continuations: the most probable ones of a prompt, as a tree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from matplotlib.axes import Axes

from hornbook.errors import counted
from hornbook.figures import style
from hornbook.figures.data import figure_data, known_text
from hornbook.figures.style import Figure, panels, shown, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.metrics.copying import percent
from hornbook.metrics.finding import Finding
from hornbook.runs.directory import StoredRun

PROMPT, NARROW_PROMPT = 24, 18  # characters of a prompt that are written before what follows it
BEAM = 4  # times as many beginnings are continued as are drawn in the end
LEAVES = 16  # continuations in the tree
DEPTH, NARROW_DEPTH = 6, 4  # tokens


@dataclass(eq=False)
class Continuation:
    """A node of the tree: its ids, the label of its last token, its probability, what follows it."""

    ids: list[int]
    label: str
    p: float
    depth: int
    ended: bool = False
    children: list[Continuation] = field(default_factory=list)
    parent: Continuation | None = None


@torch.inference_mode()
def most_probable_tree(
    run: StoredRun, prompt: str | list[int], leaves: int = LEAVES, depth: int = DEPTH
) -> Continuation:
    """The tree of the most probable continuations up to `depth` tokens, by beam search.

    At each depth the BEAM * leaves most probable beginnings are continued, but for those at the end
    of their document; in the end the `leaves` most probable are kept. prompt: a text, or ids that are
    read as they are, at least one.
    """
    tokenizer, model = run.tokenizer, run.model
    ids = prompt if isinstance(prompt, list) else prompt_ids(tokenizer, prompt, "skip")
    root = Continuation(ids, shown(tokenizer.decode(ids)) or "start", 1, 0)
    beam = [root]
    for _ in range(depth):
        alive = [node for node in beam if not node.ended]
        if not alive:
            break
        rows = torch.tensor(
            [node.ids[-model.context_length :] for node in alive], device=model.device
        )
        p = model.next_logits(rows).float().softmax(-1)
        best = p.topk(min(BEAM * leaves, p.shape[1]))
        found = []
        choices = zip(alive, best.values.tolist(), best.indices.tolist(), strict=True)
        for node, shares, tokens in choices:
            for share, token in zip(shares, tokens, strict=True):
                label, ended = shown(tokenizer.symbol(token)), token == tokenizer.end_id
                ids, p = [*node.ids, token], node.p * share
                found.append(Continuation(ids, label, p, node.depth + 1, ended, parent=node))
        found += [node for node in beam if node.ended]
        beam = sorted(found, key=lambda node: -node.p)[: BEAM * leaves]
    for end in beam[:leaves]:  # only what leads to an end becomes part of the tree
        node = end
        while node.parent is not None and node not in node.parent.children:
            node.parent.children.append(node)
            node = node.parent
    return root


@styled
def continuations(run: StoredRun, text: str | None = None) -> Figure:
    """The most probable continuations of a prompt as a tree; lines as thick as they are probable.

    text: the prompt; of documents the first. None: nothing for documents, a stretch for a
    stream.
    """
    prompt, *more = (text or "").split(run.document_end) if run.documents else [text or ""]
    if text is None and not run.documents:
        prompt = figure_data(run).text[:20]
    prompt, left_out = known_text(run, prompt)
    depth = NARROW_DEPTH if style.is_narrow() else DEPTH
    root = most_probable_tree(run, prompt, depth=depth)
    rows: dict[int, float] = {}
    ends: list[Continuation] = []
    _place_rows(root, rows, ends)
    figure, (axes,) = panels([0.26 * max(4, len(ends)) + 0.3])
    _branch(axes, root, rows)
    for row, node in enumerate(ends):
        path = "".join(run.tokenizer.symbol(i) for i in node.ids[len(root.ids) :])
        letters = NARROW_PROMPT if style.is_narrow() else PROMPT
        label = style.shortened(shown(f"{prompt}{path}"), letters)
        beside = style.width(*_label(node), "bold") / 2 + 6  # points: past its box
        # apart, as letters that run from right to left would carry the number with them
        for x, words in ((beside, _percent(node.p)), (beside + 44, label)):
            axes.annotate(
                words, (node.depth, row), xytext=(x, 0), textcoords="offset points", va="center",
                fontsize=8.5, color=style.GRAY,
            )  # fmt: skip
    start = f"“{style.shortened(shown(prompt), PROMPT)}”" if prompt else "the start of a document"
    axes.set(xlim=(-0.1 - 0.2 * style.is_narrow(), depth + 3.7), ylim=(max(4, len(ends)) - 0.4, -0.6),
             title=f"What comes next after {start}")  # fmt: skip
    axes.axis("off")
    share = percent(sum(node.p for node in ends))
    figure.finding = Finding(f"these {len(ends)} continuations hold {share} of the probability")
    notes = [left_out, "of the text its first line is continued" if more else ""]
    if (read := run.model.context_length) < len(root.ids):
        seen = counted(read, "token")
        notes.append(f"of the prompt the model sees the last {seen}, its context")
    figure.note = "; ".join(filter(None, notes))
    return figure


def _place_rows(node: Continuation, rows: dict[int, float], ends: list[Continuation]) -> float:
    """Gives each node its row: ends one below the other, others in the middle of theirs."""
    if not node.children:
        ends.append(node)
        rows[id(node)] = float(len(ends) - 1)
    else:
        below = [_place_rows(child, rows, ends) for child in node.children]
        rows[id(node)] = (below[0] + below[-1]) / 2
    return rows[id(node)]


def _branch(axes: Axes, node: Continuation, rows: dict[int, float]) -> None:
    x, y = node.depth, rows[id(node)]
    for child in node.children:
        axes.plot(
            [x, x + 0.5, x + 1], [y, rows[id(child)], rows[id(child)]], color=style.SKY, zorder=1,
            lw=max(0.6, 14 * child.p / max(node.p, 1e-9) * math.sqrt(node.p)),
            solid_capstyle="round", solid_joinstyle="round",
        )  # fmt: skip
        _branch(axes, child, rows)
    label, size = _label(node)
    axes.text(
        x, y, label, ha="center", va="center", fontsize=size, fontweight="bold", zorder=2,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": style.GRAY,
              "lw": 0.6},
    )  # fmt: skip


def _label(node: Continuation) -> tuple[str, float]:
    """The text in the box of a node, and the size of its font."""
    label = node.label if node.depth else style.shortened(node.label, 8)
    return label, style.fitting(label, 10, 5)


def _percent(p: float) -> str:
    """A probability in two digits; tiny ones as such."""
    share = 100 * p
    return f"{share:.0f}%" if share >= 9.5 else f"{share:.2g}%" if share >= 0.01 else "<0.01%"
