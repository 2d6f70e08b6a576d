"""`draw(value)`: the computation graph as a picture, from the leaves to the result.

SVG is written here and needs no Graphviz; DOT and Mermaid are text for other programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from hornbook.autograd.layout import layered
from hornbook.autograd.node import Node, graph
from hornbook.autograd.value import Value

# in pixels, for monospace text of 12 pixels
CHARACTER_WIDTH, LINE_HEIGHT, PADDING, MARGIN = 7.5, 16.0, 8.0, 12.0
PILL_HEIGHT, PILL_GAP = 22.0, 10.0  # an operation, and its distance to the box of its result
# light boxes with dark text are readable on a light and on a dark page
LEAF, INNER, RESULT = "#dbeafe", "#ffffff", "#fef3c7"
TEXT, EDGE, OPERATION = "#111827", "#808896", "#e5e7eb"
MAX_NODES = 1000


class Drawing:
    """A graph with the data and gradients it had when it was drawn. Notebooks display it as SVG."""

    def __init__(self, root: Node) -> None:
        """Raises ValueError for a graph of more than MAX_NODES nodes."""
        nodes = graph(root)
        if len(nodes) > MAX_NODES:
            raise ValueError(
                f"draw: the graph has {len(nodes)} nodes, expected at most {MAX_NODES}; "
                "draw one example's prediction, or one neuron"
            )
        nodes = _operands_first(root)
        number = {v: i for i, v in enumerate(nodes)}
        self.operands = [[number[x] for x in v._operands] for v in nodes]
        self.operations = [v._op or ("?" if v._operands else "") for v in nodes]
        self.rows = [
            [*([v.label] if v.label else []), f"data {_short(v.data)}", f"grad {_short(v.grad)}"]
            for v in nodes
        ]

    def svg(self) -> str:
        """The graph as SVG: operands on the left, each result on the right of its operation."""
        boxes = [
            (max(map(len, rows)) * CHARACTER_WIDTH + 2 * PADDING, len(rows) * LINE_HEIGHT + PADDING)
            for rows in self.rows
        ]
        pills = [
            max(PILL_HEIGHT, len(op) * CHARACTER_WIDTH + PADDING) if op else 0.0
            for op in self.operations
        ]
        sizes = [
            (width + (pill + PILL_GAP if pill else 0.0), height)
            for (width, height), pill in zip(boxes, pills, strict=True)
        ]
        layout = layered(self.operands, sizes)
        edges, shapes = [], []
        for i, (x, y) in layout.center.items():
            left, right = x - sizes[i][0] / 2, x + sizes[i][0] / 2
            width, height = boxes[i]
            for source in dict.fromkeys(self.operands[i]):
                sx, sy = layout.center[source]
                start, bends = (sx + sizes[source][0] / 2, sy), layout.bends[source, i]
                edges.append(_curve([start, *bends, (left, y)]))
            if pills[i]:
                edges.append(_curve([(left + pills[i], y), (right - width, y)]))
                shapes.append(
                    _box(left, y, pills[i], PILL_HEIGHT, OPERATION, [self.operations[i]], 11)
                )
            fill = RESULT if i == len(sizes) - 1 else INNER if pills[i] else LEAF
            shapes.append(_box(right - width, y, width, height, fill, self.rows[i], 4))
        width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
                f' viewBox="{-MARGIN:g} {-MARGIN:g} {width:.1f} {height:.1f}"'
                ' font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"'
                ' font-size="12" text-anchor="middle">',
                f'<g fill="none" stroke="{EDGE}" stroke-width="1.5">',
                *edges,
                "</g>",
                f'<g stroke="{EDGE}">',
                *shapes,
                "</g>",
                "</svg>",
            ]
        )

    def dot(self) -> str:
        """The graph in Graphviz's language, for `dot -Tpng`."""
        lines = ["digraph {", "  rankdir=LR", "  node [shape=box, fontname=monospace]"]
        for i, rows in enumerate(self.rows):
            text = "\\n".join(row.replace("\\", "\\\\").replace('"', '\\"') for row in rows)
            lines.append(f'  n{i} [label="{text}"]')
            if self.operands[i]:
                lines += [f'  o{i} [label="{self.operations[i]}", shape=oval]', f"  o{i} -> n{i}"]
                lines += [f"  n{source} -> o{i}" for source in dict.fromkeys(self.operands[i])]
        return "\n".join([*lines, "}", ""])

    def mermaid(self) -> str:
        """The graph in Mermaid's language, which GitHub and many notebooks draw."""
        lines = ["flowchart LR"]
        for i, rows in enumerate(self.rows):
            text = "<br>".join(map(_mermaid, rows))
            lines.append(f'  n{i}["{text}"]')
            if self.operands[i]:
                lines += [f'  o{i}(["{_mermaid(self.operations[i])}"])', f"  o{i} --> n{i}"]
                lines += [f"  n{source} --> o{i}" for source in dict.fromkeys(self.operands[i])]
        return "\n".join([*lines, ""])

    def save(self, path: str | Path) -> Path:
        """Writes a .svg, .dot or .mmd file. Raises ValueError for another suffix."""
        path = Path(path)
        writers = {".svg": self.svg, ".dot": self.dot, ".mmd": self.mermaid}
        if path.suffix not in writers:
            raise ValueError(
                f"Drawing.save: {path.name!r}: expected a name ending in {', '.join(writers)}"
            )
        path.write_text(writers[path.suffix](), encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(value: Value) -> Drawing:
    """Draws the graph that `value` was computed from. Call it after `backward()` to see gradients.

    Raises ValueError for more than 1,000 nodes, which nobody can read.
    """
    return Drawing(value)


def _operands_first(root: Node) -> list[Node]:
    """The nodes of a graph in topological order: operands first, the left one before the right."""
    order: dict[Node, None] = {}
    stack = [root]
    while stack:
        waiting = [x for x in stack[-1]._operands if x not in order]
        if waiting:
            stack += reversed(waiting)
        else:
            order.setdefault(stack.pop())
    return list(order)


def _short(x: float) -> str:
    return f"{x:.4f}" if x == 0 or 1e-3 <= abs(x) < 1e5 else f"{x:.2e}"


def _mermaid(text: str) -> str:
    """Text with everything but letters, digits and spaces escaped: Mermaid reads "+" as a list."""
    return "".join(c if c.isalnum() or c in " ._" else f"#{ord(c)};" for c in text)


def _box(
    left: float, y: float, width: float, height: float, fill: str, rows: Sequence[str], round_: int
) -> str:
    """A rectangle around `y` with a line of text for each row."""
    first = y - (len(rows) - 1) * LINE_HEIGHT / 2 + 4  # + 4: from the middle to the baseline
    texts = "".join(
        f'<text x="{left + width / 2:.1f}" y="{first + i * LINE_HEIGHT:.1f}" fill="{TEXT}"'
        f' stroke="none"{bold}>{escape(row)}</text>'
        for i, row in enumerate(rows)
        for bold in [' font-weight="bold"' if i == 0 and len(rows) != 2 else ""]
    )
    return (
        f'<rect x="{left:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' rx="{round_}" fill="{fill}"/>{texts}'
    )


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A curve through the points, horizontal at each of them."""
    (x, y), *others = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in others:
        middle = (x + to_x) / 2
        path += f" C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return f'<path d="{path}"/>'
