"""Figures of a text as the model reads it: surprise symbol by symbol, and what it thinks comes next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from hornbook.diagnostics import style
from hornbook.diagnostics.probes import Verdict
from hornbook.diagnostics.source import DoesNotApplyError, next_probabilities, source
from hornbook.diagnostics.style import Figure, panels, shown, styled
from hornbook.generate.decode import prompt_ids
from hornbook.run import Run

COLUMNS = 12  # symbols in a line of the surprise figure
SYMBOLS = 60  # at most
ALTERNATIVES = 5
BITS = 8.0  # the darkest shade
BEAM = 4  # times as many beginnings go on as are shown in the end
LEAVES = 16  # continuations in the tree
DEPTH = 6


@styled
def surprise(run: Run, text: str | None = None) -> Figure:
    """Each symbol of a text shaded by its bits, with the model's top five below it.

    Documents are given one a line; each is read from its start to its end. At most 60 symbols.
    """
    text = source(run).text if text is None else text
    lines: list[list[tuple[str, float, list[tuple[str, float]]]]] = []
    room, bits = SYMBOLS, []
    for piece in text.split("\n") if run.documents else [text]:
        cells = _read(run, piece)[:room]
        room -= len(cells)
        bits += [cost for _, cost, _ in cells]
        lines += [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]
    if not bits:
        raise DoesNotApplyError("the text holds no symbol that the model knows")
    figure, (axes,) = panels([1.3 * len(lines) + 0.2])
    for row, cells in enumerate(lines):
        for column, cell in enumerate(cells):
            _cell(axes, column, row, *cell)
    axes.set(xlim=(-0.02, COLUMNS), ylim=(len(lines) + 0.02, -0.02))
    axes.axis("off")
    axes.set_title("Surprise, symbol by symbol, and what the model thought likelier")
    scale = axes.imshow([[0.0]], cmap=style.AMOUNT, vmin=0, vmax=BITS, extent=(-2, -1, -2, -1))
    axes.set(xlim=(-0.02, COLUMNS), ylim=(len(lines) + 0.02, -0.02), aspect="auto")
    figure.colorbar(scale, ax=axes, label="surprise (bits)", location="bottom", aspect=50, pad=0.02)
    uniform = math.log2(run.facts["vocab_size"])
    figure.verdict = Verdict(
        f"{sum(bits) / len(bits):.2f} bits a symbol on average; knowing nothing: {uniform:.2f}"
    )
    return figure


def _read(run: Run, text: str) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """For each symbol of a text (a document's end too): how it is shown, bits, the top five."""
    tokenizer = run.tokenizer
    ids = [tokenizer.start_id, *tokenizer.encode(text, unknown="skip").tolist()]
    if tokenizer.end_id is not None:
        ids.append(tokenizer.end_id)
    if len(ids) < 2:
        return []
    p = next_probabilities(run, ids[:-1])
    best = p.topk(min(ALTERNATIVES, p.shape[1]))
    return [
        (
            shown(tokenizer.symbol(token)),
            -math.log2(max(float(p[i, token]), 1e-12)),
            [
                (shown(tokenizer.symbol(int(t))), float(q))
                for q, t in zip(best.values[i], best.indices[i], strict=True)
            ],
        )
        for i, token in enumerate(ids[1:])
    ]


def _cell(
    axes: Axes, x: int, y: int, symbol: str, bits: float, best: list[tuple[str, float]]
) -> None:
    axes.add_patch(
        Rectangle((x + 0.03, y), 0.94, 0.36, facecolor=style.AMOUNT(min(bits / BITS, 1.0)), lw=0.5,
                  edgecolor=style.PALE)
    )  # fmt: skip
    ink = "white" if bits > 0.45 * BITS else style.BLACK
    style.written(axes, x + 0.5, y + 0.13, symbol, fontsize=12, color=ink, fontweight="bold")
    style.written(axes, x + 0.5, y + 0.285, f"{bits:.1f}", fontsize=7, color=ink)
    for i, (other, p) in enumerate(best):
        same = other == symbol
        style.written(
            axes, x + 0.5, y + 0.43 + 0.1 * i, f"{other} {100 * p:.0f}%", fontsize=7,
            color=style.VERMILION if same else style.BLACK,
            fontweight="bold" if same else "normal",
        )  # fmt: skip


@dataclass(eq=False)
class Node:
    """A beginning: its ids, how its last symbol is shown, its probability, and what follows it."""

    ids: list[int]
    symbol: str
    p: float
    depth: int
    ended: bool = False
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None


@torch.inference_mode()
def grow(run: Run, prompt: str, leaves: int = LEAVES, depth: int = DEPTH) -> Node:
    """The tree of the most probable continuations up to `depth` symbols, by a beam.

    At each depth the BEAM * leaves most probable beginnings go on, those at the end of their document
    stay as they are; in the end the `leaves` most probable are left.
    """
    tokenizer, model = run.tokenizer, run.model
    root = Node(prompt_ids(tokenizer, prompt, "skip"), "".join(map(shown, prompt)) or "start", 1, 0)
    beam = [root]
    for _ in range(depth):
        alive = [node for node in beam if not node.ended]
        if not alive:
            break
        rows = torch.tensor([node.ids[-model.context_length :] for node in alive])
        p = model.next_logits(rows).float().softmax(-1)
        best = p.topk(min(BEAM * leaves, p.shape[1]))
        found = [
            Node(
                [*node.ids, token],
                shown(tokenizer.symbol(token)),
                node.p * share,
                node.depth + 1,
                token == tokenizer.end_id,
                parent=node,
            )
            for node, shares, tokens in zip(
                alive, best.values.tolist(), best.indices.tolist(), strict=True
            )
            for share, token in zip(shares, tokens, strict=True)
        ]
        found += [node for node in beam if node.ended]
        beam = sorted(found, key=lambda node: -node.p)[: BEAM * leaves]
    for end in beam[:leaves]:  # only what leads to an end becomes part of the tree
        node = end
        while node.parent is not None and node not in node.parent.children:
            node.parent.children.append(node)
            node = node.parent
    return root


@styled
def continuations(run: Run, text: str | None = None) -> Figure:
    """The most probable continuations of a prompt as a tree; lines as thick as they are probable.

    text: the prompt; the first line of it. None: nothing for documents, a stretch for a stream.
    """
    prompt = (text or "").split("\n")[0]
    if text is None and not run.documents:
        prompt = source(run).text[:20]
    root = grow(run, prompt)
    rows: dict[int, float] = {}
    ends: list[Node] = []
    _place(root, rows, ends)
    figure, (axes,) = panels([0.26 * max(4, len(ends)) + 0.3])
    _branch(axes, root, rows)
    for row, node in enumerate(ends):
        path = "".join(run.tokenizer.symbol(i) for i in node.ids[len(root.ids) :])
        label = f"{prompt}{path}"[-26:]
        axes.text(
            node.depth + 0.25, row, f"{''.join(map(shown, label))}  {100 * node.p:.2g}%",
            va="center", fontsize=8.5, color=style.GREY,
        )  # fmt: skip
    axes.set(xlim=(-0.1, DEPTH + 2.6), ylim=(max(4, len(ends)) - 0.4, -0.6))
    axes.axis("off")
    start = f"“{''.join(map(shown, prompt))}”" if prompt else "the start of a document"
    axes.set_title(f"What comes next after {start}")
    total = sum(node.p for node in ends)
    figure.verdict = Verdict(f"these {len(ends)} continuations hold {total:.0%} of the probability")
    return figure


def _place(node: Node, rows: dict[int, float], ends: list[Node]) -> float:
    """Gives each node its row: ends one below the other, others in the middle of theirs."""
    if not node.children:
        ends.append(node)
        rows[id(node)] = float(len(ends) - 1)
    else:
        below = [_place(child, rows, ends) for child in node.children]
        rows[id(node)] = (below[0] + below[-1]) / 2
    return rows[id(node)]


def _branch(axes: Axes, node: Node, rows: dict[int, float]) -> None:
    x, y = node.depth, rows[id(node)]
    for child in node.children:
        axes.plot(
            [x, x + 0.5, x + 1], [y, rows[id(child)], rows[id(child)]], color=style.SKY, zorder=1,
            lw=max(0.6, 14 * child.p / max(node.p, 1e-9) * math.sqrt(node.p)),
            solid_capstyle="round", solid_joinstyle="round",
        )  # fmt: skip
        _branch(axes, child, rows)
    axes.text(
        x, y, node.symbol if node.depth else ("…" + node.symbol[-8:] if len(node.symbol) > 8 else
        node.symbol), ha="center", va="center", fontsize=10, fontweight="bold", zorder=2,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": style.GREY,
              "lw": 0.6},
    )  # fmt: skip
