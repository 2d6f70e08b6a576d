"""Figures of a text as the model reads it: surprise symbol by symbol, and what it thinks comes next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from hornbook.figures import style
from hornbook.figures.source import DoesNotApplyError, next_probabilities, readable, source
from hornbook.figures.style import Figure, panels, shown, styled
from hornbook.generate.decoder import prompt_ids
from hornbook.metrics.loss import Score, score
from hornbook.metrics.novelty import percent
from hornbook.metrics.probes import Verdict
from hornbook.runs.directory import StoredRun

COLUMNS = 12  # symbols in a line of the surprise figure
SYMBOLS = 60  # up to which the alternatives are shown as well
NARROW, WHOLE = 40, 1600  # symbols in a line without them, and in all
LINES = 80  # of many short documents
PROMPT = 24  # symbols of a prompt that are written before what follows it
ALTERNATIVES = 5
BITS = 8.0  # the darkest shade
BEAM = 4  # times as many beginnings go on as are shown in the end
LEAVES = 16  # continuations in the tree
DEPTH = 6


@styled
def surprise(run: StoredRun, text: str | None = None) -> Figure:
    """Each symbol of a text shaded by its bits, up to SYMBOLS with the model's top five below.

    Documents are given one a line; each is read from its start to its end, which counts as a
    symbol. The bits are those of `score`, and the average is that of the whole text, of which at
    most WHOLE symbols are drawn, SYMBOLS where no text is given.
    """
    long = text is not None
    text = source(run).text if text is None else text
    pieces = text.split("\n") if run.documents else [text]
    pieces = [piece for piece in pieces if len(run.tokenizer.encode(piece, unknown="skip"))]
    if not pieces:
        raise DoesNotApplyError("the text holds no symbol that the model knows")
    scores = score(run.model, run.tokenizer, pieces, unknown="skip")
    bits = [nats / math.log(2) for one in scores for nats in one.token_nats]
    long = long and len(bits) > SYMBOLS
    kept = list(_few(scores)) if long else scores
    figure = _narrow(kept) if long else _wide(run, scores)
    figure.verdict = _judge(run, bits)
    drawn, notes = min(WHOLE if long else SYMBOLS, sum(one.tokens for one in kept)), []
    if len(bits) > drawn:
        notes.append(
            f"the first {drawn:,} of {len(bits):,} symbols are drawn; the average is of all"
        )
    if long:
        notes.append(
            f"a text of {SYMBOLS} symbols or fewer, ends counted, is drawn with what was held likelier"
        )
    if not run.model.sliding and max(one.tokens for one in scores) > run.model.context_length:
        notes.append(f"read in blocks of {run.model.context_length} symbols, the model's context")
    figure.note = "; ".join(notes)
    return figure


def _few(scores: Sequence[Score]) -> Iterator[Score]:
    """The first texts, of not many more than LINES lines."""
    lines = 0
    for one in scores:
        if lines >= LINES:
            return
        lines += -(-one.tokens // NARROW)
        yield one


def _lines(
    scores: Sequence[Score], most: int, columns: int
) -> Iterator[list[tuple[Score, int, str, float]]]:
    """The first symbols of some texts in lines: text, place in it, how it is shown, bits."""
    for one in scores:
        n = min(most, one.tokens)
        most -= n
        cells = [(one, i, shown(one.symbols[i]), one.token_nats[i] / math.log(2)) for i in range(n)]
        yield from (cells[i : i + columns] for i in range(0, n, columns))


def _wide(run: StoredRun, scores: Sequence[Score]) -> Figure:
    """A short text, or the beginning of one, with what the model held likelier."""
    lines = list(_lines(scores, SYMBOLS, COLUMNS))
    figure, (axes,) = panels([1.3 * len(lines) + 0.2])
    likely: dict[int, list[list[tuple[str, float]]]] = {}
    for row, cells in enumerate(lines):
        for column, (one, place, symbol, cost) in enumerate(cells):
            if id(one) not in likely:
                likely[id(one)] = likeliest(run, one.text)
            _cell(axes, column, row, symbol, cost, likely[id(one)][place])
    axes.axis("off")
    axes.set_title("Surprise, symbol by symbol, and what the model thought likelier")
    scale = axes.imshow([[0.0]], cmap=style.AMOUNT, vmin=0, vmax=BITS, extent=(-2, -1, -2, -1))
    axes.set(xlim=(-0.02, COLUMNS), ylim=(len(lines) + 0.02, -0.02), aspect="auto")
    style.colour_bar(figure, scale, axes, "surprise (bits)")
    return figure


def _judge(run: StoredRun, bits: Sequence[float]) -> Verdict:
    uniform, mean = math.log2(run.facts["vocab_size"]), sum(bits) / len(bits)
    words = f"{mean:.2f} bits a symbol on average; knowing nothing: {uniform:.2f}"
    if impossible := sum(map(math.isinf, bits)):
        return Verdict(f"{words}: {impossible:,} of {len(bits):,} symbols held impossible", False)
    if mean < uniform:
        return Verdict(words)
    return Verdict(f"{words}: worse than a guess; the text is unlike what it was trained on", False)


def _percent(p: float) -> str:
    """A probability in two digits; tiny ones as such."""
    share = 100 * p
    return f"{share:.0f}%" if share >= 9.5 else f"{share:.2g}%" if share >= 0.01 else "<0.01%"


def _narrow(scores: Sequence[Score]) -> Figure:
    """A longer text, shaded alone."""
    rows = list(_lines(scores, WHOLE, NARROW))
    figure, (axes,) = panels([0.24 * len(rows) + 0.9])
    table = np.full((len(rows), NARROW), np.nan)
    cell = (66 * style.WIDTH / NARROW, 72 * 0.24)
    inks: dict[str, list[tuple[float, float, str]]] = {"white": [], style.BLACK: []}
    small: dict[str, list[tuple[float, float, str]]] = {"white": [], style.BLACK: []}
    for y, row in enumerate(rows):
        for x, (_, _, symbol, cost) in enumerate(row):
            table[y, x] = min(cost, BITS)  # what is infinite would be left white
            ink = "white" if cost > 0.45 * BITS else style.BLACK
            (inks if len(symbol) < 3 else small)[ink].append((x, y, symbol))
    picture = axes.imshow(table, cmap=style.AMOUNT, vmin=0, vmax=BITS, aspect="auto")
    for ink in inks:
        style.numbers(axes, inks[ink], 9.0, cell, ink)
        style.numbers(axes, small[ink], 3.6, cell, ink)
    style.square_cells(axes, [], [])
    axes.set_title("Surprise, symbol by symbol")
    style.colour_bar(figure, picture, axes, "surprise (bits)")
    return figure


def likeliest(run: StoredRun, text: str) -> list[list[tuple[str, float]]]:
    """What the model holds likeliest at each place of a text, read in blocks as `score` reads it."""
    tokenizer, model = run.tokenizer, run.model
    ids = [tokenizer.start_id, *tokenizer.encode(text, unknown="skip").tolist()]
    if tokenizer.end_id is None:
        ids.pop()
    ids = ids[:SYMBOLS]
    block = len(ids) if model.sliding else model.context_length
    p = torch.cat([next_probabilities(run, ids[i : i + block]) for i in range(0, len(ids), block)])
    best = p.topk(min(ALTERNATIVES, p.shape[1]))
    return [
        [(shown(tokenizer.symbol(t)), q) for q, t in zip(shares, tokens, strict=True) if q > 0]
        for shares, tokens in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def _bits(bits: float) -> str:
    return "∞" if math.isinf(bits) else f"{bits:.1f}"


def _cell(
    axes: Axes, x: int, y: int, symbol: str, bits: float, best: list[tuple[str, float]]
) -> None:
    axes.add_patch(
        Rectangle((x + 0.03, y), 0.94, 0.36, facecolor=style.AMOUNT(min(bits / BITS, 1.0)), lw=0.5,
                  edgecolor=style.PALE)
    )  # fmt: skip
    ink = "white" if bits > 0.45 * BITS else style.BLACK
    size = style.fitting(symbol, 12, 3)
    style.written(axes, x + 0.5, y + 0.13, symbol, fontsize=size, color=ink, fontweight="bold")
    style.written(axes, x + 0.5, y + 0.285, _bits(bits), fontsize=7, color=ink)
    wide = 0.55 * 66 * style.WIDTH / COLUMNS  # points
    for i, (other, p) in enumerate(best):
        same = other == symbol
        options = {"color": style.VERMILION if same else style.BLACK,
                   "fontweight": "bold" if same else "normal"}  # fmt: skip
        size = 7 * min(1.0, wide / max(1e-9, style.width(other, 7, "bold")))
        line = y + 0.43 + 0.1 * i
        # apart, as letters that run from right to left would carry the number with them
        style.written(axes, x + 0.57, line, other, fontsize=size, ha="right", **options)
        share = f"{100 * p:.0f}%" if p >= 0.005 else "<1%"
        style.written(axes, x + 0.63, line, share, fontsize=7, ha="left", **options)


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
def grow(run: StoredRun, prompt: str, leaves: int = LEAVES, depth: int = DEPTH) -> Node:
    """The tree of the most probable continuations up to `depth` symbols, by a beam.

    At each depth the BEAM * leaves most probable beginnings go on, those at the end of their document
    stay as they are; in the end the `leaves` most probable are left.
    """
    tokenizer, model = run.tokenizer, run.model
    prompt = tokenizer.decode(tokenizer.encode(prompt, unknown="skip"))
    root = Node(prompt_ids(tokenizer, prompt, "skip"), shown(prompt) or "start", 1, 0)
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
def continuations(run: StoredRun, text: str | None = None) -> Figure:
    """The most probable continuations of a prompt as a tree; lines as thick as they are probable.

    text: the prompt; of documents the first line. None: nothing for documents, a stretch for a
    stream.
    """
    prompt, *more = (text or "").split("\n") if run.documents else [text or ""]
    if text is None and not run.documents:
        prompt = source(run).text[:20]
    prompt, left_out = readable(run, prompt)
    root = grow(run, prompt)
    rows: dict[int, float] = {}
    ends: list[Node] = []
    _place(root, rows, ends)
    figure, (axes,) = panels([0.26 * max(4, len(ends)) + 0.3])
    _branch(axes, root, rows)
    for row, node in enumerate(ends):
        path = "".join(run.tokenizer.symbol(i) for i in node.ids[len(root.ids) :])
        label = style.shortened(shown(f"{prompt}{path}"), PROMPT)
        beside = style.width(*_label(node), "bold") / 2 + 6  # points: past its box
        # apart, as letters that run from right to left would carry the number with them
        for x, words in ((beside, _percent(node.p)), (beside + 44, label)):
            axes.annotate(
                words, (node.depth, row), xytext=(x, 0), textcoords="offset points", va="center",
                fontsize=8.5, color=style.GREY,
            )  # fmt: skip
    axes.set(xlim=(-0.1, DEPTH + 3.7), ylim=(max(4, len(ends)) - 0.4, -0.6))
    axes.axis("off")
    start = f"“{style.shortened(shown(prompt), PROMPT)}”" if prompt else "the start of a document"
    axes.set_title(f"What comes next after {start}")
    total = sum(node.p for node in ends)
    figure.verdict = Verdict(
        f"these {len(ends)} continuations hold {percent(total)} of the probability"
    )
    notes = [left_out] if left_out else []
    if more:
        notes.append("of the text its first line is continued")
    read = min(len(root.ids), run.model.context_length)
    if read < len(root.ids):
        notes.append(f"of the prompt the model sees the last {read} symbols, its context")
    figure.note = "; ".join(notes)
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
    symbol, size = _label(node)
    axes.text(
        x, y, symbol, ha="center", va="center", fontsize=size, fontweight="bold", zorder=2,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": style.GREY,
              "lw": 0.6},
    )  # fmt: skip


def _label(node: Node) -> tuple[str, float]:
    """What stands in the box of a node, and the size of its font."""
    symbol = node.symbol if node.depth else style.shortened(node.symbol, 8)
    return symbol, style.fitting(symbol, 10, 5)
