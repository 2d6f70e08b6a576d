"""Where the boxes of a graph go: a layered layout (Sugiyama, Tagawa and Toda 1981), left to right.

Each node gets a column after all its operands; an edge over several columns gets a bend in each;
columns are ordered to cross few edges, then spread so that nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X, GAP_Y = 48.0, 16.0  # between columns and between boxes; edges need room to curve
SWEEPS = 12


@dataclass
class Layout:
    """Centres of the nodes, the bends of each edge (operand, node), and the picture's size."""

    centre: dict[int, tuple[float, float]]
    bends: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


def layered(operands: Sequence[Sequence[int]], sizes: Sequence[tuple[float, float]]) -> Layout:
    """Lay out nodes 0 to n-1, given each node's operands (all before it) and (width, height)."""
    column = _columns(operands)
    height = {node: size[1] for node, size in enumerate(sizes)}
    after: dict[int, list[int]] = {node: [] for node in range(len(operands))}
    before: dict[int, list[int]] = {node: [] for node in range(len(operands))}
    paths: dict[tuple[int, int], list[int]] = {}
    for node, sources in enumerate(operands):
        for source in dict.fromkeys(sources):
            path = [source]
            for passed in range(column[source] + 1, column[node]):  # a bend is a small node
                bend = len(column)
                column[bend], height[bend], after[bend], before[bend] = passed, 2.0, [], []
                path.append(bend)
            path.append(node)
            paths[source, node] = path
            for earlier, later in pairwise(path):
                after[earlier].append(later)
                before[later].append(earlier)
    columns: list[list[int]] = [[] for _ in range(max(column.values()) + 1)]
    for node in sorted(column, key=lambda node: (column[node], node)):
        columns[column[node]].append(node)
    y = _ordinates(columns, before, after, height)
    edges_x: dict[int, tuple[float, float]] = {}  # of a node's column
    left = 0.0
    for nodes in columns:
        width = max((sizes[node][0] for node in nodes if node < len(sizes)), default=0.0)
        edges_x |= dict.fromkeys(nodes, (left, left + width))
        left += width + GAP_X
    top = min(y[node] - height[node] / 2 for node in y)
    bottom = max(y[node] + height[node] / 2 for node in y)
    return Layout(
        {node: (sum(edges_x[node]) / 2, y[node] - top) for node in range(len(operands))},
        {  # level through a column, for there the boxes are
            edge: [(x, y[bend] - top) for bend in path[1:-1] for x in edges_x[bend]]
            for edge, path in paths.items()
        },
        left - GAP_X,
        bottom - top,
    )


def _columns(operands: Sequence[Sequence[int]]) -> dict[int, int]:
    """Each node after its operands; a leaf just before the first node that needs it."""
    column: dict[int, int] = {}
    first_use: dict[int, int] = {}
    for node, sources in enumerate(operands):
        column[node] = 1 + max((column[source] for source in sources), default=-1)
        for source in sources:
            first_use[source] = min(first_use.get(source, column[node]), column[node])
    for node, sources in enumerate(operands):
        if not sources:
            column[node] = max(0, first_use.get(node, 1) - 1)
    return column


def _ordinates(
    columns: list[list[int]],
    before: Mapping[int, list[int]],
    after: Mapping[int, list[int]],
    height: Mapping[int, float],
) -> dict[int, float]:
    """Sweep to and fro: order each column by the mean height of its neighbours, then spread it."""
    y: dict[int, float] = {}
    for nodes in columns:
        _spread(nodes, dict.fromkeys(nodes, 0.0), height, y)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for nodes in columns if forward else reversed(columns):
            wanted = {}
            for node in nodes:
                near = before[node] if forward else after[node]
                near = near or (after[node] if forward else before[node])
                wanted[node] = sum(y[v] for v in near) / len(near) if near else y[node]
            nodes.sort(key=lambda node: wanted[node])
            _spread(nodes, wanted, height, y)
    return y


def _spread(
    nodes: list[int], wanted: Mapping[int, float], height: Mapping[int, float], y: dict[int, float]
) -> None:
    """As near to the wanted heights as the boxes allow.

    Pushing all down and pushing all up both leave the gaps, and so does the mean of the two.
    """
    down: list[float] = []
    for i, node in enumerate(nodes):
        gap = (height[nodes[i - 1]] + height[node]) / 2 + GAP_Y if i else 0.0
        down.append(max(wanted[node], down[-1] + gap) if i else wanted[node])
    up = 0.0
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        if i == len(nodes) - 1:
            up = wanted[node]
        else:
            gap = (height[nodes[i + 1]] + height[node]) / 2 + GAP_Y
            up = min(wanted[node], up - gap)
        y[node] = (down[i] + up) / 2
